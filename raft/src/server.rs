//! The shell around the core: one lock, and what each of the core's orders becomes. Every event of a server goes through
//! [`Shared::step`], whatever thread it happens on. What an order asks of others is left for after the lock: `follow_ups.rs`.

use std::sync::Weak;

use labrpc::ClientEnd;
use labstd::channel::Receiver;
use labstd::rng::{RngExt, Stream};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Condvar, Mutex, OnceLock};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Consumer, Persister, ServerId, StateChange};

use crate::core::{Core, Effects, RequestVoteArgs, RequestVoteReply, SentRequest, ServerSet};
use crate::follow_ups::{FollowUps, SendPolicy};
use crate::observers::Observers;
use crate::reads::PendingRead;
use crate::storage::Storage;

/// How long a server waits for a sign of its leader before it starts an election, drawn anew each time: long against a
/// heartbeat, of which two may be lost, and wide apart, so that two servers seldom start at once (paper, 5.2 and 9.3; the
/// course allows ten heartbeats a second and wants a leader within five seconds).
const ELECTION_TIMEOUT_MS: std::ops::Range<u64> = 300..600;

/// How long after the last message to a peer a leader sends the next one, if nothing else is to be sent.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);

/// How soon a peer is told of a new commit index when no entries go out that would tell it: late enough that a client's
/// next command often carries the observers, early enough that all servers apply a command soon.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(10);

/// How many committed entries a follower's service is given together, if so many come soon: to wake the applier for each would
/// cost more than to apply it.
const APPLY_BATCH_ENTRIES: u64 = 16;

/// A peer that has answered this many calls in a row can be relied on to answer the next: on an unreliable network, which loses
/// one in five, hardly any ever does.
const RELIABLE_AFTER_REPLIES: u32 = 16;

/// How often a candidate asks a server for its vote in one election. An unreliable network loses one call in five, and an
/// election that fails costs a whole timeout.
const VOTE_ATTEMPTS: u32 = 2;

/// A call that fails within this time was lost on its way; one that takes longer to fail was to a server that cannot be
/// reached, and to ask it again would be of no use.
const LOST_CALL_FAILS_WITHIN: Duration = Duration::from_millis(50);

/// What all threads of a server share.
pub(crate) struct Shared {
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) state: Mutex<State>,
    /// Signalled when the applier is due.
    pub(crate) committed: Condvar,
    /// Who takes what is committed, if it does so by itself (the server's service).
    consumer: OnceLock<Weak<dyn Consumer>>,
    /// Signalled, one for each peer, when there is something for that peer.
    pub(crate) replicate: Vec<Condvar>,
    killed: AtomicBool,
}

/// What the lock protects: the protocol's state, and when its timers run out.
pub(crate) struct State {
    pub(crate) core: Core,
    storage: Storage,
    /// When the election timer runs out. Means nothing on a leader.
    pub(crate) election_due: Instant,
    timeouts: Stream,
    /// What a leader has to remember of each peer beside its progress.
    pub(crate) peer_timers: Vec<PeerTimers>,
    /// Who waits for a read to be confirmed.
    pub(crate) pending_reads: Vec<PendingRead>,
    /// Whether there is something for the applier to deliver.
    pub(crate) applier_is_due: bool,
    /// What others have been told of all this.
    observers: Observers,
}

/// The timers of a leader for one peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerTimers {
    /// When the next message is due even if there are no entries to send.
    pub(crate) heartbeat_due: Instant,
    /// How many calls in a row were answered.
    pub(crate) consecutive_replies: u32,
    /// The entries or the snapshot under way, and when its answer is overdue.
    pub(crate) in_flight: Option<(SentRequest, Instant)>,
    /// Until when the replicator sleeps, if nobody wakes it; `None` if for ever, or if it does not sleep.
    pub(crate) sleeps_until: Option<Instant>,
}

impl Shared {
    /// What the threads of server `me` share, with what an earlier incarnation saved.
    ///
    /// # Panics
    ///
    /// If what was saved is damaged.
    pub(crate) fn new(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, timeouts: Stream) -> Shared {
        let (storage, saved) = Storage::open(Arc::clone(&persister)).unwrap_or_else(|damaged| panic!("{damaged}"));
        let core = Core::restore(me, peers.len(), saved);
        let now = Instant::now();
        let timers = PeerTimers { heartbeat_due: now, consecutive_replies: 0, in_flight: None, sleeps_until: None };
        let peer_timers = vec![timers; peers.len()];
        let observers = Observers::at_start(&core);
        let mut state = State {
            core,
            storage,
            election_due: now,
            timeouts,
            peer_timers,
            pending_reads: Vec::new(),
            applier_is_due: false,
            observers,
        };
        state.restart_election_timer();
        Shared {
            replicate: peers.iter().map(|_| Condvar::new()).collect(),
            peers,
            persister,
            state: Mutex::new(state),
            committed: Condvar::new(),
            consumer: OnceLock::new(),
            killed: AtomicBool::new(false),
        }
    }

    /// Lets the core see an event and does what it orders. Under the lock: saving, timers. After it: all that involves
    /// others.
    pub(crate) fn step<T>(self: &Arc<Self>, event: impl FnOnce(&mut Core) -> (T, Effects)) -> T {
        self.step_with_policy(SendPolicy::CallingThread, event)
    }

    /// As [`step`](Shared::step); says who sends what is to be sent.
    pub(crate) fn step_with_policy<T>(
        self: &Arc<Self>,
        send_policy: SendPolicy,
        event: impl FnOnce(&mut Core) -> (T, Effects),
    ) -> T {
        let (answer, follow_ups) = {
            let mut state = self.state.lock();
            let (answer, effects) = event(&mut state.core);
            (answer, self.carry_out(&mut state, effects, send_policy))
        };
        self.run_follow_ups(follow_ups);
        answer
    }

    /// Does what the core orders, in the order of the fields, up to what has to wait until the lock is released, which is
    /// returned. Requests to peers are among that, unless they are to be left to the replicators.
    pub(crate) fn carry_out(&self, state: &mut State, effects: Effects, send_policy: SendPolicy) -> FollowUps {
        // First of all, and before the lock is released: nothing that depends on it may be seen by anyone earlier.
        let saved_bytes = state.storage.save(&effects.persist, &state.core);
        // What a dead instance still does is nobody's business any more; its server may live again already.
        if !self.killed() {
            state.observers.report_changes(&effects, &state.core, saved_bytes);
        }
        let now = Instant::now();
        let mut follow_ups = FollowUps {
            vote_requests: effects.request_votes,
            more_proposals_expected: send_policy == SendPolicy::CallingThreadIfInline,
            ..FollowUps::default()
        };
        if effects.reset_election_timer {
            state.restart_election_timer();
        }
        if effects.send_heartbeats {
            for peer in state.core.peers() {
                state.peer_timers[peer.0] =
                    PeerTimers { heartbeat_due: now, in_flight: None, ..state.peer_timers[peer.0] };
                self.schedule_send(peer, send_policy, &mut follow_ups);
                // It has slept as long as the server did not lead.
                self.replicate[peer.0].notify_one();
            }
        }
        for peer in effects.replicate_to.iter() {
            if state.core.has_content_for(peer) {
                self.schedule_send(peer, send_policy, &mut follow_ups);
            }
            if state.core.needs_commit_notice(peer) {
                let timers = &mut state.peer_timers[peer.0];
                timers.heartbeat_due = timers.heartbeat_due.min(now + COMMIT_NOTICE_DELAY);
                if timers.sleeps_until.is_none_or(|until| timers.heartbeat_due < until) {
                    self.replicate[peer.0].notify_one();
                }
            }
        }
        for peer in state.select_quorum(effects.confirm_leadership_with).iter() {
            state.peer_timers[peer.0].heartbeat_due = now;
            self.schedule_send(peer, send_policy, &mut follow_ups);
        }
        if effects.reads_settled {
            follow_ups.settled_reads = state.take_settled_reads();
        }
        let brings_entries = effects.persist.log.is_some();
        if effects.commit_advanced.is_some() || effects.reset_election_timer && !brings_entries {
            self.schedule_apply(state, brings_entries, &mut follow_ups);
        }
        follow_ups
    }

    /// More is committed, or the leader has sent a sign of body. On a leader clients wait for what is committed, so a consumer
    /// hears of it at once. On a follower nobody does: as long as messages with entries follow each other, it waits until enough
    /// has come together; the next heartbeat ends the waiting.
    fn schedule_apply(&self, state: &mut State, brings_entries: bool, follow_ups: &mut FollowUps) {
        let core = &state.core;
        let waiting = core.commit_index().0 - core.last_applied().0;
        if waiting == 0 {
            return;
        }
        let has_consumer = self.consumer.get().is_some();
        if has_consumer && core.is_leader() {
            follow_ups.notify_consumer = true;
        } else if !(has_consumer && brings_entries && waiting < APPLY_BATCH_ENTRIES) {
            state.applier_is_due = true;
            self.committed.notify_one();
        }
    }

    /// There is something for `peer`: it is sent here, when the lock is released, or by its replicator.
    fn schedule_send(&self, peer: ServerId, send_policy: SendPolicy, follow_ups: &mut FollowUps) {
        match send_policy {
            SendPolicy::CallingThread | SendPolicy::CallingThreadIfInline => follow_ups.send_to.insert(peer),
            SendPolicy::Replicators => self.replicate[peer.0].notify_one(),
        }
    }

    /// What is committed and was not delivered; it counts as delivered.
    pub(crate) fn take_committed(&self) -> Vec<ApplyMsg> {
        self.state.lock().core.take_committed()
    }

    /// Tells the consumer that more is committed; `false` if there is none.
    pub(crate) fn notify_consumer(&self) -> bool {
        let Some(consumer) = self.consumer.get() else { return false };
        if let Some(consumer) = consumer.upgrade() {
            consumer.committed();
        }
        true
    }

    /// From now on, `consumer` is told when more is committed, and takes it.
    pub(crate) fn set_consumer(&self, consumer: Weak<dyn Consumer>) {
        // Under the lock, so that nothing is committed meanwhile.
        let state = self.state.lock();
        let nothing_yet = state.core.last_applied() == state.core.commit_index();
        assert!(nothing_yet && self.consumer.set(consumer).is_ok(), "a Raft has one consumer, from the beginning");
    }

    /// Sends the candidate's requests, each on a pooled thread: one that is slow to fail keeps nobody waiting.
    pub(crate) fn request_votes(self: &Arc<Self>, requests: Vec<(ServerId, RequestVoteArgs)>) {
        for (peer, args) in requests {
            self.request_vote(peer, args, VOTE_ATTEMPTS);
        }
    }

    /// Asks `peer` for its vote, up to `attempts` times if the network loses the request or the answer.
    fn request_vote(self: &Arc<Self>, peer: ServerId, args: RequestVoteArgs, attempts: u32) {
        let shared = Arc::clone(self);
        let sent_at = Instant::now();
        self.peers[peer.0].call_async("Raft.RequestVote", &args, move |reply: Option<RequestVoteReply>| {
            if shared.killed() {
                return;
            }
            match reply {
                Some(reply) => shared.step(|core| ((), core.handle_request_vote_reply(peer, args.term, reply))),
                None => {
                    let was_lost = sent_at.elapsed() < LOST_CALL_FAILS_WITHIN;
                    if was_lost && attempts > 1 && shared.state.lock().core.needs_vote_of(peer, args.term) {
                        shared.request_vote(peer, args, attempts - 1);
                    }
                }
            }
        });
    }

    /// A channel of what happens from now on; one that has ended already if the server was killed.
    pub(crate) fn subscribe(&self) -> Receiver<StateChange> {
        let mut state = self.state.lock();
        let changes = state.observers.subscribe();
        if self.killed() {
            state.observers.end_subscriptions();
        }
        changes
    }

    /// Whether the server was asked to stop.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Asks all threads to end.
    pub(crate) fn kill(&self) {
        let pending_reads = {
            // Under the lock, so that no thread misses the signal between its look and its wait.
            let mut state = self.state.lock();
            self.killed.store(true, SeqCst);
            state.observers.end_subscriptions();
            self.committed.notify_all();
            self.replicate.iter().for_each(Condvar::notify_all);
            std::mem::take(&mut state.pending_reads)
        };
        pending_reads.into_iter().for_each(|read| read.complete(None));
    }
}

impl State {
    /// Those of the `candidates` that are asked whether this server leads: as many as are needed where that many have answered
    /// again and again, or all of them. A lost question would cost the reads that wait for it more than a few messages.
    fn select_quorum(&self, candidates: ServerSet) -> ServerSet {
        let answers = |peer: &ServerId| self.peer_timers[peer.0].consecutive_replies >= RELIABLE_AFTER_REPLIES;
        let needed = self.core.acks_needed();
        if candidates.iter().filter(|peer| answers(peer)).count() < needed {
            return candidates;
        }
        candidates.iter().filter(answers).take(needed).collect()
    }

    fn restart_election_timer(&mut self) {
        let timeout = Duration::from_millis(self.timeouts.random_range(ELECTION_TIMEOUT_MS));
        self.election_due = Instant::now() + timeout;
    }
}

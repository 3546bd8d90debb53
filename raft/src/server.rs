//! The shell around the core: one lock, and the code that carries out the core's effects. Every event of a server goes
//! through [`Shared::step`], on whatever thread it occurs. Work that involves other servers or clients is done after
//! the lock is released: see `follow_ups.rs`.

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

/// Range of the election timeout in milliseconds, drawn anew each time. It is at least three heartbeat intervals, so
/// two consecutive heartbeats may be lost. It is wide, so that two servers seldom start an election at the same time
/// (paper, 5.2 and 9.3). The course allows ten heartbeats per second and requires a new leader within five seconds.
const ELECTION_TIMEOUT_MS: std::ops::Range<u64> = 300..600;

/// Time after the last message to a peer at which a leader sends a heartbeat, if it has nothing else to send.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);

/// Delay until a leader sends a new commit index to a peer if no entries carry it. It is long enough that a client's
/// next command often carries the index, and short enough that all servers soon apply a command.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(10);

/// Number of committed entries that a follower's service receives together while entries keep arriving. Waking the
/// applier for each entry would cost more than applying it.
const APPLY_BATCH_ENTRIES: u64 = 16;

/// Number of consecutive replies after which a peer counts as reliable. On an unreliable network, which loses one call
/// in five, hardly any peer ever reaches it.
const RELIABLE_AFTER_REPLIES: u32 = 16;

/// Number of times that a candidate requests a server's vote in one election. An unreliable network loses one call in
/// five, and a failed election costs a whole timeout.
const VOTE_ATTEMPTS: u32 = 2;

/// A call that fails within this time was lost on its way, and a retry is useful. A call that takes longer to fail went
/// to an unreachable server, and a retry would be useless.
const LOST_CALL_FAILS_WITHIN: Duration = Duration::from_millis(50);

/// State that all threads of a server share.
pub(crate) struct Shared {
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) state: Mutex<State>,
    /// Signalled when the applier has something to deliver.
    pub(crate) committed: Condvar,
    /// The service, if it takes committed entries itself instead of reading the apply channel.
    consumer: OnceLock<Weak<dyn Consumer>>,
    /// One per peer; signalled when there is something to send to that peer.
    pub(crate) replicate: Vec<Condvar>,
    killed: AtomicBool,
}

/// State under the lock: the protocol's state, and the times at which its timers fire.
pub(crate) struct State {
    pub(crate) core: Core,
    storage: Storage,
    /// The time at which the election timer fires. Unused on a leader.
    pub(crate) election_due: Instant,
    timeouts: Stream,
    /// A leader's timers for each peer, in addition to the peer's progress.
    pub(crate) peer_timers: Vec<PeerTimers>,
    /// Reads that wait for confirmation.
    pub(crate) pending_reads: Vec<PendingRead>,
    /// True if the applier has something to deliver.
    pub(crate) applier_is_due: bool,
    /// The record and the subscribers that observe this server.
    observers: Observers,
}

/// A leader's timers for one peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerTimers {
    /// The time at which the next message is due even if there are no entries to send.
    pub(crate) heartbeat_due: Instant,
    /// Number of consecutive calls that got a reply.
    pub(crate) consecutive_replies: u32,
    /// The entries or the snapshot in flight, and the time at which the reply is overdue.
    pub(crate) in_flight: Option<(SentRequest, Instant)>,
    /// The time until which the replicator sleeps if nobody wakes it. `None` if it sleeps without a limit, or does not
    /// sleep.
    pub(crate) sleeps_until: Option<Instant>,
}

impl Shared {
    /// Creates the shared state of server `me` from the state that an earlier incarnation saved.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged.
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

    /// Passes an event to the core and carries out the effects. State is saved and timers are set under the lock. Work
    /// that involves other servers or clients follows after it.
    pub(crate) fn step<T>(self: &Arc<Self>, event: impl FnOnce(&mut Core) -> (T, Effects)) -> T {
        self.step_with_policy(SendPolicy::CallingThread, event)
    }

    /// Like [`step`](Shared::step), with an explicit choice of the thread that sends requests.
    pub(crate) fn step_with_policy<T>(
        self: &Arc<Self>,
        send_policy: SendPolicy,
        event: impl FnOnce(&mut Core) -> (T, Effects),
    ) -> T {
        let (result, follow_ups) = {
            let mut state = self.state.lock();
            let (result, effects) = event(&mut state.core);
            (result, self.carry_out(&mut state, effects, send_policy))
        };
        self.run_follow_ups(follow_ups);
        result
    }

    /// Carries out the effects in the order of their fields, under the lock. Returns the follow-ups that must wait
    /// until the lock is released. They include requests to peers, unless the replicators send them.
    pub(crate) fn carry_out(&self, state: &mut State, effects: Effects, send_policy: SendPolicy) -> FollowUps {
        // Save before anything else and before the lock is released: nothing that depends on the change may be seen
        // earlier.
        let saved_bytes = state.storage.save(&effects.persist, &state.core);
        // A killed instance must not report, because its server may already have restarted.
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
                // The replicator has slept while the server did not lead.
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

    /// Handles a new commit index, or a message from the leader. On a leader, clients wait for committed entries, so
    /// the consumer is notified at once. On a follower no client waits. While messages with entries keep arriving, the
    /// follower's consumer waits for a full batch; the next heartbeat ends the wait.
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

    /// Arranges that pending content is sent to `peer`: by this thread after the lock is released, or by the peer's
    /// replicator.
    fn schedule_send(&self, peer: ServerId, send_policy: SendPolicy, follow_ups: &mut FollowUps) {
        match send_policy {
            SendPolicy::CallingThread | SendPolicy::CallingThreadIfInline => follow_ups.send_to.insert(peer),
            SendPolicy::Replicators => self.replicate[peer.0].notify_one(),
        }
    }

    /// Returns the committed entries that were not delivered yet. They now count as delivered.
    pub(crate) fn take_committed(&self) -> Vec<ApplyMsg> {
        self.state.lock().core.take_committed()
    }

    /// Notifies the consumer of newly committed entries. Returns `false` if there is no consumer.
    pub(crate) fn notify_consumer(&self) -> bool {
        let Some(consumer) = self.consumer.get() else { return false };
        if let Some(consumer) = consumer.upgrade() {
            consumer.on_commit();
        }
        true
    }

    /// Registers the consumer: from now on it is notified of committed entries, and takes them itself.
    pub(crate) fn set_consumer(&self, consumer: Weak<dyn Consumer>) {
        // Hold the lock so that no entry is committed meanwhile.
        let state = self.state.lock();
        let nothing_committed = state.core.last_applied() == state.core.commit_index();
        assert!(
            nothing_committed && self.consumer.set(consumer).is_ok(),
            "a Raft has one consumer, registered before anything is committed"
        );
    }

    /// Sends the candidate's requests, each on a pooled thread, so that a call that is slow to fail delays nothing
    /// else.
    pub(crate) fn request_votes(self: &Arc<Self>, requests: Vec<(ServerId, RequestVoteArgs)>) {
        for (peer, args) in requests {
            self.request_vote(peer, args, VOTE_ATTEMPTS);
        }
    }

    /// Requests the vote of `peer`, up to `attempts` times if the network loses the request or the reply.
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

    /// Returns a channel of future state changes. It is already closed if the server was killed.
    pub(crate) fn subscribe(&self) -> Receiver<StateChange> {
        let mut state = self.state.lock();
        let changes = state.observers.subscribe();
        if self.killed() {
            state.observers.end_subscriptions();
        }
        changes
    }

    /// Returns whether the server was told to stop.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Tells all threads to end.
    pub(crate) fn kill(&self) {
        let pending_reads = {
            // Hold the lock so that no thread misses the signal between its check and its wait.
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
    /// Returns the `candidates` to send a heartbeat to, so that a quorum confirms this leadership. If enough candidates
    /// are reliable, it selects as many reliable ones as needed; otherwise it selects all candidates. A lost request
    /// would cost the waiting reads more than a few extra messages do.
    fn select_quorum(&self, candidates: ServerSet) -> ServerSet {
        let is_reliable = |peer: &ServerId| self.peer_timers[peer.0].consecutive_replies >= RELIABLE_AFTER_REPLIES;
        let needed = self.core.acks_needed();
        if candidates.iter().filter(|peer| is_reliable(peer)).count() < needed {
            return candidates;
        }
        candidates.iter().filter(is_reliable).take(needed).collect()
    }

    fn restart_election_timer(&mut self) {
        let timeout = Duration::from_millis(self.timeouts.random_range(ELECTION_TIMEOUT_MS));
        self.election_due = Instant::now() + timeout;
    }
}

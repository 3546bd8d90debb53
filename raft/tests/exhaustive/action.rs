//! The outcome of an action: a real `RawNode` receives it, and its owner carries out the Ready that follows. The
//! outcome depends only on the server and the action. So it is computed once and cached, because a server in the same
//! situation is part of very many states.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use raft::core::{Core, Entry, HardState, RoleName};
use raft::rawnode::{Body, Config, Message, RawNode, ReadState, TransferOutcome};
use raftapi::{Index, ServerId};

use crate::history::leader_append_only;
use crate::model::Mistake;
use crate::owner::Disk;
use crate::state::{Answers, Hashed, LastStep, Server};

/// Limit of the cached outcomes. Outcomes beyond it are computed again.
const CACHED_OUTCOMES_MAX: usize = 1 << 20;

/// An action, which changes one server.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) enum Action {
    Deliver(Hashed<Message>),
    Campaign(ServerId),
    Tick(ServerId),
    /// The sequence number of the proposal. Each number is a different command, so two entries are equal only if they
    /// are the same entry.
    Propose(ServerId, u8),
    Crash(ServerId),
    Compact(ServerId),
    /// The sequence number of the read.
    Read(ServerId, u8),
    /// The server loses its data and is started again to be replaced.
    LoseData(ServerId),
    /// The first server answers the second one, which replaces a server without data.
    Answer(ServerId, ServerId),
    /// The server has its answers and takes part.
    Join(ServerId),
}

/// The outcome of an action.
pub(crate) struct Outcome {
    pub(crate) server: Hashed<Server>,
    /// The messages that the server sends.
    pub(crate) messages: Vec<Hashed<Message>>,
    /// The entries that its owner applies.
    pub(crate) applied: Vec<(Index, Entry)>,
    pub(crate) reads: Vec<ReadState>,
    /// The index up to which it considers entries committed.
    pub(crate) commit: Index,
    /// Whether its role, term, log or commit index has changed, or it has applied an entry.
    pub(crate) changes_history: bool,
    /// Whether it only appended to its log, if it was leader the whole time.
    pub(crate) appends_only: bool,
    pub(crate) last: LastStep,
    /// Whether the server was and is a follower with the same term, vote and log. At most the leader that it knows, its
    /// commit index and its applied index have changed.
    pub(crate) only_informs: bool,
    /// Whether the server is unchanged and only sends something.
    pub(crate) changes_nothing: bool,
}

/// The behaviour of a server and its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behavior {
    pub(crate) servers: usize,
    pub(crate) mistake: Mistake,
    /// Whether the applied state survives a crash.
    pub(crate) state_survives: bool,
    /// Whether the first entry of a batch may also be sent alone.
    pub(crate) split_batches: bool,
}

/// The cached outcomes; `None` for an action without effect.
#[derive(Default)]
pub(crate) struct Outcomes(RwLock<BTreeMap<OutcomeKey, Option<Arc<Outcome>>>>);

/// The hashes of a server and of an action.
type OutcomeKey = (u64, u64);

impl Action {
    /// Returns the server that the action changes.
    pub(crate) fn server(&self) -> ServerId {
        match self {
            Action::Deliver(message) => message.to,
            Action::Campaign(id) | Action::Tick(id) | Action::Propose(id, _) => *id,
            Action::Crash(id) | Action::Compact(id) | Action::Read(id, _) => *id,
            Action::LoseData(id) | Action::Answer(id, _) | Action::Join(id) => *id,
        }
    }
}

impl Outcomes {
    pub(crate) fn get_or_compute(
        &self,
        behavior: Behavior,
        before: &Hashed<Server>,
        action: &Action,
    ) -> Option<Arc<Outcome>> {
        let key = (before.digest(), Hashed::hash_of(action));
        if let Some(known) = self.0.read().get(&key) {
            return known.clone();
        }
        let outcome = behavior.act(before, action).map(Arc::new);
        let mut known = self.0.write();
        if known.len() < CACHED_OUTCOMES_MAX {
            known.insert(key, outcome.clone());
        }
        outcome
    }
}

impl Behavior {
    /// Starts a server from its disk.
    pub(crate) fn start(self, disk: Disk, me: ServerId) -> Server {
        let config = Config { heartbeat_ticks: 1, reply_timeout_ticks: 1, ..disk.config(me, self.servers) };
        Server { raw: RawNode::new(config).expect("the saved state is complete"), disk, answers: None }
    }

    /// Computes an outcome; `None` if nothing changes and nothing is sent.
    fn act(self, before: &Hashed<Server>, action: &Action) -> Option<Outcome> {
        let mut server = Server::clone(before);
        let mut last = LastStep::default();
        match action {
            Action::Deliver(message) => {
                let stepped = server.raw.step(Message::clone(message));
                // A node refuses some of the messages that its owner should have discarded.
                if self.mistake == Mistake::AcceptsLateMessages && stepped.is_err() {
                    return None;
                }
                stepped.expect("a node's message");
            }
            Action::Campaign(_) => server.raw.campaign(),
            Action::Tick(_) => server.raw.tick(|| unreachable!("a leader has no election timer")),
            Action::Propose(_, number) => {
                server.raw.propose(vec![*number].into()).expect("it leads");
            }
            Action::Crash(id) => {
                last.voter_restarted = server.raw.core().voted_for().is_some_and(|candidate| candidate != *id);
                server = self.restart(server, *id);
            }
            Action::Compact(_) => server.raw.compact(server.disk.applied),
            Action::Read(_, number) => server.raw.read_index(u64::from(*number)).ok()?,
            Action::LoseData(id) => {
                server = Server { answers: Some(Answers::default()), ..self.start(Disk::default(), *id) };
            }
            Action::Answer(_, replaced) => server.raw.peer_replaced(*replaced),
            Action::Join(id) => {
                let Answers { term, commit, .. } = server.answers?;
                let mut disk = Disk::default();
                disk.hard_state = HardState { term, voted_for: Some(*id) };
                disk.catch_up_to = match self.mistake {
                    Mistake::VotesAtOnce => None,
                    Mistake::IgnoresCommitIndex => Some(Index::ZERO),
                    _ => Some(commit),
                };
                server = self.start(disk, *id);
            }
        }
        let outcome = self.carry_out(before.raw.core(), server, last);
        let changes_nothing = outcome.server == *before
            && outcome.reads.is_empty()
            && !matches!(action, Action::Crash(_) | Action::Answer(..));
        let nothing = changes_nothing && outcome.messages.is_empty();
        (!nothing).then_some(Outcome { changes_nothing, ..outcome })
    }

    /// Carries out every Ready, in its order.
    fn carry_out(self, before: &Core, mut server: Server, mut last: LastStep) -> Outcome {
        let (mut messages, mut applied, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        while server.raw.has_ready() {
            let ready = server.raw.ready();
            server.disk.save(&ready);
            last.log_truncated |= ready.entries.as_ref().is_some_and(|new| new.truncates);
            last.snapshot_installed |= ready.snapshot.is_some();
            if self.split_batches {
                messages.extend(ready.messages.iter().filter_map(first_part));
            }
            messages.extend(ready.messages);
            for order in ready.snapshot_tasks {
                // The snapshot is made and sent at once. It may arrive at any later moment.
                let index = server.disk.applied;
                let term = server.disk.term(index).expect("the owner knows the term of what it has applied");
                messages.push(order.message(index, term, Bytes::new()).expect("the node leads the term of its task"));
                server.raw.report_snapshot(&order, TransferOutcome::Arrived);
            }
            for entry in ready.committed {
                server.disk.applied = entry.index;
                applied.push((entry.index, Entry { term: entry.term, command: entry.command }));
            }
            last.read_confirmed |= ready.reads.iter().any(|read| read.index.is_some());
            last.read_lost |= ready.reads.iter().any(|read| read.index.is_none());
            reads.extend(ready.reads);
            server.raw.advance();
        }
        last.caught_up = server.disk.catch_up_to.is_some() && server.raw.catch_up_to().is_none();
        server.disk.catch_up_to = server.raw.catch_up_to();
        let core = server.raw.core();
        let commit = match self.mistake {
            Mistake::CommitsByCounting => index_on_a_majority(core, self.servers).max(core.commit_index()),
            _ => core.commit_index(),
        };
        applied.extend((core.commit_index().next().0..=commit.0).map(Index).map(|index| {
            let entry = core.log().get(index).expect("an entry on a majority is in the leader's log");
            (index, entry.clone())
        }));
        let changes_history = before.soft_state() != core.soft_state()
            || before.log() != core.log()
            || before.commit_index() != core.commit_index()
            || !applied.is_empty();
        let reads_settled = reads.len();
        Outcome {
            messages: messages.into_iter().map(Hashed::new).collect(),
            applied,
            reads,
            commit,
            only_informs: only_informs(before, core) && reads_settled == 0,
            changes_history,
            appends_only: leader_append_only(before, core),
            last,
            changes_nothing: false,
            server: Hashed::new(server),
        }
    }

    fn restart(self, server: Server, me: ServerId) -> Server {
        let mut disk = server.disk;
        if self.mistake == Mistake::ForgetsItsVote {
            disk.hard_state.voted_for = None;
        }
        if self.mistake == Mistake::LosesItsLastEntry {
            disk.lose_last_entry();
        }
        if !self.state_survives {
            disk.applied = server.raw.core().log().base_index();
        }
        self.start(disk, me)
    }
}

fn only_informs(before: &Core, after: &Core) -> bool {
    let follows = |core: &Core| core.soft_state().role == RoleName::Follower;
    follows(before)
        && follows(after)
        && before.hard_state() == after.hard_state()
        && before.log() == after.log()
        && before.catch_up_to() == after.catch_up_to()
}

/// Returns the message with the first entry alone, if it has several.
fn first_part(message: &Message) -> Option<Message> {
    let mut part = message.clone();
    let Body::AppendEntries { args, .. } = &mut part.body else { return None };
    let has_several = args.entries.len() > 1;
    args.entries.truncate(1);
    has_several.then_some(part)
}

/// Returns the highest index that a leader knows to be stored on a majority, whatever its term; 0 if it does not lead.
fn index_on_a_majority(core: &Core, servers: usize) -> Index {
    if !core.is_leader() {
        return Index::ZERO;
    }
    let of_peers = core.peers().filter_map(|peer| core.progress(peer)).map(|progress| progress.match_index());
    let mut reached: Vec<Index> = of_peers.chain([core.log().last_index()]).collect();
    reached.sort_unstable();
    reached[servers - (servers / 2 + 1)]
}

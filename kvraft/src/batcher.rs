//! Batching of proposals. While one thread gives a batch of operations to Raft, newly arriving operations collect here
//! and form the next batch. A batch costs one step of Raft, one save, and one message per peer. All its work happens on
//! one processor, whose cache holds the data.
//!
//! Under low load no thread is reserved for this work. A thread that brings an operation, while no other thread is
//! proposing, proposes it itself. If more and more operations arrive, that thread hands over to a background thread of
//! the server, because its own client is waiting.

use bytes::Bytes;
use labrpc::Answer;
use labstd::sync::{Condvar, Mutex};
use labstd::thread;
use raftapi::{Index, Raft, Started};

use crate::messages::{OperationId, Reply};
use crate::server::Shared;
use crate::waiters::WaiterId;

/// Number of batches that a calling thread proposes before it hands over to the background thread. It bounds the delay
/// of the thread's own client.
const CALLER_BATCHES_MAX: usize = 4;

/// Operations that are not yet given to Raft, and the thread that is to propose them.
#[derive(Default)]
pub(crate) struct ProposalBatcher {
    state: Mutex<State>,
    /// Signalled when the background thread has to propose, or has to end.
    wake_background: Condvar,
}

#[derive(Default)]
struct State {
    proposals: Vec<Proposal>,
    /// The thread that gives the collected proposals to Raft.
    proposer: Proposer,
    closed: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Proposer {
    /// No thread is proposing; the next caller becomes the proposer.
    #[default]
    None,
    /// A thread that brought an operation.
    Caller,
    /// The server's background thread.
    Background,
}

/// The commands that one request adds to the log.
pub(crate) struct Proposal {
    /// The identity of the operation, or of the last one.
    pub(crate) id: OperationId,
    pub(crate) entries: Entries,
    /// The request that waits for the result.
    pub(crate) answer: Answer<Reply>,
}

/// The encoded commands of a request: at least one.
pub(crate) enum Entries {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Entries {
    fn len(&self) -> usize {
        match self {
            Entries::One(_) => 1,
            Entries::Many(entries) => entries.len(),
        }
    }
}

/// Adds `proposal` to the next batch. If no other thread is proposing, this thread gives the batch to Raft, together
/// with the operations that arrive in the meantime.
pub(crate) fn submit<R: Raft>(shared: &Shared<R>, proposal: Proposal) {
    {
        let mut batcher = shared.batcher.state.lock();
        if batcher.closed {
            drop(batcher);
            return proposal.answer.give(&Reply::WrongLeader);
        }
        batcher.proposals.push(proposal);
        if batcher.proposer != Proposer::None {
            return;
        }
        batcher.proposer = Proposer::Caller;
    }
    for _ in 0..CALLER_BATCHES_MAX {
        if !propose_batch(shared) {
            return;
        }
    }
    shared.batcher.state.lock().proposer = Proposer::Background;
    shared.batcher.wake_background.notify_one();
}

/// Body of the background thread.
pub(crate) fn run<R: Raft>(shared: &Shared<R>) {
    loop {
        {
            let mut batcher = shared.batcher.state.lock();
            while batcher.proposer != Proposer::Background && !batcher.closed {
                shared.batcher.wake_background.wait(&mut batcher);
            }
            if batcher.closed {
                return;
            }
        }
        while propose_batch(shared) {
            // Clients that have just been answered may bring their next operations.
            thread::yield_now();
        }
    }
}

/// Gives all collected proposals to Raft. If there are none, sets the proposer to `None` and returns `false`.
fn propose_batch<R: Raft>(shared: &Shared<R>) -> bool {
    let proposals = {
        let mut batcher = shared.batcher.state.lock();
        if batcher.proposals.is_empty() {
            batcher.proposer = Proposer::None;
            return false;
        }
        std::mem::take(&mut batcher.proposals)
    };
    let mut entries = Vec::with_capacity(proposals.len());
    let waiters = shared.with_state(|state| -> Vec<(WaiterId, usize)> {
        proposals
            .into_iter()
            .map(|proposal| {
                let before = entries.len();
                let last = before + proposal.entries.len() - 1;
                match proposal.entries {
                    Entries::One(entry) => entries.push(entry),
                    Entries::Many(more) => entries.extend(more),
                }
                (state.waiters.register(proposal.id, proposal.answer), last)
            })
            .collect()
    });
    // Raft takes its own lock and writes to its disk. The applier must be able to run meanwhile, so no lock is held
    // here.
    let first = shared.raft.start_many(entries);
    shared.with_state(|state| {
        for (waiter, offset) in waiters {
            match first {
                Some(Started { index, term }) => {
                    state.waiters.set_started(waiter, Started { index: Index(index.0 + offset as u64), term });
                }
                None => state.waiters.refuse(waiter),
            }
        }
        if shared.killed() {
            state.waiters.refuse_all();
        } else if !state.waiters.is_empty() && std::mem::take(&mut state.watcher_idle) {
            shared.wake_watcher.notify_one();
        }
    });
    true
}

impl ProposalBatcher {
    /// Ends the background thread and refuses all proposals that were not given to Raft.
    pub(crate) fn close(&self) {
        let proposals = {
            let mut batcher = self.state.lock();
            batcher.closed = true;
            std::mem::take(&mut batcher.proposals)
        };
        self.wake_background.notify_all();
        proposals.into_iter().for_each(|proposal| proposal.answer.give(&Reply::WrongLeader));
    }
}

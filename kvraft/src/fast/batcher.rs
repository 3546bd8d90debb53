//! Batching of proposals. While one thread gives a batch of operations to Raft, newly arriving operations collect here
//! and form the next batch. A batch costs one step of Raft, one save, and one message per peer. All its work happens on
//! one processor, whose cache holds the data.
//!
//! Under low load no thread is reserved for this work. A thread that brings an operation, while no other thread is
//! proposing, proposes it itself. If more and more operations arrive, that thread hands over to a background thread of
//! the server, because its own client is waiting.

use bytes::Bytes;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use raftapi::{Index, RaftExt, ServerId, Started};

use crate::messages::{OperationId, Reply};
use crate::recipient::Recipient;
use crate::shared::Shared;

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

/// An operation on its way into the log.
struct Proposal {
    id: OperationId,
    /// The encoded command.
    entry: Bytes,
    /// The request that waits for the result.
    recipient: Recipient,
}

/// Starts the background thread.
pub(crate) fn spawn<R: RaftExt>(me: ServerId, shared: &Arc<Shared<R>>) {
    let proposing = Arc::clone(shared);
    thread::spawn(format!("{me}/kv-proposer"), move || run(&proposing));
}

/// Adds an operation to the next batch. If no other thread is proposing, this thread gives the batch to Raft, together
/// with the operations that arrive in the meantime.
pub(crate) fn submit<R: RaftExt>(shared: &Shared<R>, id: OperationId, entry: Bytes, recipient: Recipient) {
    {
        let mut batcher = shared.fast.batcher.state.lock();
        if batcher.closed {
            drop(batcher);
            return recipient.give(Reply::WrongLeader);
        }
        batcher.proposals.push(Proposal { id, entry, recipient });
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
    shared.fast.batcher.state.lock().proposer = Proposer::Background;
    shared.fast.batcher.wake_background.notify_one();
}

/// Body of the background thread.
fn run<R: RaftExt>(shared: &Shared<R>) {
    loop {
        {
            let mut batcher = shared.fast.batcher.state.lock();
            while batcher.proposer != Proposer::Background && !batcher.closed {
                shared.fast.batcher.wake_background.wait(&mut batcher);
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
fn propose_batch<R: RaftExt>(shared: &Shared<R>) -> bool {
    let proposals = {
        let mut batcher = shared.fast.batcher.state.lock();
        if batcher.proposals.is_empty() {
            batcher.proposer = Proposer::None;
            return false;
        }
        std::mem::take(&mut batcher.proposals)
    };
    let mut entries = Vec::with_capacity(proposals.len());
    let mut waiters = Vec::with_capacity(proposals.len());
    shared.with_state(|state| {
        for Proposal { id, entry, recipient } in proposals {
            entries.push(entry);
            waiters.push(state.waiters.register(id, recipient));
        }
    });
    // Raft takes its own lock and writes to its disk. The applier must be able to run meanwhile, so no lock is held
    // here.
    let first = shared.raft.start_many(entries);
    shared.with_state(|state| {
        for (offset, waiter) in (0..).zip(waiters) {
            match first {
                Some(Started { index, term }) => {
                    state.waiters.set_started(waiter, Started { index: Index(index.0 + offset), term });
                }
                None => state.waiters.refuse(waiter),
            }
        }
        shared.complete_proposal(state);
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
        proposals.into_iter().for_each(|proposal| proposal.recipient.give(Reply::WrongLeader));
    }
}

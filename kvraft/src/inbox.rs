//! Where operations come together on their way into the log. While one thread gives some to Raft, those that arrive meanwhile
//! collect here, and go together next: one step of Raft, one save, one message a peer for all of them. And everything that
//! is done for them is done on one processor, whose cache has it.
//!
//! There is no thread whose task this would be, as long as there is little to do: whoever brings an operation and finds nobody
//! at it does it. If others bring more and more, it leaves them to the server's own thread, for its client waits.

use bytes::Bytes;
use labrpc::Answer;
use labstd::sync::{Condvar, Mutex};
use labstd::thread;
use raftapi::{Index, Raft, Started};

use crate::messages::{OperationId, Reply};
use crate::server::Shared;
use crate::waiters::Place;

/// How often a thread that has brought an operation gives Raft what has come together, before it leaves that to the server's.
const ROUNDS_MAX: usize = 4;

/// The operations that are on their way into the log.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Signalled when the server's own thread is to go on, or to end.
    handed_over: Condvar,
}

#[derive(Default)]
struct State {
    proposals: Vec<Proposal>,
    /// Who gives what comes to Raft.
    turn: Turn,
    closed: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Turn {
    /// Whoever comes next.
    #[default]
    Nobodys,
    /// A thread that has brought something.
    SomebodysWhoCame,
    /// The server's own thread.
    TheServers,
}

/// What a request wants in the log.
pub(crate) struct Proposal {
    /// The operation, or the last one.
    pub(crate) id: OperationId,
    pub(crate) entries: Entries,
    /// Who waits for its result.
    pub(crate) answer: Answer<Reply>,
}

/// The commands of a request, encoded. There is at least one.
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

/// Gives `proposal` to Raft, together with what others bring in the meantime; or leaves it to a thread that does.
pub(crate) fn submit<R: Raft>(shared: &Shared<R>, proposal: Proposal) {
    {
        let mut inbox = shared.inbox.state.lock();
        if inbox.closed {
            drop(inbox);
            return proposal.answer.give(&Reply::WrongLeader);
        }
        inbox.proposals.push(proposal);
        if inbox.turn != Turn::Nobodys {
            return;
        }
        inbox.turn = Turn::SomebodysWhoCame;
    }
    for _ in 0..ROUNDS_MAX {
        if !propose_all(shared) {
            return;
        }
    }
    shared.inbox.state.lock().turn = Turn::TheServers;
    shared.inbox.handed_over.notify_one();
}

/// The life of the server's own thread.
pub(crate) fn run<R: Raft>(shared: &Shared<R>) {
    loop {
        {
            let mut inbox = shared.inbox.state.lock();
            while inbox.turn != Turn::TheServers && !inbox.closed {
                shared.inbox.handed_over.wait(&mut inbox);
            }
            if inbox.closed {
                return;
            }
        }
        while propose_all(shared) {
            // Those who were answered have more to bring, if they can.
            thread::yield_now();
        }
    }
}

/// Gives Raft what has come together. `false` if nothing has; then it is nobody's turn any more.
fn propose_all<R: Raft>(shared: &Shared<R>) -> bool {
    let proposals = {
        let mut inbox = shared.inbox.state.lock();
        if inbox.proposals.is_empty() {
            inbox.turn = Turn::Nobodys;
            return false;
        }
        std::mem::take(&mut inbox.proposals)
    };
    let mut entries = Vec::with_capacity(proposals.len());
    let places = shared.with_state(|state| -> Vec<(Place, usize)> {
        proposals
            .into_iter()
            .map(|proposal| {
                let before = entries.len();
                let last = before + proposal.entries.len() - 1;
                match proposal.entries {
                    Entries::One(entry) => entries.push(entry),
                    Entries::Many(more) => entries.extend(more),
                }
                (state.waiters.join(proposal.id, proposal.answer), last)
            })
            .collect()
    });
    // Raft takes its own lock, and writes to its disk. The applier must be able to go on meanwhile.
    let first = shared.raft.start_many(entries);
    shared.with_state(|state| {
        for (place, nth) in places {
            match first {
                Some(Started { index, term }) => {
                    state.waiters.started(place, Started { index: Index(index.0 + nth as u64), term });
                }
                None => state.waiters.refuse_place(place),
            }
        }
        if shared.killed() {
            state.waiters.refuse_all();
        } else if !state.waiters.is_empty() && std::mem::take(&mut state.watcher_sleeps) {
            shared.watcher.notify_one();
        }
    });
    true
}

impl Inbox {
    /// Ends the server's own thread. What was left to it is refused.
    pub(crate) fn close(&self) {
        let left = {
            let mut inbox = self.state.lock();
            inbox.closed = true;
            std::mem::take(&mut inbox.proposals)
        };
        self.handed_over.notify_all();
        left.into_iter().for_each(|proposal| proposal.answer.give(&Reply::WrongLeader));
    }
}

//! The interface of a Raft server (raft-lab handout: `Make`, `Start`, `GetState`, `Snapshot`, `Kill`).

use std::sync::{Arc, Weak};

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::{Receiver, Sender};

use crate::{Index, Persister, ServerId, StateChange, Status, Term};

/// One server of a Raft cluster, as the tester and the key/value service see it.
///
/// All methods may be called from any thread at any time. None of them may wait for
/// the network or for agreement, but for [`read_index`](Raft::read_index).
pub trait Raft: Send + Sync + Sized + 'static {
    /// Builds a server and starts its threads; returns quickly.
    ///
    /// `peers[me]` is the server's own end and is not used. What an earlier incarnation saved is in `persister`. Every
    /// committed entry goes to `apply_ch`, in log order, without gaps.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged: a server that does not know what it promised must not take part.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Self;

    /// The RPC services of this server. The tester registers them with the network under the server's name.
    fn services(&self) -> Vec<Service>;

    /// Asks for agreement on `command`; returns at once.
    ///
    /// `None` means that this server is not the leader. `Some` says where the command will appear if it is ever
    /// committed; a leader that fails may lose it.
    fn start(&self, command: Bytes) -> Option<Started>;

    /// As [`start`](Raft::start), with several commands, which take places one behind the other at less than the cost of so many
    /// calls; says where the first one is. `None` means that this server does not lead; then some of them may be in its log all
    /// the same. By default each is started by itself, and others may come in between.
    fn start_many(&self, commands: Vec<Bytes>) -> Option<Started> {
        let started: Option<Vec<Started>> = commands.into_iter().map(|command| self.start(command)).collect();
        started?.first().copied()
    }

    /// The current term, and whether this server believes that it is the leader.
    fn get_state(&self) -> (Term, bool);

    /// How far a service must have applied to answer a read that begins now without putting it into the log (ReadIndex;
    /// dissertation, section 6.4).
    ///
    /// The only method that may wait for the network: until a majority has confirmed that this server still led after
    /// the call began. A server that is cut off waits until it hears of a newer leader, is healed, or is killed.
    ///
    /// `None` means that the read has to go through the log: this server does not lead, lost its leadership while it
    /// waited, has not committed anything in its term yet (it cannot know the commit index then), was killed, or does not
    /// offer this at all, which is the default.
    fn read_index(&self) -> Option<Index> {
        None
    }

    /// As [`read_index`](Raft::read_index), but waits for nothing: `then` is called with the index, or with `None`, once it is
    /// known, on this thread or on another, while no lock of the Raft is held. By default it is called with `None` at once.
    fn read_index_then(&self, then: Box<dyn FnOnce(Option<Index>) + Send>) {
        then(None);
    }

    /// Asks that `consumer` be told when more is committed, so that it [takes](Raft::take_committed) it; then nothing goes into
    /// the apply channel, and no thread has to wake to carry it there. To be asked right after [`make`](Raft::make), before the
    /// server is in the network. `false` means that this is not offered, which is the default.
    fn deliver_to(&self, consumer: Weak<dyn Consumer>) -> bool {
        drop(consumer);
        false
    }

    /// Everything that is committed and was not taken before, in log order: what would have gone into the apply channel. It
    /// counts as applied, so whoever takes it must apply it before what the next call gives. Nothing, unless the Raft
    /// [delivers to a consumer](Raft::deliver_to).
    fn take_committed(&self) -> Vec<ApplyMsg> {
        Vec::new()
    }

    /// Where the server stands, all of it at one moment; `None` if it does not say, which is the default. For whoever looks
    /// from outside: nothing in the lab depends on it.
    fn status(&self) -> Option<Status> {
        None
    }

    /// A channel of changes from now on, so that a service need not ask again and again; `None` if there is none, which is
    /// the default. How things stood before is for [`get_state`](Raft::get_state) to say, after this call.
    ///
    /// Each call gives a channel of its own, which gets every change, in order, and before any other call shows it. The
    /// channel ends (after what is in it) when the server is killed, and also if too much is left unread in it: a Raft never
    /// waits for a receiver. One may be dropped at any time.
    fn subscribe(&self) -> Option<Receiver<StateChange>> {
        None
    }

    /// The service has a snapshot of everything up to and including `index`; the log up to there may go.
    fn snapshot(&self, index: Index, snapshot: Bytes);

    /// The size in bytes of the saved Raft state, snapshot not included.
    fn persist_bytes(&self) -> usize;

    /// Asks the server to stop. Its threads must end soon (the tester allows 2 s of the run's clock); it need not
    /// wait for them.
    fn kill(&self);
}

/// A service that takes what is committed by itself ([`Raft::deliver_to`]).
pub trait Consumer: Send + Sync {
    /// More is committed. Called on whichever thread has brought that about, often that of a client; no lock of the Raft is
    /// held, but calls of several threads may overlap.
    fn committed(&self);
}

/// Where a command was placed in the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The index at which the command will appear if it is ever committed.
    pub index: Index,
    /// The leader's term.
    pub term: Term,
}

/// What a Raft delivers to its service, in log order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyMsg {
    /// A committed entry.
    Command {
        /// The entry's position in the log.
        index: Index,
        /// The entry's term.
        term: Term,
        /// The command as it was given to [`Raft::start`].
        command: Bytes,
    },
    /// A snapshot that replaces everything up to and including `index`.
    Snapshot {
        /// The index of the last entry that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
        /// The bytes that a service once gave to [`Raft::snapshot`].
        snapshot: Bytes,
    },
}

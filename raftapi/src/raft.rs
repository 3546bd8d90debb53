//! The interface of a Raft server (raft-lab handout: `Make`, `Start`, `GetState`, `Snapshot`, `Kill`).

use std::sync::Arc;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;

use crate::{Index, Persister, ServerId, Term};

/// One server of a Raft cluster, as the tester and the key/value service see it.
///
/// These are the lab's methods; [`RaftExt`](crate::RaftExt) has optional ones. All methods may be called from any
/// thread at any time. None of them may wait for the network or for agreement.
pub trait Raft: Send + Sync + 'static {
    /// Builds a server and starts its threads; returns quickly.
    ///
    /// `peers[me]` is the server's own end and is not used. `persister` contains the state that an earlier incarnation
    /// saved. Every committed entry goes to `apply_ch`, in log order, without gaps. The channel has room for one
    /// message, so sending to it waits for the service, which may call this Raft before it takes the next message.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged, because a server that does not know its earlier promises must not take part.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Self
    where
        Self: Sized;

    /// Returns the RPC services of this server. The tester registers them with the network under the server's name.
    ///
    /// The tester delays, drops and counts messages by the names of their methods, and cannot see what they mean. So
    /// the service `Raft` must have the methods `RequestVote` and `AppendEntries`, and `InstallSnapshot` where there
    /// are snapshots (Figures 2 and 13), and each must be what its name says: a vote, entries or a heartbeat, a
    /// snapshot. It may have other methods. A Raft that exchanges messages instead of calls sends each message as a
    /// call of the method of its kind, and a message that answers another as that call's reply.
    fn services(&self) -> Vec<Service>;

    /// Asks for agreement on `command`; returns at once.
    ///
    /// `None` means that this server is not the leader. `Some` gives the index at which the command will appear if it
    /// is ever committed. If the leader fails, the command may be lost. The first command has index 1, and only
    /// commands have indexes: a Raft with entries of its own must not count them.
    fn start(&self, command: Bytes) -> Option<Started>;

    /// Returns the current term, and whether this server believes that it is the leader.
    fn get_state(&self) -> (Term, bool);

    /// Takes over the service's snapshot of all entries up to and including `index`. The Raft may discard these
    /// entries.
    fn snapshot(&self, index: Index, snapshot: Bytes);

    /// Returns the size in bytes of the saved Raft state, without the snapshot.
    fn persist_bytes(&self) -> usize;

    /// Asks the server to stop. Its threads must end soon (the tester allows 2 s of the run's clock). This method need
    /// not wait for them.
    fn kill(&self);
}

/// The place of a started command in the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The index at which the command will appear if it is ever committed.
    pub index: Index,
    /// The leader's term.
    pub term: Term,
}

/// A message that a Raft delivers to its service, in log order.
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
    /// A snapshot that replaces all entries up to and including `index`.
    Snapshot {
        /// The index of the last entry that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
        /// The bytes that a service once gave to [`Raft::snapshot`].
        snapshot: Bytes,
    },
}

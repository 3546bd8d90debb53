//! The interface of a Raft server (raft-lab handout: `Make`, `Start`, `GetState`, `Snapshot`, `Kill`).

use std::sync::{Arc, Weak};

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::{Receiver, Sender};

use crate::{Index, Persister, ServerId, StateChange, Status, Term};

/// One server of a Raft cluster, as the tester and the key/value service see it.
///
/// All methods may be called from any thread at any time. Only [`read_index`](Raft::read_index) may wait for the
/// network or for agreement.
pub trait Raft: Send + Sync + Sized + 'static {
    /// Builds a server and starts its threads; returns quickly.
    ///
    /// `peers[me]` is the server's own end and is not used. `persister` contains the state that an earlier incarnation
    /// saved. Every committed entry goes to `apply_ch`, in log order, without gaps.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged, because a server that does not know its earlier promises must not take part.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Self;

    /// Returns the RPC services of this server. The tester registers them with the network under the server's name.
    fn services(&self) -> Vec<Service>;

    /// Asks for agreement on `command`; returns at once.
    ///
    /// `None` means that this server is not the leader. `Some` gives the index at which the command will appear if it
    /// is ever committed. If the leader fails, the command may be lost.
    fn start(&self, command: Bytes) -> Option<Started>;

    /// Asks for agreement on several commands, like [`start`](Raft::start), in one cheaper call. The commands get
    /// consecutive indexes; returns that of the first one. `None` means that this server is not the leader; even then
    /// some of the commands may be in its log. By default each command is started separately, and other commands may
    /// come in between.
    fn start_many(&self, commands: Vec<Bytes>) -> Option<Started> {
        let started: Option<Vec<Started>> = commands.into_iter().map(|command| self.start(command)).collect();
        started?.first().copied()
    }

    /// Returns the current term, and whether this server believes that it is the leader.
    fn get_state(&self) -> (Term, bool);

    /// Returns the index that a service must have applied before it answers a read that begins now, if the read is not
    /// to go through the log (ReadIndex; dissertation, section 6.4).
    ///
    /// This is the only method that may wait for the network: it waits until a majority has confirmed that this server
    /// still led after the call began. An isolated server waits until it hears of a newer leader, is reconnected, or is
    /// killed.
    ///
    /// `None` means that the read has to go through the log. There are four reasons. This server is not the leader, or
    /// stepped down while it waited. It has not committed an entry of its term yet, and cannot know the commit index
    /// then. It was killed. Or it does not support ReadIndex, which is the default.
    fn read_index(&self) -> Option<Index> {
        None
    }

    /// Asks for a [read index](Raft::read_index) and does not wait for it. Once the result is known, `then` is called
    /// with the index or with `None`, on this thread or on another, while no lock of the Raft is held. By default
    /// `then` is called with `None` at once.
    fn read_index_then(&self, then: Box<dyn FnOnce(Option<Index>) + Send>) {
        then(None);
    }

    /// Registers a `consumer` that is notified of new committed entries and [takes](Raft::take_committed) them. The
    /// apply channel is then unused, and no thread has to wake to deliver into it. Call this right after
    /// [`make`](Raft::make), before the server joins the network. `false` means that the Raft does not support
    /// consumers, which is the default.
    fn deliver_to(&self, consumer: Weak<dyn Consumer>) -> bool {
        drop(consumer);
        false
    }

    /// Takes all committed entries that were not taken before, in log order: the messages that would have gone into the
    /// apply channel. They count as applied, so the caller must apply them before those of the next call. Returns
    /// nothing unless the Raft [delivers to a consumer](Raft::deliver_to).
    fn take_committed(&self) -> Vec<ApplyMsg> {
        Vec::new()
    }

    /// Returns the server's state at one moment. `None` means that the Raft does not support this, which is the
    /// default. It serves observers; nothing in the lab depends on it.
    fn status(&self) -> Option<Status> {
        None
    }

    /// Returns a channel of all changes from now on, so that a service need not poll. `None` means that the Raft does
    /// not support this, which is the default. To learn the present state, call [`get_state`](Raft::get_state) after
    /// this call.
    ///
    /// Each call returns a new channel. It receives every change, in order, before any other method shows the change.
    /// The channel is closed when the server is killed, and also when too many changes are unread, because a Raft never
    /// waits for a receiver. Changes that are in the channel can still be read. A receiver may be dropped at any time.
    fn subscribe(&self) -> Option<Receiver<StateChange>> {
        None
    }

    /// Takes over the service's snapshot of all entries up to and including `index`. The Raft may discard these entries.
    fn snapshot(&self, index: Index, snapshot: Bytes);

    /// Returns the size in bytes of the saved Raft state, without the snapshot.
    fn persist_bytes(&self) -> usize;

    /// Asks the server to stop. Its threads must end soon (the tester allows 2 s of the run's clock). This method need
    /// not wait for them.
    fn kill(&self);
}

/// A service that takes committed entries itself ([`Raft::deliver_to`]).
pub trait Consumer: Send + Sync {
    /// Notifies the service that there are new committed entries. The committing thread makes this call; often that is
    /// the thread of a client. No lock of the Raft is held, but calls of several threads may overlap.
    fn on_commit(&self);
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

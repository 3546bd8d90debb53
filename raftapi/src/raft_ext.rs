//! Abilities of a Raft beyond the lab's methods. A service over it uses them if they are there.

use std::sync::Weak;

use bytes::Bytes;
use labstd::channel::Receiver;

use crate::{ApplyMsg, Index, Raft, Started, StateChange, Status};

/// Optional abilities of a Raft: several commands in one call, reads without the log, delivery without the apply
/// channel, status, and subscriptions. Each has a default, so an implementation may be empty:
///
/// ```ignore
/// impl raftapi::RaftExt for Raft {}
/// ```
pub trait RaftExt: Raft {
    /// Asks for agreement on several commands, like [`start`](Raft::start), in one cheaper call. The commands get
    /// consecutive indexes; returns that of the first one. `None` means that this server is not the leader; even then
    /// some of the commands may be in its log. By default each command is started separately, and other commands may
    /// come in between.
    fn start_many(&self, commands: Vec<Bytes>) -> Option<Started> {
        let started: Option<Vec<Started>> = commands.into_iter().map(|command| self.start(command)).collect();
        started?.first().copied()
    }

    /// Asks for the index that a service must have applied before it answers a read that begins now, if the read is not
    /// to go through the log (ReadIndex; dissertation, section 6.4). Returns at once. `then` is called with the result
    /// as soon as a majority has confirmed that this server still led after the call began, on this thread or on
    /// another, while no lock of the Raft is held. On an isolated server that is when it hears of a newer leader, is
    /// reconnected, or is killed.
    ///
    /// `None` means that the read has to go through the log. There are four reasons. This server is not the leader, or
    /// stepped down while it waited. It has not committed an entry of its term yet, and cannot know the commit index
    /// then. It was killed. Or it does not support ReadIndex, which is the default.
    fn read_index_then(&self, then: Box<dyn FnOnce(Option<Index>) + Send>) {
        then(None);
    }

    /// Registers a `consumer` that is notified of new committed entries and [takes](RaftExt::take_committed) them. The
    /// apply channel is then unused, and no thread has to wake to deliver into it. Call this right after
    /// [`make`](Raft::make), before the server joins the network. `false` means that the Raft does not support
    /// consumers, which is the default.
    fn deliver_to(&self, consumer: Weak<dyn Consumer>) -> bool {
        drop(consumer);
        false
    }

    /// Takes all committed entries that were not taken before, in log order: the messages that would have gone into the
    /// apply channel. They count as applied, so the caller must apply them before those of the next call. Returns
    /// nothing unless the Raft [delivers to a consumer](RaftExt::deliver_to).
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
}

/// A service that takes committed entries itself ([`RaftExt::deliver_to`]).
pub trait Consumer: Send + Sync {
    /// Notifies the service that there are new committed entries. The committing thread makes this call; often that is
    /// the thread of a client. No lock of the Raft is held, but calls of several threads may overlap.
    fn on_commit(&self);
}

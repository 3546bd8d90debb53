//! The events of the loop.

use std::sync::mpsc::Sender;

use raft::rawnode::{SnapshotTask, TransferOutcome};

use super::command::Write;
use super::greeting::{Envelope, GreetingEvent};
use crate::storage::Image;
use crate::wire::ReplyTo;

/// Capacity of the event queue. A thread that adds an event to a full queue blocks, and so does the connection that it
/// serves.
pub(super) const QUEUE_CAPACITY: usize = 4096;

/// An event that the loop handles.
#[derive(Debug)]
pub(super) enum Event {
    /// A message from another server.
    Message(Envelope),
    /// A greeting to be written or judged.
    Greeting(GreetingEvent),
    /// A client's read of this key.
    Get(String, ReplyTo),
    /// A client's write.
    Write(Write, ReplyTo),
    /// A request for the server's status.
    Status(ReplyTo),
    /// A complete snapshot has arrived.
    SnapshotReceived(ReceivedSnapshot),
    /// A snapshot transfer to another server has succeeded or failed.
    SnapshotSent(SnapshotTask, TransferOutcome),
    /// The server must stop.
    Stop,
}

/// A complete and checked snapshot from a leader.
#[derive(Debug)]
pub(super) struct ReceivedSnapshot {
    /// The leader's InstallSnapshot message, without the data.
    pub(super) envelope: Envelope,
    /// The file with the data.
    pub(super) image: Image,
    /// Dropping this sender signals that the file is no longer needed.
    pub(super) _file_in_use: Sender<()>,
}

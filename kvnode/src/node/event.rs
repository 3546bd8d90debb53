//! What the loop is told.

use std::sync::mpsc::Sender;

use raft::rawnode::{Message, SnapshotOrder, Transfer};

use super::command::Write;
use crate::storage::Image;
use crate::wire::ReplyTo;

/// How many events may wait for the loop. Who brings one more waits, and so does the connection that it came over.
pub(super) const WAITING_MAX: usize = 4096;

/// Something that the loop has to see.
#[derive(Debug)]
pub(super) enum Event {
    /// Another server's message.
    Message(Message),
    /// A client reads this key.
    Get(String, ReplyTo),
    /// A client writes.
    Write(Write, ReplyTo),
    /// Somebody wants to know how the server is.
    Status(ReplyTo),
    /// A snapshot is here.
    SnapshotReceived(Received),
    /// A snapshot for another server has arrived there, or never will.
    SnapshotSent(SnapshotOrder, Transfer),
    /// The server is to end.
    Stop,
}

/// A snapshot that has come from a leader, whole and checked.
#[derive(Debug)]
pub(super) struct Received {
    /// What the leader says of it.
    pub(super) message: Message,
    /// Its content.
    pub(super) image: Image,
    /// Is dropped when the file is not needed any more.
    pub(super) _in_use: Sender<()>,
}

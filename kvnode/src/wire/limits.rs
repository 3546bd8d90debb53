//! How much a server lets others use, and how long it waits for them. Every number that bounds something is here.

use std::time::Duration;

/// The limits of one server (or one client) on what comes over its connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest request of a client, in bytes of its frame.
    pub request_bytes: usize,
    /// The longest reply to a client, in bytes of its frame. Longer than a request may be, because values grow by Appends.
    pub reply_bytes: usize,
    /// The longest message between servers, in bytes.
    pub message_bytes: usize,
    /// The longest piece of a snapshot, and the longest description of one, in bytes.
    pub chunk_bytes: usize,

    /// How many connections may be in their handshake at once. One more, and the oldest of them has to go: who means it
    /// is through in a moment, so those that are thrown out are those that stall.
    pub handshakes: usize,
    /// How many clients may be connected at once. One more is refused.
    pub clients: usize,
    /// How many requests one connection may have under way. A client that sends more is not read until some are answered.
    pub requests_under_way: usize,
    /// How many messages may wait for one peer. One more is dropped.
    pub queued_messages: usize,
    /// How many bytes of messages may wait for one peer.
    pub queued_bytes: usize,

    /// How long a connection to another server may take to be made.
    pub connect: Duration,
    /// How long a handshake may take, as a whole.
    pub handshake: Duration,
    /// How long the rest of a frame may take once it has begun; and how long a written piece of at most 256 KiB may take to
    /// be accepted by the other side.
    pub frame: Duration,
    /// How long a client may be connected without having a request under way.
    pub idle: Duration,
    /// How often a link asks whether the other server is still there.
    pub ping: Duration,
    /// How long a connection between servers may be silent before it is given up. Several times `ping`.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes: 1 << 20,
            reply_bytes: 32 << 20,
            message_bytes: 16 << 20,
            chunk_bytes: 1 << 20,
            handshakes: 64,
            clients: 256,
            requests_under_way: 1024,
            queued_messages: 4096,
            queued_bytes: 32 << 20,
            connect: Duration::from_secs(2),
            handshake: Duration::from_secs(5),
            frame: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            ping: Duration::from_secs(1),
            silence: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// How many connections a server of a cluster of `servers` has at most, of all kinds together. Each other server has one
    /// for messages and one for snapshots; those that were told to go may take a moment, and so count twice.
    pub fn connections(&self, servers: usize) -> usize {
        self.clients + 2 * (self.handshakes + 2 * servers.saturating_sub(1))
    }
}

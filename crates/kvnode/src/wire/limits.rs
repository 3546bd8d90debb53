//! Limits on the resources that others may use, and on waiting. Every such number is here.

use std::time::Duration;

/// Limits of one server (or one client) for its connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of a client's request, as a frame.
    pub request_bytes: usize,
    /// Most bytes of a reply to a client, as a frame. This is more than for a request, because Appends make values
    /// grow.
    pub reply_bytes: usize,
    /// Most bytes of a message between servers.
    pub message_bytes: usize,
    /// Most bytes of a chunk of a snapshot, and of the description of a snapshot.
    pub chunk_bytes: usize,

    /// Most connections in their handshake. One more closes the oldest of them. An honest handshake is short, so this
    /// closes stalled ones.
    pub handshakes: usize,
    /// Most connected clients. One more is refused.
    pub clients: usize,
    /// Most requests in flight on one connection. The server stops reading from a client with more, until some have
    /// their replies.
    pub requests_in_flight: usize,
    /// Most messages in the queue for one peer. One more is dropped.
    pub queued_messages: usize,
    /// Most bytes of messages in the queue for one peer.
    pub queued_bytes: usize,

    /// Time limit for opening a connection to another server.
    pub connect: Duration,
    /// Time limit of a whole handshake.
    pub handshake: Duration,
    /// Time limit for the rest of a frame after it has begun, and for the other side to accept a written piece of at
    /// most 256 KiB.
    pub frame: Duration,
    /// Time after which a client without requests in flight is disconnected.
    pub idle: Duration,
    /// Interval of a link's pings.
    pub ping: Duration,
    /// Time after which a silent connection between servers is closed. Several times `ping`.
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
            requests_in_flight: 1024,
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
    /// Returns the most connections, of all kinds, of a server in a cluster of `servers`. Each other server has one for
    /// messages and one for snapshots. Closing connections may remain for a moment, so handshakes and servers count
    /// twice.
    pub fn connections(&self, servers: usize) -> usize {
        self.clients + 2 * (self.handshakes + 2 * servers.saturating_sub(1))
    }
}

//! How processes talk: frames, who may speak, and what is refused.
//!
//! A server has one TCP port, for other servers and for clients. Everything is blocking sockets and threads: one accepts,
//! each connection has one that reads it, and nobody waits for anybody without a limit ([`Limits`]).
//!
//! ```text
//! a client          Connection, Clerk  ── requests, replies ──>  Listener ─> Handler::client_request
//! another server    Link               ── messages ───────────>           ─> Handler::peer_message
//!                   SnapshotSender     ── one snapshot ───────>           ─> Handler::snapshot
//! ```
//!
//! All of it is frames (`frame.rs`): a length, and a value encoded by `labgob`. What is said first is in `hello.rs`. A
//! client needs no secret: who can reach the port can use the service, which is why a server listens on the loopback
//! address unless it is told otherwise. Between servers frames are sealed (`noise.rs`), with keys that only those can make
//! who know the cluster's secret; so a message is what another server of the cluster has sent, or it is not accepted.
//!
//! # What a stranger can do
//!
//! Connect, and be disconnected. Whatever is sent instead of what should be (another protocol, random bytes, a length of
//! 4 GB, half a frame, one byte a second, nothing at all) ends that connection, with a line in the log, and with a reason
//! for the other side where it can be told. Memory is not allocated for what was not sent, the numbers of connections of each
//! kind are limited, and a stranger who takes long in the handshake has to go when others come. Clients can use up what is
//! there for clients; the other servers have their own places.
//!
//! # What may be lost
//!
//! A message between servers, at any time: [`Link::send`] never waits. And a connection of a client, with the replies that
//! were under way: then nobody knows whether a write was executed, and the same write with the same number is sent again.

mod clerk;
mod connection;
mod error;
pub mod frame;
mod guests;
mod handler;
mod hello;
mod limits;
mod link;
mod listener;
pub(crate) mod messages;
pub mod noise;
pub(crate) mod outbox;
mod queue;
mod registry;
mod secret;
mod snapshot;
pub mod socket;

pub use clerk::{Clerk, ClerkError, ClerkSettings};
pub use connection::{CallError, Connection, Pending};
pub use error::WireError;
pub use handler::{Handler, ReplyTo};
pub use hello::VERSION;
pub use limits::Limits;
pub use link::{Link, LinkChange, LinkStats};
pub use listener::{Bound, Listener};
pub use messages::{ClientReply, ClientRequest, Verdict, WriteOp};
pub use secret::{Identity, SECRET_BYTES_MIN, Secret};
pub use snapshot::{SnapshotChunks, SnapshotError, SnapshotSender};

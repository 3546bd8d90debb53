//! The protocol between processes: frames, authentication, and limits.
//!
//! A server has one TCP port for other servers and clients. It uses blocking sockets and threads: one thread accepts,
//! and each connection has one thread that reads it. Every wait has a limit ([`Limits`]).
//!
//! ```text
//! a client          Connection, Clerk  ── requests, replies ──>  Listener ─> Handler::client_request
//! another server    PeerLink           ── messages ───────────>           ─> Handler::peer_message
//!                   SnapshotSender     ── one snapshot ───────>           ─> Handler::snapshot
//! ```
//!
//! All data is sent in frames (`frame.rs`): a length, and a value encoded by `labgob`. `hello.rs` has the first
//! messages of a connection. A client needs no secret: any process that can reach the port can use the service, so a
//! server listens on the loopback address by default. Frames between servers are sealed (`noise.rs`) with keys that
//! require the cluster's secret. So a server accepts a message only if another server of the cluster sent it. Before
//! the first message, the two servers exchange greetings, with which their owners decide whether they belong together
//! (`greeter.rs`).
//!
//! # Strangers
//!
//! A stranger, that is, a process without the secret, can connect and is then disconnected. Any invalid input (another
//! protocol, random bytes, a length of 4 GB, half a frame, one byte a second, nothing at all) ends the connection, with
//! a line in the log and, where possible, with a reason for the other side. A server allocates no memory for data that
//! has not arrived, and limits the number of connections of each kind. A connection that takes long in its handshake is
//! closed when others arrive. Clients can exhaust the capacity for clients, but the other servers have their own
//! capacity.
//!
//! # Losses
//!
//! A message between servers may be lost at any time: [`PeerLink::send`] never waits. A client's connection may be lost
//! together with the replies in flight. Then the client does not know whether a write was executed, and sends the same
//! write with the same number again.

mod clerk;
mod connection;
mod error;
pub mod frame;
mod greeter;
mod handler;
mod hello;
mod hello_reply;
mod limits;
mod listener;
mod listener_context;
pub(crate) mod messages;
pub mod noise;
pub(crate) mod outbox;
mod peer_link;
mod queue;
mod registry;
mod secret;
mod sessions;
mod snapshot;
pub mod socket;
mod warnings;

pub use clerk::{Clerk, ClerkError, ClerkSettings};
pub use connection::{CallError, Connection, PendingReply};
pub use error::WireError;
pub use greeter::{AdmitAll, Greeter};
pub use handler::{Handler, ReplyTo};
pub use hello_reply::VERSION;
pub use limits::Limits;
pub use listener::{BoundPort, Listener};
pub use messages::{ClientReply, ClientRequest, Verdict, WriteOp};
pub use peer_link::{LinkChange, LinkStats, PeerLink};
pub use secret::{Identity, SECRET_BYTES_MIN, Secret};
pub use snapshot::{SnapshotChunks, SnapshotError, SnapshotSender};

//! The key/value service on top of your Raft (section 8 of the paper). Parts 4A and 4B.
//!
//! A clerk calls one server after the other until the leader replies. The leader puts the request into the log, even a
//! Get, and waits. Every server applies the entries of the log, in order. Then the waiting leader replies. A clerk that
//! gets no reply retries, so a server must remember which operations it has executed.
//!
//! - `messages.rs`: the request and the reply. Given.
//! - `clerk.rs`: the client. Part 4A.
//! - `server.rs`: the service. Part 4A; its snapshots are part 4B.

mod clerk;
mod messages;
mod server;

pub use clerk::Clerk;
pub use server::KvServer;

//! The key/value service on top of your Raft (section 8 of the paper). Parts 4A and 4B.
//!
//! A clerk asks one server after the other until the leader answers. The leader puts what was asked into the log, Get
//! too, and waits; every server does what comes out of the log, in order; the one that waits answers. A clerk that got
//! no answer asks again, so a server has to know what it has done already.
//!
//! - `messages.rs`: what a clerk asks, and what it is answered. Given.
//! - `clerk.rs`: the client. Part 4A.
//! - `server.rs`: the service. Part 4A; its snapshots are part 4B.

mod clerk;
mod messages;
mod server;

pub use clerk::Clerk;
pub use server::KvServer;

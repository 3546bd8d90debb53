//! The reference key/value server and its clerk, over any Raft. It shows a correct solution of the lab's last part.
//!
//! Raft makes the servers agree on a sequence of commands; a service gives the commands a meaning. Here each server
//! keeps a map from keys to values. All servers apply the same commands in the same order, so all maps are equal. To
//! its clients the service looks like one map on one machine that never fails (*linearizability*).
//!
//! # Follow one Append
//!
//! ```text
//! client's thread       clerk.append("k", "x")
//!   clerk.rs              Clerk::write numbers the operation; all retries use the same number
//!                         it calls one server after the other, starting with the one that answered last
//! handler's thread      service KvServer, method Write
//!   handlers.rs           begin_write: is the operation in the duplicate table?
//!   proposals.rs          if not: the request is registered as waiting,
//!   waiters.rs              then Raft::start is called without a lock: a follower refuses, a leader appends
//!   handlers.rs           wait: the handler waits on its condition variable;
//!                           meanwhile Raft replicates the entry to a majority and commits it
//! applier thread        (on every server) reads the apply channel
//!   applier.rs            takes and decodes the entry
//!   store.rs              Store::apply: if it is not a duplicate, the value grows and the table records the number
//!   waiters.rs            on the leader, the requests that wait for this operation are settled
//!   shared.rs             and their handlers are woken when the lock is released
//! client's thread         has a definite reply: the clerk's next operation gets the next number
//! ```
//!
//! This is the plain path. The default feature `fast` replaces some of its steps by faster ones, each in a file of its
//! own (`fast/mod.rs`). `docs/performance.md` shows what each of them buys.
//!
//! # Failures on the way
//!
//! - **The reply is lost.** The clerk retries with the same number. The number is in the table, so the server answers
//!   and does not execute the operation again.
//! - **The request arrives twice.** One execution answers both copies.
//! - **Both copies get into the log.** The second one changes nothing when it is applied. Its request is answered all
//!   the same.
//! - **The leader is deposed before it commits.** The entry is lost, or another leader commits it. The waiting handler,
//!   which checks now and then, or an entry of a later term refuses the request with `WrongLeader`, and the clerk tries
//!   the next server.
//! - **The leader is cut off.** It cannot commit, so its requests wait until it is connected again.
//! - **The server dies.** Its waiting requests get `WrongLeader`, if their clients can still be reached.
//!
//! A Get changes nothing, but it goes through the log like an Append: its entry shows that the leader still leads when
//! it is committed. `fast/reads.rs` does without the entry.
//!
//! # Where to find what
//!
//! | topic | file |
//! |---|---|
//! | the client | `clerk.rs` |
//! | the messages on the network, and the commands in the log | `messages.rs` |
//! | the server | `server.rs` |
//! | the state that its threads share, and its one lock | `shared.rs` |
//! | the handlers of Put, Append and Get | `handlers.rs` |
//! | an operation on its way into the log | `proposals.rs` |
//! | the map and the duplicate table | `store.rs` |
//! | applying entries, making and installing snapshots | `applier.rs`, `snapshot_policy.rs` |
//! | the waiting requests and their replies | `waiters.rs`, `recipient.rs` |
//! | optimizations, one file each | `fast/mod.rs` |

mod applier;
mod clerk;
#[cfg(feature = "fast")] // fast
mod fast; // fast
mod handlers;
pub mod messages;
mod proposals;
mod recipient;
mod server;
mod shared;
mod snapshot_policy;
mod store;
mod value;
mod waiters;

pub use clerk::Clerk;
#[cfg(feature = "fast")] // fast: pipeline
pub use fast::pipeline::{Pipeline, SubmissionId}; // fast: pipeline
pub use server::KvServer;

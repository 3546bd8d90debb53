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
//!                       service KvServer, method Write: the handler never blocks, so it runs on this thread too
//!   writes.rs             handle_write: is the operation in the duplicate table?
//!   batcher.rs            if not, it is proposed to Raft, in a batch with the operations of other clients
//!   waiters.rs              the request is registered as waiting,
//!                           then Raft::start_many is called without a lock: a follower refuses, a leader appends
//!                         the request waits; meanwhile Raft replicates the entry to a majority and commits it
//! committing thread     (on every server) Raft notifies it, or it reads the apply channel
//!   applier.rs            takes and decodes the entry
//!   store.rs              Store::apply: if it is not a duplicate, the value grows and the table records the number
//!   waiters.rs            on the leader, the requests that wait for this operation are settled
//!   server.rs             and answered when the lock is released
//! client's thread         has a definite reply: the clerk's next operation gets the next number
//! ```
//!
//! Each step runs on the thread that reaches it. If messages take no time, all steps are one call on the client's
//! thread. If messages take time, threads of the network continue. `docs/performance.md` shows where the time goes.
//!
//! # Failures on the way
//!
//! - **The reply is lost.** The clerk retries with the same number. The number is in the table, so the server answers and
//!   does not execute the operation again.
//! - **The request arrives twice.** One execution answers both copies.
//! - **Both copies get into the log.** The second one changes nothing when it is applied. Its request is answered all the
//!   same.
//! - **The leader is deposed before it commits.** The entry is lost, or another leader commits it. The watcher
//!   (`watcher.rs`) or an entry of a later term refuses the request with `WrongLeader`, and the clerk tries the next server.
//! - **The leader is cut off.** It cannot commit, so its requests wait until it is connected again.
//! - **The server dies.** Its waiting requests get `WrongLeader`, if their clients can still be reached.
//!
//! A Get changes nothing and need not be in the log. The leader confirms that it still leads (`Raft::read_index_then`)
//! and waits until it has applied all entries that were committed when the Get arrived. Then it answers from its map.
//! `reads.rs` says when that is impossible; then the Get goes through the log like an Append.
//!
//! # Where to find what
//!
//! | topic | file |
//! |---|---|
//! | the client | `clerk.rs` |
//! | a client with many writes in flight | `pipeline.rs` |
//! | the messages on the network, and the commands in the log | `messages.rs` |
//! | the server and its one lock | `server.rs` |
//! | the handlers of Put, Append and Get | `writes.rs`, `reads.rs` |
//! | batches of operations of many clients | `batcher.rs` |
//! | the map and the duplicate table | `store.rs` |
//! | applying entries, making and installing snapshots | `applier.rs` |
//! | the waiting requests | `waiters.rs` |
//! | refusing requests whose entries are lost | `watcher.rs` |

mod applier;
mod batcher;
mod clerk;
pub mod messages;
mod pipeline;
mod reads;
mod server;
mod store;
mod value;
mod waiters;
mod watcher;
mod writes;

pub use clerk::Clerk;
pub use pipeline::{Pipeline, SubmissionId};
pub use server::KvServer;

//! The reference key/value server and its clerk, over any Raft: what a correct solution of the lab's last part looks like.
//!
//! A Raft makes servers agree on a sequence of commands; a service makes something of it. Each server here keeps a map
//! from keys to values and applies the same commands in the same order to it, so that all maps are the same; clients
//! believe that there is one map, on one machine that never fails (*linearizability*).
//!
//! # Follow one Append
//!
//! ```text
//! client's thread       clerk.append("k", "x")
//!   clerk.rs              Clerk::write: a number for the operation, which stays the same however often it is sent
//!                         the servers are asked in turn, the one first that answered last
//!                       service KvServer, method Write: it waits for nothing, so it runs on the client's thread too
//!   writes.rs             write: in the duplicate table already?
//!   inbox.rs              else it goes into the log, with what others bring at the same time
//!   waiters.rs              a place for the result,
//!                           then, without a lock, Raft::start_many: a follower says no, the leader has it in its log
//!                         the call waits for its answer; meanwhile Raft copies the entry to a majority and commits it
//! whoever commits it    (on every server) is told by Raft, or reads the apply channel
//!   applier.rs            takes it and decodes it
//!   store.rs              Store::apply: is it a duplicate? else the value grows; the table remembers the number
//!   waiters.rs            on the leader, whoever waits for this very operation
//!   server.rs             is answered, when the lock is released
//! client's thread         a definite answer: the clerk's next operation gets the next number
//! ```
//!
//! Each step happens on the thread that is there: where messages take no time, all of them are one call on the client's
//! thread, and where they do, threads of the network go on. `docs/performance.md` follows the time.
//!
//! # What may go wrong on the way
//!
//! | | what happens |
//! |---|---|
//! | the reply is lost | the clerk asks again with the same number; the table has it, so it is answered and not executed |
//! | the request arrives twice | both are answered, by the one execution |
//! | both get into the log | the second does nothing when it is applied; its waiter is answered all the same |
//! | the leader is deposed before it has committed | its entry is gone or was committed by another; the watcher (`watcher.rs`) or an entry of a later term ends the wait at once with `WrongLeader`, and the clerk asks elsewhere |
//! | the leader is cut off | it cannot commit, so nobody is answered until it is back |
//! | the server dies | the wait ends with `WrongLeader`, should anybody still be there to hear it |
//!
//! A Get changes nothing and need not be in the log: the leader makes sure that it still leads (`Raft::read_index_then`),
//! waits until it has applied all that was committed when the Get came, and answers from its map. `reads.rs` says when
//! that is not possible and the Get goes the way of an Append.
//!
//! # Where to read what
//!
//! | you want to see | read |
//! |---|---|
//! | what the client does | `clerk.rs` |
//! | a client that does not wait for one write before it begins the next | `pipeline.rs` |
//! | what goes over the network and into the log | `messages.rs` |
//! | the server, and its one lock | `server.rs` |
//! | Put and Append, Get | `writes.rs`, `reads.rs` |
//! | how operations of many clients come together on their way into the log | `inbox.rs` |
//! | the map and the duplicate table | `store.rs` |
//! | what becomes of what Raft delivers; when a snapshot is made | `applier.rs` |
//! | who waits for which result | `waiters.rs` |
//! | how a server notices that nothing will come any more | `watcher.rs` |

mod applier;
mod clerk;
mod inbox;
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
pub use pipeline::{Pipeline, Ticket};
pub use server::KvServer;

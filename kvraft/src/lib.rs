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
//! pooled thread         service KvServer, method Write
//!   server.rs             Server::write: in the duplicate table already? else a place to wait for the result,
//!                         then, without a lock, Raft::start: a follower says no, the leader has put it into its log
//!   waiters.rs            the handler waits; meanwhile Raft copies the entry to a majority and commits it
//! applier thread        (on every server) reads the apply channel
//!   applier.rs            decodes the entry
//!   store.rs              Store::apply: is it a duplicate? else the value grows; the table remembers the number
//!   waiters.rs            on the leader, whoever waits for this very operation is told
//! pooled thread           the handler's wait is over; the reply travels back
//! client's thread         a definite answer: the clerk's next operation gets the next number
//! ```
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
//! A Get changes nothing and need not be in the log: the leader makes sure that it still leads (`Raft::read_index`),
//! waits until it has applied all that was committed when the Get came, and answers from its map. `reads.rs` says when
//! that is not possible and the Get goes the way of an Append.
//!
//! # Where to read what
//!
//! | you want to see | read |
//! |---|---|
//! | what the client does | `clerk.rs` |
//! | what goes over the network and into the log | `messages.rs` |
//! | the server, and its one lock | `server.rs` |
//! | Put and Append, Get | `writes.rs`, `reads.rs` |
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

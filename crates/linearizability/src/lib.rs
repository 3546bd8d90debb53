//! A checker for linearizability: it decides whether a recorded history could have happened one operation at a time. It
//! knows only a model of the checked object, and nothing of the recording of histories.
//!
//! # What linearizability is
//!
//! Clients use an object, such as a register or a store, at the same time. Each operation begins with a call and ends
//! with a return. The *history* is what the clients saw: the inputs and outputs of their operations, with the times of
//! the calls and returns.
//!
//! ```text
//! client 0   |------- put 1 -------|
//! client 1        |- get: 1 -|          |- get: ? -|
//! client 2   |- get: 0 -|
//! time       0    1    2    3    4    5    6    7
//! ```
//!
//! The history is *linearizable* (Herlihy and Wing, 1990) if each operation can be assigned one moment between its call
//! and its return, such that all outputs are those that the object would give if the operations came one by one at
//! those moments. Above, the put happens at some moment after client 2's get and before client 1's first get. So client
//! 1's second get must return 1. If it returned 0, the history would not be linearizable, although each output by
//! itself is plausible. A client of a replicated service can demand exactly this: that the service behaves as one
//! object.
//!
//! If one operation returns before another is called, they keep that order. Operations that overlap may have either
//! order. The question is therefore: is there an order, a *linearization*, that keeps the order in time and is legal?
//!
//! # The search
//!
//! The checker searches for a linearization (Wing and Gong, 1993). An operation may come first if it is *open*: called
//! before the first return of any operation. Pick an open operation that is legal in the present state, remove it, and
//! continue with the rest. If no open operation is legal, backtrack to the last choice. If all operations are removed,
//! their order is a linearization. If no choice is left, there is none.
//!
//! Many orders lead to the same *configuration*: a set of removed operations, and a state. The rest of the search
//! depends on nothing else. So the search remembers each configuration from which it has failed, and never tries it
//! again (Lowe, 2017). The speed comes from simple means: a list from which operations are removed and restored in
//! constant time (`entries.rs`), sets that are compared only where they can differ, and a hash of set and state that is
//! kept up to date (`failed_configurations.rs`).
//!
//! Some choices are unnecessary. A legal read can be taken at once. Of equal operations, only the one that returns
//! first need be tried. Both rules hold for every model. [`kv`] has more rules for a store with appends, with a proof
//! of each. A search with these rules is as exact as one that tries every order; the tests compare the two.
//!
//! # Partitions and budget
//!
//! A store consists of as many objects as it has keys, and a history is linearizable if and only if it is linearizable
//! on each key (locality). So every [`Partition`] is searched separately. The problem is NP-complete (Gibbons and
//! Korach, 1997), and some histories are too hard for any search. The search therefore has a budget. The budget counts
//! model steps, not time, so the same history and budget have the same verdict on every machine. The partitions take
//! turns of a few thousand steps, so a hard partition cannot hide an easy illegal one. There are three verdicts:
//!
//! | verdict | when |
//! |---|---|
//! | [`Verdict::Illegal`] | some partition is not linearizable, even if others are undecided |
//! | [`Verdict::Unknown`] | otherwise, if the budget was spent before all partitions were decided |
//! | [`Verdict::Ok`] | otherwise; also if there are no operations |
//!
//! # The interface
//!
//! [`check`] decides for any [`Model`], as fast as it can. [`explain`] examines every partition and reports how far
//! linearizations get, so that a timeline can show the first illegal operations. [`kv::History`] and
//! [`register::History`] have both as methods. [`kv::parse`] and [`jepsen::parse`] parse recorded histories.
//!
//! ```
//! use linearizability::{Verdict, kv::{self, History, Kind}};
//!
//! let mut history = History::new();
//! history.add(0, 0, 40, Kind::Put, "k", "1");
//! history.add(2, 0, 20, Kind::Get, "k", "");
//! history.add(1, 10, 30, Kind::Get, "k", "1");
//! assert_eq!(history.check(kv::BUDGET).verdict, Verdict::Ok);
//!
//! // After a Get of the new value, another client gets the old one.
//! history.add(1, 35, 38, Kind::Get, "k", "");
//! let explained = history.explain(kv::BUDGET);
//! assert_eq!(explained.verdict, Verdict::Illegal);
//! let key = &explained.partitions[0];
//! assert_eq!(key.linearizations, [[1, 0, 2]]);
//! assert_eq!(key.states(&[1, 0, 2]), ["''", "'1'", "'1'"]);
//! assert_eq!(key.operations[3].description, "get('k') -> ''"); // it is legal nowhere
//! ```

mod check;
mod entries;
mod explain;
mod failed_configurations;
pub mod jepsen;
pub mod kv;
mod longest_sequences;
mod model;
mod parse_error;
pub mod register;
mod search;
mod verdict;

pub use check::{check, explain};
pub use explain::{DescribedOperation, HistoryExplanation, PartitionExplanation};
pub use model::{Model, Operation, Partition};
pub use parse_error::ParseError;
pub use verdict::{CheckResult, Verdict};

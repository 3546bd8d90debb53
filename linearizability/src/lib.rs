//! Whether a recorded history could have happened one operation at a time: a checker for linearizability. It knows nothing
//! of what it checks but a model of it, and nothing of how histories are recorded.
//!
//! # What linearizability is
//!
//! Clients use an object, such as a register or a store, at the same time. Each operation begins with a call and ends with
//! a return. The *history* is what they saw: who asked what, when, and what was answered, when.
//!
//! ```text
//! client 0   |------- put 1 -------|
//! client 1        |- get: 1 -|          |- get: ? -|
//! client 2   |- get: 0 -|
//! time       0    1    2    3    4    5    6    7
//! ```
//!
//! The history is *linearizable* (Herlihy and Wing, 1990) if each operation can be thought of as happening at one moment
//! between its call and its return, such that all answers are what the object would have given if the operations had come
//! one by one at those moments. Above, the put happens at some moment after client 2's get and before client 1's first. So
//! client 1's second get must be 1: with 0 there it would not be linearizable, although each of the answers is plausible
//! taken by itself. This is what a client of a replicated service can ask for: that it behaves as one.
//!
//! Two operations of which one returns before the other is called keep that order. Those that overlap may take either.
//! That is the whole question: is there an order, a *linearization*, that keeps the order in time and is legal?
//!
//! # How it is found
//!
//! By a search (Wing and Gong, 1993). What may come first is *open*: called before the first return of any operation. Pick
//! an open operation that is legal in the present state; strike it out; go on with the rest. If nothing open is legal, go
//! back to the last choice. If everything is struck out, that is a linearization; if there is no choice left, there is
//! none.
//!
//! Many orders lead to the same *situation*: a set of operations struck out, and a state. What follows depends on nothing
//! else, so a situation from which there was no way on is remembered and never tried again (Lowe, 2017). What makes this
//! fast is dull: entries in a list from which they can be taken and put back in constant time (`entries.rs`), sets
//! compared only where they can differ, a hash over set and state that is kept up to date (`failed.rs`).
//!
//! Some choices need not be made at all. A read that fits can be taken at once. Of equal operations only the one that
//! returns first need be tried. These hold for every model; [`kv`] has more for a store with appends, and a proof of
//! each. A search that takes them is no less exact than one that tries everything, which is what its tests compare it with.
//!
//! # Partitions and budget
//!
//! A store is as many objects as it has keys, and a history is linearizable if and only if it is on each (locality). So
//! every [`Partition`] is searched by itself. The question is hard (NP-complete: Gibbons and Korach, 1997), and some
//! histories are too much for any search, so there is a budget. It counts model steps, not time: the same history and budget
//! have the same verdict on every machine. Partitions get it in turns of a few thousand steps, so that a hard one cannot
//! hide an illegal easy one. What is known at the end is one of three:
//!
//! | verdict | when |
//! |---|---|
//! | [`Verdict::Illegal`] | some partition is not linearizable, whatever is unknown of the others |
//! | [`Verdict::Unknown`] | otherwise, if the budget was spent before all were decided |
//! | [`Verdict::Ok`] | otherwise; also if there are no operations |
//!
//! # What there is
//!
//! [`check`] gives the verdict for any [`Model`], as fast as it can. [`explain`] goes on to examine every partition, and says
//! how far linearizations get, so that a picture can show where it goes wrong. [`kv::History`] and [`register::History`]
//! have both as methods; [`kv::parse`] and [`jepsen::parse`] read recorded ones.
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
//! // After a get of the new value, another client gets the old one.
//! history.add(1, 35, 38, Kind::Get, "k", "");
//! let explained = history.explain(kv::BUDGET);
//! assert_eq!(explained.verdict, Verdict::Illegal);
//! let key = &explained.partitions[0];
//! assert_eq!(key.linearizations, [[1, 0, 2]]);
//! assert_eq!(key.states(&[1, 0, 2]), ["''", "'1'", "'1'"]);
//! assert_eq!(key.operations[3].description, "get('k') -> ''"); // it fits nowhere
//! ```

mod check;
mod entries;
mod explain;
mod failed;
pub mod jepsen;
pub mod kv;
mod longest;
mod model;
mod parse_error;
pub mod register;
mod search;
mod verdict;

pub use check::{check, explain};
pub use explain::{Described, Explained, Explanation};
pub use model::{Model, Operation, Partition};
pub use parse_error::ParseError;
pub use verdict::{Checked, Verdict};

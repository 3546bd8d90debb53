//! A key/value store with Get, Put and Append: its histories and their check.
//!
//! The model is the lab's. Each key is an object of its own, whose state is a string, empty at first. A Get is legal if
//! it returned the state; a Put replaces the state; an Append appends to it. Its histories are hard for a plain search.
//! Appends that overlap can have any order, each order makes another string, and thousands of operations may follow
//! before a Get reveals the order. Twenty clients that load one key, or a few operations that hang for seconds, are too
//! hard for a plain search. But each Get reveals much about the order. This module uses that information and stays
//! exact: if there is a linearization, the reduced search still contains one.
//!
//! # Strings
//!
//! `history.rs` and `value_trie.rs` store the returned values exactly, in a trie. A string in the trie is identified by
//! its place, which is two numbers. `graph.rs` finds the *nodes*: strings that Appends can turn into the value of some
//! Get. An *edge* leads from a node to the node that one of the history's Appends turns it into. All strings that are
//! not nodes are one state, *dead*: whatever is appended, no Get returned the result, until the next Put. An operation
//! is a *transition* between these states (`transition.rs`). So the search never reads a string, and all orders of
//! Appends that no Get observed are one order.
//!
//! # Analysis before the search
//!
//! `times.rs` bounds the times at which an operation can have taken an edge. A state has an earliest time: the latest
//! call on the earliest path to it. It can be observed only by Gets that follow from it. An Append did not take an edge
//! on the way to any Get in three cases: it returned before the earliest time of the edge's start; it was called after
//! the last of those Gets returned; or it was certainly overwritten before the first of them was called. This
//! distinguishes operations that write the same string at different times. An Append that can have taken no edge at all
//! leads to dead from every state.
//!
//! `analysis.rs` draws the consequences. The value of each Get has to be the state at some time. If only one Append at
//! one node can have produced it, that Append is done at that node and at no other (`only_at`), and the node has to be
//! the state before. The same argument continues backwards until there are several possibilities. If one Append is tied
//! to two nodes, or if there is no possibility, there is no linearization and no search is needed. If the appended
//! strings are distinguishable, this fixes the order of every Append that was ever observed. Otherwise it fixes less,
//! and the search does the rest.
//!
//! `get_groups.rs` groups the Gets that are fixed back to a common node, the *origin*, and finds their *bases*: the
//! Puts from which the origin can have been produced. Once all bases of a group are linearized, its outstanding Gets
//! can only follow from the present state.
//!
//! # Rules of the search
//!
//! The following rules (`rules.rs`) apply at a node of the search, with its set of linearized operations and its state.
//! An operation is *outstanding* if it is not linearized, and *open* if it may come next.
//!
//! 1. *All dead states are one state.* If the state is a prefix of no outstanding Get's value, it becomes dead. The
//!    future depends on a state only through Gets that observe it before the next Put overwrites it, and the values of
//!    all of these begin with it.
//! 2. *A legal Get is taken at once*, and so is an Append of nothing. In a linearization that has it later, it can be
//!    moved here: it changes no state, and since it is open, no outstanding operation has to come before it.
//! 3. *Appends are tied to their node.* An Append with an `only_at` is not tried at another node.
//! 4. *A Get without a base pins the state.* As long as a group has outstanding Gets and no outstanding base, no Put
//!    comes next, and an Append comes next only if it leads to a prefix of the group's shortest outstanding value.
//!    Otherwise that Get becomes impossible: the Put on which its value would have to be built is linearized already,
//!    and a string that is not a prefix of its value now never becomes one.
//! 5. *In a dead state, an unobservable write is taken at once.* A write is unobservable if no outstanding Get can
//!    observe its effect, wherever the write is linearized: no edge that it can take leads to a prefix of an
//!    outstanding value. Take a linearization that has it later, and move it here. In its new place it changes nothing:
//!    the state is dead, and any Get comes after the next Put. Its old place does not need it: between it and the next
//!    Put there was no outstanding Get, because that Get would have observed it; the writes there produce other states,
//!    which no Get observes either. And as an open operation it need not follow any outstanding operation.
//! 6. *Of writes with the same effect, the one that returns first is tried.* If a linearization begins with another one
//!    of them, the two can be swapped: the first to return is open now, and the other one's return is later than the
//!    place to which it moves. All writes that lead to dead from every state have the same effect.
//!
//! Rules 3 and 4 remove only paths that cannot lead to the end, and hold in every linearization. Rules 2, 5 and 6
//! replace a linearization by another one, to which rules 3 and 4 apply as well. So the rules can be combined. A
//! verdict `Ok` needs no proof: it comes with a sequence of all operations, each of which is legal. Tests compare all
//! verdicts with those of a search that tries every order, on alphabets so small that nearly every value can be split
//! into pieces in several ways.

mod analysis;
mod check;
mod edn;
mod get_groups;
mod graph;
mod history;
mod lists;
mod rules;
mod times;
mod transition;
mod value_trie;

pub use check::BUDGET;
pub use edn::parse;
pub use history::{History, Kind, RecordedOperation};

//! A key/value store with Get, Put and Append: its histories, and their check.
//!
//! The model is the lab's. Each key is an object of its own, whose state is a string, empty at first. A Get is legal if it
//! returned the state; a Put replaces it; an Append adds to its end. A history of it is hard for a plain search: appends
//! that overlap can come in any order, each order makes another string, and thousands of operations may go by before a Get
//! tells which it was. Twenty clients that hammer one key, or a few operations that hang for seconds, are more than a
//! checker without further thought can decide. But a Get tells much. This module uses what it tells, and stays exact: if
//! there is a linearization, what is left to the search still contains one.
//!
//! # What is kept of the strings
//!
//! `history.rs` and `values.rs` keep what Gets returned in a trie, exactly, and a string in the trie is known by its place:
//! two numbers. `graph.rs` finds the *nodes*: strings that appends can turn into the value of some Get; an *edge* leads
//! from a node to what it becomes by one of the appends of the history. All strings that are no node are one state,
//! *dead*: whatever is appended, no Get can have seen the result, until the next Put. So the search never looks at a
//! string, and the orders of appends that nobody saw are one.
//!
//! # What is known before the search
//!
//! `times.rs` narrows down which operation can have taken which edge. A state has an earliest time (the latest call on the
//! earliest way to it) and is of use only to Gets that follow from it. An append that returned before the earliest time of
//! an edge's beginning, or was called after the last of those Gets returned, or was overwritten for certain before the
//! first of them was called, has not taken that edge on the way to any Get. This is what tells apart operations that write
//! the same string at different times. An append that can have taken no edge at all leads to dead, from everywhere.
//!
//! `plan.rs` draws the consequences. The value of each Get has to be the state at some time. If it can have come about in
//! one way only, by one append at one node, then that append is done at that node and nowhere else (`only_at`), and the
//! node has to be the state before; and so on, back to where there are several ways. If the same append is bound to two
//! nodes, or if there is no way, there is no linearization and no need to search. When pieces are distinguishable, this
//! fixes the order of every append that was ever seen. When they are not, it fixes less, and the search does the rest.
//!
//! `groups.rs` collects the Gets that are fixed back to a common node, and their *bases*: the Puts from which that node can
//! have come. Once all bases of a group are linearized, its outstanding Gets can only come from the present state.
//!
//! # What the search does with it
//!
//! The rules (`rules.rs`), at a node of the search with its set of linearized operations and its state; *outstanding* is
//! what is not linearized, *open* what may come next:
//!
//! 1. *Dead states are one.* If no outstanding Get has the state as a prefix of its value, the state becomes dead. What can
//!    follow depends on a state only through Gets that see it, before the next Put overwrites it; all of these begin with
//!    it.
//! 2. *A Get that fits is taken at once*, and so is an append of nothing. In a linearization that has it later it can be
//!    moved here: it changes no state, and since it is open, nothing outstanding has to come before it.
//! 3. *Appends have their node.* An append with an `only_at` is not tried at another.
//! 4. *A Get without a base holds the state.* As long as a group has outstanding Gets and no base, no Put comes next, and
//!    an append only if it leads to a prefix of the group's shortest outstanding value. Otherwise that Get is lost: the
//!    Put on which its value would have to be built is linearized already, and what is not its prefix now will never be.
//! 5. *In a dead state, a spent write is taken at once.* A write is spent if no outstanding Get can see its effect,
//!    wherever it is put: no edge that it can take leads to a prefix of an outstanding value. Take a linearization that has
//!    it later, and move it here. Here it does no harm: the state is dead, and whatever comes next and is a Get comes
//!    after a Put. There it is not missed: between it and the next Put there was no outstanding Get, for that would have
//!    seen it; the writes there change other states, which nobody sees either. And being open, it has to wait for nobody.
//! 6. *Of writes that do the same, the one that returns first is tried.* If a linearization begins with another one of them,
//!    the two can change places: the first to return is open now, and the other one's return is later than the place it
//!    moves to. All writes that lead to a dead state from everywhere do the same.
//!
//! Rules 3 and 4 remove only ways that cannot lead to the end, and hold in every linearization; rules 2, 5 and 6 replace a
//! linearization by another one, to which 3 and 4 apply as well. So the rules can be used together. An Ok needs no proof: it
//! is a sequence of all operations, each legal. Tests compare all verdicts with those of a search that tries every order,
//! on alphabets so small that nearly every value can be cut into pieces in several ways.

mod check;
mod edn;
mod graph;
mod groups;
mod history;
mod lists;
mod plan;
mod rules;
mod times;
mod values;

pub use check::BUDGET;
pub use edn::parse;
pub use history::{History, Kind, Recorded};

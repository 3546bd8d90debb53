//! A run, or a history of client operations, in; one self-contained HTML page out.
//!
//! The page opens from disk without a network. It shows who called what and when, on a true time axis with one lane a
//! client, and what a linearizability checker found out: the order in which the operations may have taken effect, and, where
//! there is none, how far one gets and what cannot come next. Of a whole run ([`Run`]) it also shows each server, with its
//! role and term, its faults and its progress; every RPC as an arrow; the checks of the tester; and, at any moment, the
//! state of all servers with their logs, as Figure 7 of the Raft paper draws them.
//!
//! This room knows nothing of checkers, clusters or models. Its input is plain data: the events of a record for a [`Run`];
//! for a history alone [`Page`] and what it is made of, to which whoever has one converts it. Anything may stand in the texts: nothing of the data ever becomes HTML.
//!
//! ```
//! use picture::{Operation, Page, Partition, Step, Verdict};
//!
//! let put = Operation::new(0, 0, 100, "put('x', '200')");
//! let get = Operation::new(1, 40, 90, "get('x') -> '0'");
//! let page = Page {
//!     title: "a register".into(),
//!     partitions: vec![Partition {
//!         name: "x".into(),
//!         verdict: Verdict::Ok,
//!         initial_state: "0".into(),
//!         operations: vec![put, get],
//!         linearizations: vec![vec![Step::new(1, "0"), Step::new(0, "200")]],
//!     }],
//!     ..Page::default()
//! };
//! let mut html = Vec::new();
//! page.write(&mut html).unwrap();
//! assert!(html.starts_with(b"<!DOCTYPE html>"));
//! ```
//!
//! # How it is built
//!
//! | file | what it does |
//! |---|---|
//! | `model.rs` | the input |
//! | `text.rs` | texts of bounded length, each distinct one kept once |
//! | `sequences.rs` | linearizations as a tree, because they share their beginnings |
//! | `encode.rs` | the columns of numbers that the page carries, and what is left out when there is too much |
//! | `run/` | from the events of a record to the columns of a page, and how it is kept below [`RUN_BYTES_MAX`] |
//! | `pack.rs` | the data deflated, and as base64 |
//! | `html.rs` | the page: template, style, viewer, and the data |
//! | `assets/` | the viewer, in JavaScript without a framework; `assets/main.js` is its table of contents |
//!
//! # How large a page gets
//!
//! A page states what it leaves out. [`Text`]s are cut at [`TEXT_CHARS_MAX`] characters, shorter if all distinct ones together
//! exceed [`TEXT_BYTES_MAX`]; of more than [`OPERATIONS_MAX`] operations whole partitions are dropped, linearizable ones
//! first; of linearizations with more than [`STEPS_MAX`] steps only the longest ones are kept, and the longest one of each
//! partition always. The page of a run is at most [`RUN_BYTES_MAX`] bytes: of a very long one it has coarser times, and then
//! RPCs that were answered in the middle of the run are counts.

mod encode;
mod html;
mod model;
mod pack;
mod run;
mod sequences;
mod text;

pub use encode::{OPERATIONS_MAX, STEPS_MAX, TEXT_BYTES_MAX};
pub use model::{Annotation, Colour, Lane, Operation, Page, Partition, Step, TimeUnit, Verdict};
pub use run::{RUN_BYTES_MAX, Run};
pub use text::{TEXT_CHARS_MAX, Text};

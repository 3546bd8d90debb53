//! A run or a history of client operations as a *timeline*: one self-contained HTML page.
//!
//! The page opens from disk without a network. It shows the operations of each client with their times, on an axis that
//! is true to scale, with one lane per client. It shows the result of a linearizability checker: the order in which the
//! operations may have taken effect. If there is no such order, it shows how far linearizations get and which
//! operations cannot come next. For a whole run ([`Run`]) it also shows each server, with its role, term, faults and
//! progress. It shows every RPC as an arrow, and the checks of the tester. At any moment it shows the state of all
//! servers with their logs, drawn as in Figure 7 of the Raft paper.
//!
//! This crate knows no checkers, clusters or models. Its input is plain data. The input of a [`Run`] is the events of a
//! record. The input for a history alone is a [`Page`], which the caller builds. Texts may have any content: no data
//! ever becomes HTML.
//!
//! ```
//! use timeline::{Operation, Page, Partition, Step, Verdict};
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
//! # Files
//!
//! | file | content |
//! |---|---|
//! | `model.rs` | the input |
//! | `text.rs` | texts of bounded length, each distinct one stored once |
//! | `sequences.rs` | linearizations as a tree, because they share prefixes |
//! | `page_data.rs` | the data of a page: columns of numbers |
//! | `encode.rs` | the encoding of a page as these columns, and the parts that a page leaves out if it is too large |
//! | `run/` | the conversion of the events of a record into a page of at most [`RUN_BYTES_MAX`] bytes |
//! | `pack.rs` | the data, deflated and as base64 |
//! | `html.rs` | the page: template, style, viewer and data |
//! | `assets/` | the viewer, in JavaScript without a framework; `assets/main.js` lists its files |
//!
//! # The size of a page
//!
//! A page states what it leaves out. [`Text`]s are cut at [`TEXT_CHARS_MAX`] characters, and shorter if all distinct
//! texts together exceed [`TEXT_BYTES_MAX`]. If there are more than [`OPERATIONS_MAX`] operations, whole partitions are
//! dropped, linearizable ones first. If the linearizations have more than [`STEPS_MAX`] steps, only the longest ones
//! are kept; the longest one of each partition is always kept. The page of a run has at most [`RUN_BYTES_MAX`] bytes.
//! For a very long run its times are rounded, and, if that does not suffice, completed RPCs in the middle of the run
//! are only counted.

mod encode;
mod html;
mod model;
mod pack;
mod page_data;
mod run;
mod sequences;
mod text;

pub use encode::{OPERATIONS_MAX, STEPS_MAX, TEXT_BYTES_MAX};
pub use model::{Annotation, Colour, Lane, Operation, Page, Partition, Step, TimeUnit, Verdict};
pub use run::{RUN_BYTES_MAX, Run};
pub use text::{TEXT_CHARS_MAX, Text};

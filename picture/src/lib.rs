//! A history of client operations in, one self-contained HTML page out.
//!
//! The page opens from disk without a network. It shows who called what and when, on a true time axis with one lane a
//! client, and what a linearizability checker found out: the order in which the operations may have taken effect, and, where
//! there is none, how far one gets and what cannot come next.
//!
//! This room knows nothing of checkers, clusters or models. Its input is plain data, [`Page`] and what it is made of; whoever
//! has a history converts it. Anything may stand in the texts: nothing of the data ever becomes HTML.
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
//! | `html.rs` | the page: template, style, viewer, and the data as JSON that cannot end its script element |
//! | `assets/` | the viewer, in JavaScript without a framework; `assets/main.js` is its table of contents |
//!
//! # How large a page gets
//!
//! A page states what it leaves out. [`Text`]s are cut at [`TEXT_CHARS_MAX`] characters, shorter if all distinct ones together
//! exceed [`TEXT_BYTES_MAX`]; of more than [`OPERATIONS_MAX`] operations whole partitions are dropped, linearizable ones
//! first; of linearizations with more than [`STEPS_MAX`] steps only the longest ones are kept, and the longest one of each
//! partition always.

mod encode;
mod html;
mod model;
mod sequences;
mod text;

pub use encode::{OPERATIONS_MAX, STEPS_MAX, TEXT_BYTES_MAX};
pub use model::{Annotation, Colour, Lane, Operation, Page, Partition, Step, TimeUnit, Verdict};
pub use text::{TEXT_CHARS_MAX, Text};

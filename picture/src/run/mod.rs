//! The picture of a run: from the events of its record to a page.
//!
//! | file | what it does |
//! |---|---|
//! | `gather.rs` | reads the events, one after the other, into what the page speaks of |
//! | `calls.rs` | RPCs, and how they are thinned |
//! | `servers.rs` | what each server went through |
//! | `faults.rs` | who was crashed, cut off, partitioned, and since when |
//! | `history.rs` | operations, checks and annotations: the part that is a [`crate::Page`] |
//! | `columns.rs` | numbers as bytes |
//! | `fit.rs` | how exact and how complete the page is, so that it stays below [`RUN_BYTES_MAX`] |
//!
//! The events are read once and not kept: what a page needs of half a million RPCs are a few numbers each.

mod calls;
mod columns;
mod faults;
mod fit;
mod gather;
mod history;
mod servers;

use std::io;

use record::Event;

pub use fit::RUN_BYTES_MAX;
pub(crate) use fit::RunData;

/// The picture of a run.
///
/// ```
/// use record::{Event, EventKind, Role, ServerId, Term};
///
/// let kind = EventKind::RoleChanged { role: Role::Leader, term: Term(1) };
/// let events = [Event { at: 250_000_000, server: Some(ServerId(2)), kind }];
/// let mut html = Vec::new();
/// picture::Run::of(events).write(&mut html).unwrap();
/// assert!(html.starts_with(b"<!DOCTYPE html>"));
/// ```
pub struct Run(gather::Gathered);

impl Run {
    /// The picture of the run in which `events` happened, in this order. Events that refer to nothing, such as the answer of a
    /// call that was never sent, are passed over: a record may begin anywhere.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Run {
        Run(gather::Gathered::of(events))
    }

    /// Writes the picture as one HTML file that needs nothing else, of at most [`RUN_BYTES_MAX`] bytes; what that leaves out
    /// is said in the page. The same run always gives the same bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        crate::html::write_page(&fit::fitted(&self.0)?, out)
    }
}

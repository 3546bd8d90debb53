//! The timeline of a run: the conversion of the events of its record into a page.
//!
//! | file | content |
//! |---|---|
//! | `collect.rs` | the collection of the page's content from the events, which are read one after the other |
//! | `calls.rs` | RPCs, and how they are thinned out |
//! | `servers.rs` | the events of each server |
//! | `faults.rs` | crashed, cut off and partitioned servers, with the times |
//! | `history.rs` | operations, checks and annotations: the part that is a [`crate::Page`] |
//! | `columns.rs` | numbers as bytes |
//! | `fit.rs` | the precision and completeness of the page, which keep it below [`RUN_BYTES_MAX`] |
//!
//! The events are read once and not kept: of half a million RPCs a page needs only a few numbers each.

mod calls;
mod collect;
mod columns;
mod faults;
mod fit;
mod history;
mod servers;

use std::io;

use record::Event;

pub use fit::RUN_BYTES_MAX;

/// The timeline of a run.
///
/// ```
/// use ids::{ServerId, Term};
/// use record::{Event, EventKind, Role};
///
/// let kind = EventKind::RoleChanged { role: Role::Leader, term: Term(1) };
/// let events = [Event { at: 250_000_000, server: Some(ServerId(2)), kind }];
/// let mut html = Vec::new();
/// timeline::Run::from_events(events).write(&mut html).unwrap();
/// assert!(html.starts_with(b"<!DOCTYPE html>"));
/// ```
pub struct Run(collect::CollectedRun);

impl Run {
    /// Creates the timeline of a run from its `events`, in this order. Events that refer to nothing, such as the reply
    /// to a call that was never sent, are ignored, because a record may begin anywhere.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Run {
        Run(collect::CollectedRun::from_events(events))
    }

    /// Writes the timeline as one HTML file that needs no other file, of at most [`RUN_BYTES_MAX`] bytes. The page
    /// states what it leaves out. The same run always gives the same bytes.
    ///
    /// # Errors
    /// Returns the errors of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        crate::html::write_page(&fit::fit_to_size(&self.0)?, out)
    }
}

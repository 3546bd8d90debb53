//! The record of a run: event types, one ordered stream, its hash, its text.
//!
//! Everything that happens in a run is an [`Event`]: a time, a server, and an [`EventKind`]. A [`Recorder`] keeps the
//! events of one run in order, in memory, and hashes each as it is recorded. Log files, views and the check that a
//! simulated run is deterministic read that one stream. A thread finds the stream of its run through its [`Scope`], so
//! code that has something to report calls [`emit`]:
//!
//! ```
//! use ids::{ServerId, Term};
//! use record::{EventKind, Options, Recorder, Scope};
//!
//! let recorder = Recorder::new(Options::default());
//! let stream = recorder.clone();
//! labstd::simulate(1, move || {
//!     labstd::thread::sleep(labstd::time::Duration::from_millis(250));
//!     Scope::new(&stream, Some(ServerId(2))).enter("S2", || {
//!         record::emit(EventKind::VoteGranted { term: Term(1), to: ServerId(0) });
//!     });
//! });
//! let lines: Vec<String> = recorder.events().map(|event| event.to_string()).collect();
//! assert_eq!(lines, ["002500 VOTE S2 votes for S0 in term 1"]);
//! ```
//!
//! Recording never changes a run: it takes no lock of `labstd`, draws from no generator, and does the same work whether
//! or not events are printed. The environment variable `LAB_LOG` chooses the events that are printed during a run
//! ([`live`]). Lines of the `log` crate join the stream once [`install_logger`] has been called. [`Recorder::write`]
//! and [`file::read`] write a record to a file and read it back. A recorder with [`Options::off`] records nothing, and
//! [`enabled`] then returns `false`.

mod decode;
mod encode;
mod event;
pub mod file;
pub mod live;
mod logger;
mod recorder;
mod scope;
mod text;
mod topic;
mod window;

pub use decode::Events;
pub use event::{
    AnnotationShape, CheckStep, Event, EventKind, Excerpt, Fault, Level, Linearizable, Loss, OperationKind, Peer, Role,
    Verdict,
};
pub use logger::install_logger;
pub use recorder::{Options, Recorder};
pub use scope::{Scope, emit, emit_for, enabled, scope, with_scope};
pub use topic::{Topic, UnknownTopic};

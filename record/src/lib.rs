//! What happened in a run: event types, the one ordered stream, its hash, its text.
//!
//! Everything that happens in a run is one [`Event`]: when, on which server, and what ([`EventKind`]). A [`Recorder`]
//! keeps the events of one run in order, in memory, and hashes them as they come; log files, views and the check that a
//! simulated run repeats itself are readers of that one stream. A thread finds the stream of its run through its
//! [`Scope`], so whoever has something to report just calls [`emit`]:
//!
//! ```
//! use record::{EventKind, Options, Recorder, Scope, ServerId, Term};
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
//! Recording never changes a run: it takes no lock of `labstd`, draws from no generator, and does the same work
//! whatever is printed. What is printed while a run goes on is chosen by the environment variable `LAB_LOG` ([`live`]).
//! Lines of the `log` crate join the stream once [`install_logger`] has been called. [`Recorder::write`] and [`file::read`]
//! take a record to a file and back. A recorder with [`Options::off`] takes nothing, and [`enabled`] says so.

mod encode;
mod event;
pub mod file;
mod ids;
pub mod live;
mod logger;
mod recorder;
mod scope;
mod text;
mod topic;
mod window;

pub use event::{
    CheckStep, Event, EventKind, Excerpt, Fault, Legal, Level, Loss, OperationKind, Peer, Role, Shape, Verdict,
};
pub use ids::{Index, ServerId, Term};
pub use logger::install_logger;
pub use recorder::{Events, Options, Recorder};
pub use scope::{Scope, emit, emit_for, enabled, scope, with_scope};
pub use topic::{Topic, UnknownTopic};

//! Your own notes on the timeline and in the log of a run. A note marks a moment, a span that has ended, or a span that
//! continues.
//!
//! Any thread of a server may call these functions, and any thread of a scenario. A note belongs to the thread's
//! server, so equal tags on two servers do not interfere. It goes into the run that the thread belongs to, even if the
//! server was killed. Outside any run these functions do nothing. Tags, labels and details are any text; each tag has
//! its own row.

use labstd::time::{self, Duration};
use record::{AnnotationShape, EventKind};

/// Marks this moment in the row `tag` with a short `label` and longer `details`.
///
/// ```
/// raftapi::annotate("lease", "renewed", "by a majority of 2 of 3");
/// ```
pub fn annotate(tag: &str, label: &str, details: &str) {
    note(tag, label, details, AnnotationShape::Point);
}

/// Marks the span from `since` to now in the row `tag`. `since` is a time on the run's clock, as
/// [`run_elapsed`](labstd::time::run_elapsed) returns it. A time in the future counts as now.
///
/// ```
/// let begun = labstd::time::run_elapsed();
/// // ... catch up with the leader ...
/// raftapi::annotate_interval("catching up", begun, "12 entries", "in two messages");
/// ```
pub fn annotate_interval(tag: &str, since: Duration, label: &str, details: &str) {
    // A run lasts for minutes, and the cast overflows only after five hundred years.
    let since = since.min(time::run_elapsed()).as_nanos() as u64;
    note(tag, label, details, AnnotationShape::Since(since));
}

/// Begins a span in the row `tag`. The span continues until another one begins in that row, until it is
/// [ended](annotate_continuous_end), or until the run ends. A row of a server has at most one open span.
///
/// ```
/// raftapi::annotate_continuous("lease", "held", "for 9 heartbeats");
/// raftapi::annotate_continuous("lease", "doubtful", "a heartbeat was not answered");
/// raftapi::annotate_continuous_end("lease");
/// ```
pub fn annotate_continuous(tag: &str, label: &str, details: &str) {
    note(tag, label, details, AnnotationShape::Open);
}

/// Ends the open span in the row `tag`. Does nothing if there is none.
pub fn annotate_continuous_end(tag: &str) {
    note(tag, "", "", AnnotationShape::Close);
}

fn note(tag: &str, label: &str, details: &str, shape: AnnotationShape) {
    if record::enabled() {
        let [tag, label, details] = [tag, label, details].map(str::to_string);
        record::emit(EventKind::Annotated { tag, label, details, shape });
    }
}

//! Notes of one's own on the picture and in the log of a run: a moment, a span that is over, or one that goes on.
//!
//! Any thread of a server may call these, and any thread of a scenario. A note belongs to the thread's server, so servers
//! with the same tag do not disturb each other; it goes into the run that the thread belongs to, be its server killed or
//! not. Outside of any run nothing happens. Tags, labels and details are any text; each tag has a row of its own.

use labstd::time::{self, Duration};
use record::{EventKind, Shape};

/// Marks this moment in the row `tag` with a few words and, for those who look closer, `details`.
///
/// ```
/// raftapi::annotate("lease", "renewed", "by a majority of 2 of 3");
/// ```
pub fn annotate(tag: &str, label: &str, details: &str) {
    note(tag, label, details, Shape::Point);
}

/// Marks the span from `since` to now in the row `tag`. `since` is a time on the run's clock, as
/// [`run_elapsed`](labstd::time::run_elapsed) gives it; one that lies in the future is taken for now.
///
/// ```
/// let begun = labstd::time::run_elapsed();
/// // ... catch up with the leader ...
/// raftapi::annotate_interval("catching up", begun, "12 entries", "in two messages");
/// ```
pub fn annotate_interval(tag: &str, since: Duration, label: &str, details: &str) {
    // A run lasts for minutes; the cast is good for five hundred years.
    let since = since.min(time::run_elapsed()).as_nanos() as u64;
    note(tag, label, details, Shape::Since(since));
}

/// Marks what begins now in the row `tag` and goes on until something else begins there, it is
/// [ended](annotate_continuous_end), or the run ends: at most one thing at a time goes on in a row of a server.
///
/// ```
/// raftapi::annotate_continuous("lease", "held", "for 9 heartbeats");
/// raftapi::annotate_continuous("lease", "doubtful", "a heartbeat was not answered");
/// raftapi::annotate_continuous_end("lease");
/// ```
pub fn annotate_continuous(tag: &str, label: &str, details: &str) {
    note(tag, label, details, Shape::Open);
}

/// Ends what goes on in the row `tag`. If nothing does, nothing is ended.
pub fn annotate_continuous_end(tag: &str) {
    note(tag, "", "", Shape::Close);
}

fn note(tag: &str, label: &str, details: &str, shape: Shape) {
    if record::enabled() {
        let [tag, label, details] = [tag, label, details].map(str::to_string);
        record::emit(EventKind::Annotated { tag, label, details, shape });
    }
}

//! Waiting in our own key/value scenarios, and the limits of a wait.

use labstd::thread;
use labstd::time::{Duration, Instant};

/// Maximum time of an operation while the servers and the network have no faults.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// Maximum time of an operation that includes an election.
pub(super) const AFTER_AN_ELECTION: Duration = Duration::from_secs(6);

/// Waits until `holds` returns true, at most for `timeout`; returns whether it does.
pub(super) fn wait_until(timeout: Duration, holds: impl Fn() -> bool) -> bool {
    const POLL_INTERVAL: Duration = Duration::from_millis(1);
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > timeout {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

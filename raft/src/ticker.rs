//! The election timer: a thread that sleeps and then checks (paper, 5.2). It sleeps until the present deadline of the
//! timer. Messages from a leader meanwhile only move the deadline, which the thread sees when it wakes.

use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::follow_ups::SendPolicy;
use crate::server::Shared;

/// Interval at which the ticker of a leader checks whether the server still leads. The election timer does not run on a
/// leader.
const LEADER_CHECK_INTERVAL: Duration = Duration::from_millis(300);

/// Runs the ticker until the server is killed.
pub(crate) fn run(shared: &Arc<Shared>) {
    loop {
        thread::sleep(time_left(shared));
        if shared.killed() {
            return;
        }
        start_election_if_due(shared);
    }
}

fn time_left(shared: &Shared) -> Duration {
    let state = shared.state.lock();
    if state.core.is_leader() { LEADER_CHECK_INTERVAL } else { state.election_due - Instant::now() }
}

/// Starts an election if the timer has fired: "If election timeout elapses without receiving AppendEntries RPC from
/// current leader or granting vote to candidate: convert to candidate" (Figure 2, Rules for Followers). A candidate
/// starts a new election.
fn start_election_if_due(shared: &Arc<Shared>) {
    let follow_ups = {
        let mut state = shared.state.lock();
        if state.core.is_leader() || Instant::now() < state.election_due {
            return;
        }
        let effects = state.core.election_timeout();
        shared.carry_out(&mut state, effects, SendPolicy::CallingThread)
    };
    shared.run_follow_ups(follow_ups);
}

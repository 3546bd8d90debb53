//! The election timer: a thread that sleeps and checks (paper, 5.2). It sleeps until the timeout would fire as it is
//! set now. Messages of a leader meanwhile only move the moment, which the thread sees when it wakes. When the timeout
//! fires, the thread starts an election and sends the vote requests.

use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::ServerId;

use crate::core::{RequestVoteArgs, RequestVoteReply};
use crate::state::Shared;

/// Interval at which a leader's ticker checks whether it still leads: the timer does not run while the server leads.
const LEADER_CHECK_INTERVAL: Duration = Duration::from_millis(300);

/// Number of times that a candidate requests a server's vote in one election. An unreliable network loses one call in
/// five, and a failed election costs a whole timeout.
const VOTE_ATTEMPTS: u32 = 2;

/// A call that fails within this time was lost on its way, and a retry is useful. A call that takes longer to fail went
/// to an unreachable server, and a retry would be useless.
const LOST_CALL_FAILS_WITHIN: Duration = Duration::from_millis(50);

/// Runs the ticker until the server is killed.
pub(crate) fn run(shared: &Arc<Shared>) {
    loop {
        thread::sleep(time_left(shared));
        if shared.killed() {
            return;
        }
        for (peer, args) in start_election_if_due(shared) {
            request_vote(shared, peer, args, VOTE_ATTEMPTS);
        }
    }
}

fn time_left(shared: &Shared) -> Duration {
    let state = shared.state.lock();
    if state.core.is_leader() { LEADER_CHECK_INTERVAL } else { state.election_due - Instant::now() }
}

/// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to candidate:
/// convert to candidate" (Figure 2, Rules for Followers; a candidate starts anew). Returns the vote requests to send.
fn start_election_if_due(shared: &Arc<Shared>) -> Vec<(ServerId, RequestVoteArgs)> {
    shared.step_with_timers(|state| {
        if state.core.is_leader() || Instant::now() < state.election_due {
            return Default::default();
        }
        let mut effects = state.core.election_timeout();
        (std::mem::take(&mut effects.request_votes), effects)
    })
}

/// Asks `peer` for its vote, up to `attempts` times if the network loses the request or the reply. A pooled thread
/// makes the call, so a slow failure delays nobody.
fn request_vote(shared: &Arc<Shared>, peer: ServerId, args: RequestVoteArgs, attempts: u32) {
    let this = Arc::clone(shared);
    let sent_at = Instant::now();
    shared.peers[peer.0].call_async("Raft.RequestVote", &args, move |reply: Option<RequestVoteReply>| {
        if this.killed() {
            return;
        }
        if let Some(reply) = reply {
            this.step(|core| ((), core.handle_request_vote_reply(peer, args.term, reply)));
            return;
        }
        let was_lost = sent_at.elapsed() < LOST_CALL_FAILS_WITHIN;
        if was_lost && attempts > 1 && this.state.lock().core.needs_vote_of(peer, args.term) {
            request_vote(&this, peer, args, attempts - 1);
        }
    });
}

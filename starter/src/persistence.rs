//! The state that survives a crash. Part 3C.
//!
//! In parts 3A and 3B no server crashes, so it does no harm that `persist` saves no state yet. From part 3C on, servers
//! are killed and restarted. Then `read_persist` finds that an earlier incarnation has run, and asks you to write it.

use bytes::Bytes;
use raftapi::{Persister, report, unwritten};

use crate::server::Server;
use crate::state::State;

/// Saved until `persist` is written. It shows only that a server has run here.
const NOT_WRITTEN_YET: &[u8] = b"persist is not written yet";

impl Server {
    /// Part 3C. Saves the state that must survive a crash.
    ///
    /// Figure 2: "Persistent state on all servers (updated on stable storage before responding to RPCs)":
    /// `current_term`, `voted_for` and the log.
    ///
    /// - Call it under the lock, after every change of one of the three, before another server can learn of the change:
    ///   before you return a reply, and before you send a request. Check every `become_role`, `vote_for`, `append` and
    ///   `truncate_after`.
    /// - Encode the three as a tuple with `labgob::encode(&(...)).to_vec()`. `labgob::decode` decodes the tuple.
    /// - Call `report::persisted(bytes)` with the number of bytes.
    /// - Saving everything at every change is correct, and fast enough for part 3. In 4A, clients create a log of
    ///   thousands of entries in seconds, and encoding all of it each time takes minutes of computing. There, use
    ///   `Persister::append` and `cut_and_append`: they save only the change, and cost only as much as the change.
    /// - Part 3D: `Persister::save` also replaces the snapshot, and an empty one erases it. Keep the snapshot in
    ///   `State`, and pass it to every `save`.
    pub(crate) fn persist(&self, state: &State) {
        // Replace this line, as described above.
        self.persister.save(NOT_WRITTEN_YET.to_vec(), Bytes::new());
    }
}

/// Part 3C. Returns the state with which a server starts: the saved state of its earlier incarnation, or that of a new
/// server.
///
/// - Panic if the saved state is damaged. A server that has forgotten its promises must not take part.
/// - State that is not saved starts anew: a restarted server is a follower, and its commit index is 0 until it hears
///   from a leader.
/// - Part 3D: with a snapshot, start `commit_index` and `last_applied` at its last index, because the service starts
///   with the snapshot too.
pub(crate) fn read_persist(persister: &Persister) -> State {
    let saved = persister.read_raft_state();
    if saved.is_empty() {
        return State::new();
    }
    unwritten(
        "Server::persist and read_persist: save the term, the vote and the log at every change, and read them back",
        "Figure 2, State: \"Persistent state on all servers (updated on stable storage before responding to RPCs)\" \
         (section 5.1)",
    )
}

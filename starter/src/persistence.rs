//! What survives a crash. Part 3C.
//!
//! In parts 3A and 3B nobody crashes, so it does no harm that nothing is saved. From part 3C on a server is killed and
//! made anew: then `read_persist` finds that there was something before it, and says that it is to be written.

use bytes::Bytes;
use raftapi::{Persister, report, unwritten};

use crate::server::Server;
use crate::state::State;

/// Saved for as long as `persist` is not written: it says that a server was here, and nothing else.
const NOT_WRITTEN_YET: &[u8] = b"persist is not written yet";

impl Server {
    /// Part 3C. Saves what has to survive.
    ///
    /// Figure 2: "Persistent state on all servers (updated on stable storage before responding to RPCs)":
    /// `current_term`, `voted_for` and the log.
    ///
    /// - Call it under the lock, after every change of one of the three, before anybody can hear of the change: before
    ///   a reply is returned, and before a request is sent. Look for every `become_role`, `vote_for`, `append` and
    ///   `truncate_after`.
    /// - `labgob::encode(&(...)).to_vec()` makes bytes of a tuple of the three; `labgob::decode` makes the tuple of the
    ///   bytes.
    /// - `report::persisted(bytes)` with how many they were.
    /// - Saving everything at every change is right, and enough for part 3. In 4A clients make a log of thousands of
    ///   entries in seconds, and to encode all of it each time takes minutes of computing: there, `Persister::append`
    ///   and `cut_and_append` save what has changed, at the cost of the change.
    /// - Part 3D: `Persister::save` replaces the snapshot too, and an empty one erases it. Keep the snapshot in the
    ///   state, and give it to every `save`.
    pub(crate) fn persist(&self, state: &State) {
        // To be replaced, as said above.
        self.persister.save(NOT_WRITTEN_YET.to_vec(), Bytes::new());
    }
}

/// Part 3C. The state of a server that starts: what its earlier incarnation saved, or that of a new one.
///
/// - A damaged state is a reason to panic: a server that does not know what it promised must not take part.
/// - What is not saved begins anew: a restarted server is a follower, and the commit index is 0 until a leader tells.
/// - Part 3D: with a snapshot, `commit_index` and `last_applied` begin at its last index, because the service begins
///   with it too.
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

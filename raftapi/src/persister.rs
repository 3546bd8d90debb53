//! What survives a crash: the lab's `Persister`, an in-memory disk with atomic writes.
//!
//! Beside the lab's `save`, which replaces state and snapshot in one step, it has `append` and `cut_and_append`, so that a
//! Raft can save a change at the cost of the change and not of the whole log.

use bytes::Bytes;
use labstd::sync::Mutex;

/// The durable storage of one server: a Raft state and a snapshot, replaced atomically.
///
/// A crashed server keeps its own `Persister` object and may go on writing to it; the tester gives the next
/// incarnation a [copy](Persister::copy) made at the crash, so what a dead instance saves is never read.
#[derive(Debug, Default)]
pub struct Persister {
    saved: Mutex<Saved>,
}

/// State and snapshot as of the last write. Both are empty if nothing was ever saved.
#[derive(Clone, Debug, Default)]
struct Saved {
    state: Vec<u8>,
    snapshot: Bytes,
}

impl Persister {
    /// An empty persister: nothing saved yet.
    pub fn new() -> Persister {
        Persister::default()
    }

    /// A new persister with the same contents; later writes to either are not seen by the other.
    pub fn copy(&self) -> Persister {
        Persister { saved: Mutex::new(self.saved.lock().clone()) }
    }

    /// Replaces state and snapshot in one step. An empty `snapshot` erases the stored one, as in the lab.
    pub fn save(&self, state: Vec<u8>, snapshot: Bytes) {
        *self.saved.lock() = Saved { state, snapshot };
    }

    /// Adds `record` at the end of the saved state; the snapshot stays as it is.
    pub fn append(&self, record: &[u8]) {
        self.saved.lock().state.extend_from_slice(record);
    }

    /// Replaces everything from byte `offset` of the saved state on by `record`, in one step; the snapshot stays as it
    /// is.
    ///
    /// # Panics
    ///
    /// If the saved state is shorter than `offset`.
    pub fn cut_and_append(&self, offset: usize, record: &[u8]) {
        let mut saved = self.saved.lock();
        let length = saved.state.len();
        assert!(offset <= length, "the saved state of {length} bytes cannot be cut at byte {offset}");
        saved.state.truncate(offset);
        saved.state.extend_from_slice(record);
    }

    /// The saved Raft state: the last one given to [`save`](Persister::save) with every later change.
    pub fn read_raft_state(&self) -> Vec<u8> {
        self.saved.lock().state.clone()
    }

    /// The saved snapshot; empty if there is none.
    pub fn read_snapshot(&self) -> Bytes {
        self.saved.lock().snapshot.clone()
    }

    /// Size of the saved Raft state in bytes, everything appended included.
    pub fn raft_state_size(&self) -> usize {
        self.saved.lock().state.len()
    }

    /// Size of the saved snapshot in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.saved.lock().snapshot.len()
    }
}

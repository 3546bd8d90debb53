//! The storage that survives a crash: the lab's `Persister`, an in-memory disk with atomic writes.
//!
//! The lab's `save` replaces state and snapshot in one step. With `append` and `cut_and_append`, saving a change costs
//! the size of the change and not that of the whole log.

use bytes::Bytes;
use labstd::sync::Mutex;

/// The durable storage of one server: a Raft state and a snapshot, replaced atomically.
///
/// A crashed server keeps its own `Persister` object and may go on writing to it. The tester gives the next incarnation
/// a [copy](Persister::copy) made at the crash, so the writes of a dead incarnation are never read.
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
    /// Makes an empty persister.
    pub fn new() -> Persister {
        Persister::default()
    }

    /// Makes a new persister with the same contents. Later writes to one do not change the other.
    pub fn copy(&self) -> Persister {
        Persister { saved: Mutex::new(self.saved.lock().clone()) }
    }

    /// Replaces state and snapshot in one step. An empty `snapshot` erases the stored one, as in the lab.
    pub fn save(&self, state: Vec<u8>, snapshot: Bytes) {
        *self.saved.lock() = Saved { state, snapshot };
    }

    /// Appends `record` to the saved state. The snapshot does not change.
    pub fn append(&self, record: &[u8]) {
        self.saved.lock().state.extend_from_slice(record);
    }

    /// Replaces the saved state from byte `offset` on by `record`, in one step. The snapshot does not change.
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

    /// Returns the saved Raft state: the last one given to [`save`](Persister::save), with all later changes.
    pub fn read_raft_state(&self) -> Vec<u8> {
        self.saved.lock().state.clone()
    }

    /// Returns the saved snapshot; empty if there is none.
    pub fn read_snapshot(&self) -> Bytes {
        self.saved.lock().snapshot.clone()
    }

    /// Returns the size of the saved Raft state in bytes, including appended records.
    pub fn raft_state_size(&self) -> usize {
        self.saved.lock().state.len()
    }

    /// Returns the size of the saved snapshot in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.saved.lock().snapshot.len()
    }
}

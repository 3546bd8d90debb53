//! The consequences of a failed sync. The operating system then forgets that the pages are not on the disk: a later
//! sync succeeds, and a process that reads them finds them in the page cache. If the server believed the page cache at
//! its next start, it could acknowledge what the disk does not have.
//!
//! So a failed sync leaves a marker file. The next start drops the page cache of the store and reads the disk. The
//! marker needs no sync itself: if the machine fails, the page cache is gone as well.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::private;

/// The name of the marker file.
const MARKER: &str = "SYNC-FAILED";

/// Returns the path of the marker file in `dir`.
pub(super) fn marker(dir: &Path) -> PathBuf {
    dir.join(MARKER)
}

/// Records that a sync has failed.
pub(super) fn record(marker: &Path) {
    if let Err(error) = private::create(marker) {
        ::log::error!("{}: cannot record that a sync has failed: {error}", marker.display());
    }
}

/// If a sync has failed, makes the operating system read `store` from the disk from now on.
pub(super) fn forget_cached_pages(marker: &Path, store: &Path) -> io::Result<()> {
    if !marker.exists() {
        return Ok(());
    }
    ::log::warn!("{}: a sync has failed; the file is read from the disk again", store.display());
    let file = File::open(store)?;
    // Dirty pages cannot be dropped.
    file.sync_all()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// Removes the record, after the store was opened and checked.
pub(super) fn clear(marker: &Path) -> io::Result<()> {
    match fs::remove_file(marker) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use raft::core::HardState;
    use raftapi::{ServerId, Term};

    use super::*;
    use crate::storage::{DiskFaults, Identity, Storage, SyncPolicy};

    #[test]
    fn after_a_failed_sync_the_next_start_reads_the_disk() {
        let dir = std::env::temp_dir().join(format!("kvnode-sync-failure-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let owner = Identity { cluster: "test".to_string(), server: ServerId(0), servers: 1 };
        let save = |storage: &Storage, term| storage.save(Some(HardState { term: Term(term), voted_for: None }), None);
        drop(Storage::open(&dir, &owner, SyncPolicy::Always).expect("a new directory"));
        let faulty = SyncPolicy::Faulty(DiskFaults { failing_sync: Some(20), ..DiskFaults::default() });
        let (storage, _) = Storage::open(&dir, &owner, faulty).expect("the first syncs work");
        let saved = (1..100).take_while(|&term| save(&storage, term).is_ok()).last().unwrap_or(0);
        assert!(save(&storage, 100).is_err(), "nothing is saved after a failed sync");
        drop(storage);
        assert!(marker(&dir).exists(), "the failure is recorded");
        let (_storage, restored) = Storage::open(&dir, &owner, SyncPolicy::Always).expect("the disk works again");
        let term = restored.hard_state.term.0;
        assert!(term == saved || term == saved + 1, "all acknowledged saves are there: {term}, not {saved}");
        assert!(!marker(&dir).exists(), "the record is removed");
        fs::remove_dir_all(&dir).expect("the directory can be removed");
    }
}

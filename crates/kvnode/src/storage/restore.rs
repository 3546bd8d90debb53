//! A new data directory with the state of a backup.
//!
//! It belongs to no cluster yet. Its servers found one when all have met, like servers with data of an earlier version.
//! So a server that was not restored is not taken for one of them.

use std::fs;
use std::path::Path;

use raft::core::HardState;

use super::membership::{Membership, Standing};
use super::{Identity, Image, Storage, SyncPolicy, identity, private};

/// Creates the directory `dir` with the state in `image`. The directory is complete when the call returns, and does not
/// exist before.
///
/// # Errors
///
/// One line, if `dir` exists and is not empty, or the disk fails.
pub fn restore(dir: &Path, owner: &Identity, image: &Image) -> Result<(), String> {
    let on_disk = |error: std::io::Error| format!("{}: {error}", dir.display());
    if fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()) {
        return Err(format!("{}: it is not empty; name a new directory with --data", dir.display()));
    }
    let incomplete = private::incomplete(dir);
    // An earlier attempt may have been interrupted.
    let _ = fs::remove_dir_all(&incomplete);
    private::create_dir_all(&incomplete).map_err(on_disk)?;
    {
        let (storage, _) = Storage::open(&incomplete, owner, SyncPolicy::Always).map_err(|error| error.to_string())?;
        let hard_state = HardState { term: image.last_included_term(), voted_for: None };
        storage.install(image, Some(hard_state), false)?;
        storage.save_membership(&Membership::new(Standing::Unregistered), None)?;
    }
    identity::sync_dir(&incomplete).map_err(on_disk)?;
    // An empty directory is replaced.
    fs::rename(&incomplete, dir).map_err(on_disk)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    identity::sync_dir(parent).map_err(on_disk)
}

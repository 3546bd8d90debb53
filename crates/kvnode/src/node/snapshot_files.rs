//! Files for snapshots in flight, incoming and outgoing. They lie beside the store and mean nothing to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use raftapi::ServerId;

use crate::storage::private;

/// The extension of all snapshot files.
const EXTENSION: &str = "snapshot";

/// Returns the path of the incoming snapshot. There is one at a time.
pub(super) fn incoming(data: &Path) -> PathBuf {
    data.join("incoming").with_extension(EXTENSION)
}

/// Returns the path of the outgoing snapshot for a server. Each server receives one at a time.
pub(super) fn outgoing(data: &Path, to: ServerId) -> PathBuf {
    data.join(format!("outgoing-{to}")).with_extension(EXTENSION)
}

/// Returns the path of the file of a backup in progress.
pub(super) fn backup(data: &Path) -> PathBuf {
    data.join("backup").with_extension(EXTENSION)
}

/// Checks that files can be created in the directory. A server that cannot create them can vote and lead, but cannot
/// send or receive snapshots.
///
/// # Errors
///
/// One line, if a file cannot be created.
pub(super) fn check_writable(data: &Path) -> Result<(), String> {
    let probe = data.join("probe").with_extension(EXTENSION);
    private::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|error| {
        format!("{}: cannot create a file: {error}; use a directory that this user may write", data.display())
    })
}

/// Removes snapshot files that a killed process left behind.
///
/// # Errors
///
/// One line, if a file cannot be removed.
pub(super) fn remove_leftovers(data: &Path) -> Result<(), String> {
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(data)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    remove()
        .map_err(|error| format!("{}: cannot remove old snapshot files: {error}; remove *.{EXTENSION}", data.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftover_snapshot_files_are_removed_and_others_stay() {
        let dir = std::env::temp_dir().join(format!("leftovers-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let kept = dir.join("STORE");
        for path in [incoming(&dir), outgoing(&dir, ServerId(0)), outgoing(&dir, ServerId(2)), kept.clone()] {
            fs::write(path, "something").expect("a file");
        }
        remove_leftovers(&dir).expect("the files can be removed");
        let left: Vec<PathBuf> =
            fs::read_dir(&dir).expect("the directory exists").map(|entry| entry.unwrap().path()).collect();
        fs::remove_dir_all(&dir).expect("the directory can be removed");
        assert_eq!(left, [kept]);
    }
}

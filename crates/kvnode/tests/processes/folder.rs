//! The place for the servers' data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Free space that the clusters of all tests need, in kilobytes.
const NEEDED_KILOBYTES: u64 = 1_000_000;

/// The folder for the data of all clusters. It is in memory if there is room, because a disk that other programs keep
/// busy would delay every write. A killed process loses nothing there: only a power failure would.
pub(crate) fn for_data() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        if free_kilobytes(memory).is_some_and(|free| free > NEEDED_KILOBYTES) {
            memory.to_path_buf()
        } else {
            PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        }
    });
    &FOLDER
}

fn free_kilobytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok().filter(|output| output.status.success())?;
    // The fourth column of the second line.
    String::from_utf8(output.stdout).ok()?.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

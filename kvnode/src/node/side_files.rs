//! Where snapshots are while they arrive and while they are sent: files beside the store, of no meaning to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use raftapi::ServerId;

/// How all of their names end.
const ENDING: &str = "snapshot";

/// The snapshot that arrives; there is one at a time.
pub(super) fn incoming(data: &Path) -> PathBuf {
    data.join("incoming").with_extension(ENDING)
}

/// The snapshot for a server; it gets one at a time.
pub(super) fn outgoing(data: &Path, to: ServerId) -> PathBuf {
    data.join(format!("outgoing-{to}")).with_extension(ENDING)
}

/// Removes what was there when the server was last killed.
///
/// # Errors
///
/// One line, if a file cannot be removed.
pub(super) fn remove_leftovers(data: &Path) -> Result<(), String> {
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(data)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    remove().map_err(|error| {
        format!("{}: cannot remove what is left of snapshots: {error}; remove *.{ENDING}", data.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_and_the_rest_stays() {
        let dir = std::env::temp_dir().join(format!("leftovers-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let kept = dir.join("STORE");
        for path in [incoming(&dir), outgoing(&dir, ServerId(0)), outgoing(&dir, ServerId(2)), kept.clone()] {
            fs::write(path, "something").expect("a file");
        }
        remove_leftovers(&dir).expect("they can be removed");
        let left: Vec<PathBuf> = fs::read_dir(&dir).expect("it is there").map(|entry| entry.unwrap().path()).collect();
        fs::remove_dir_all(&dir).expect("it can be removed");
        assert_eq!(left, [kept]);
    }
}

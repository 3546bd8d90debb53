//! The file with the secret that the servers of a cluster share.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::wire::Secret;

/// How many random bytes a new secret has.
const BYTES: usize = 32;

/// Where the secret is of servers that have their folders in `dir`.
pub(crate) fn within(dir: &Path) -> PathBuf {
    dir.join("secret")
}

/// Makes a file with a new secret that only its owner can read, unless there is one.
pub(crate) fn create_if_missing(path: &Path) -> Result<(), String> {
    let mut file = match create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(format!("cannot make the secret's file {}: {error}", path.display())),
    };
    let mut bytes = [0; BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| format!("this machine has no random numbers: {error}"))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(|error| format!("cannot write the secret's file {}: {error}; remove it and try again", path.display()))
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The secret in a file.
pub(crate) fn read(path: &Path) -> Result<Secret, String> {
    let text = fs::read(path).map_err(|error| {
        format!(
            "cannot read the secret's file {}: {error}; --secret names a file that all servers have",
            path.display()
        )
    })?;
    Secret::new(&text).map_err(|error| format!("{}: {error}", path.display()))
}

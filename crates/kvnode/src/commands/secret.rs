//! The file with the secret of a cluster.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::storage::private;
use crate::wire::Secret;

/// The number of random bytes in a new secret.
const SECRET_BYTES: usize = 32;

/// Returns the path of the secret for servers whose directories are in `dir`.
pub(crate) fn path_in(dir: &Path) -> PathBuf {
    dir.join("secret")
}

/// Creates a file with a new secret, which only its owner can read, unless the file exists.
pub(crate) fn create_if_missing(path: &Path) -> Result<(), String> {
    let mut file = match create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(format!("cannot create the secret file {}: {error}", path.display())),
    };
    let mut bytes = [0; SECRET_BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| format!("this machine has no random numbers: {error}"))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .map_err(|error| format!("cannot write the secret file {}: {error}; remove it and try again", path.display()))
}

fn create_new(path: &Path) -> io::Result<File> {
    private::options().write(true).create_new(true).open(path)
}

/// Reads the secret from a file.
pub(crate) fn read(path: &Path) -> Result<Secret, String> {
    let text = fs::read(path).map_err(|error| {
        format!("cannot read the secret file {}: {error}; --secret names a file that all servers have", path.display())
    })?;
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|file| std::os::unix::fs::MetadataExt::mode(&file) & 0o077 != 0) {
        log::warn!("{}: other users of this machine can read the secret; run chmod 600", path.display());
    }
    Secret::new(&text).map_err(|error| format!("{}: {error}", path.display()))
}

//! Errors of the storage. Each is one line that says what is wrong and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Reason why a data directory could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The directory or a file in it cannot be read or written.
    Unreadable {
        /// The path of the file or directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A running process has it open.
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It belongs to another server or another program.
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The difference, such as "it belongs to server 2, but this is server 1".
        difference: String,
    },
    /// A later version of this program wrote it.
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The format of the directory.
        format: u32,
        /// The latest format that this program knows.
        known: u32,
    },
    /// A file is missing or was changed since it was written.
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
}

impl OpenError {
    /// Returns a function for `map_err` that adds `path` to an error of the operating system.
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.to_path_buf();
        move |error| OpenError::Unreadable { path, error }
    }

    /// Returns the error for a file that was changed or is missing.
    pub(super) fn damaged(path: &Path, what: impl fmt::Display) -> OpenError {
        OpenError::Damaged { path: path.to_path_buf(), what: one_line(what) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Unreadable { path, error } if is_full(error) => {
                write!(f, "{}: {error}; the disk is full: free some space, then start again", path.display())
            }
            OpenError::Unreadable { path, error } => {
                write!(f, "{}: {error}; use a directory that this user may read and write", path.display())
            }
            OpenError::InUse { dir } => {
                write!(f, "{}: another process has it open; stop that process or use another directory", dir.display())
            }
            OpenError::Foreign { dir, difference } => {
                write!(f, "{}: {difference}; use the directory of this server", dir.display())
            }
            OpenError::Newer { dir, format, known } => write!(
                f,
                "{}: it has format {format}, and this program supports formats up to {known}; use a later version",
                dir.display()
            ),
            OpenError::Damaged { path, what } => write!(
                f,
                "{}: damaged: {what}; this server must not use it: move the directory away, and run `kvnode serve \
                 --replace` with the same arguments while all other servers run",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Error of an open storage. After an error of a write, nothing more is written: the process should end. After a
/// restart everything that it had acknowledged is there.
#[derive(Debug)]
pub enum StorageError {
    /// The disk failed or is full.
    Disk {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system, or the fact that an earlier write failed.
        what: String,
    },
    /// The data directory was removed or replaced while it was open.
    Gone {
        /// The path of the file that is missing.
        path: PathBuf,
    },
    /// A received snapshot differs from the sent one.
    BadImage {
        /// The path of the file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
}

impl StorageError {
    /// Returns the error without the advice for a running server.
    pub(crate) fn without_advice(&self) -> String {
        match self {
            StorageError::Disk { path, what } | StorageError::BadImage { path, what } => {
                format!("{}: {what}", path.display())
            }
            StorageError::Gone { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Disk { path, what } => {
                write!(f, "{}: {what}; check whether the disk is full or broken, then start again", path.display())
            }
            StorageError::Gone { path } => write!(
                f,
                "{}: the data directory was removed or replaced under the running server; put it back, or, if it is \
                 lost, run `kvnode serve --replace` with the same arguments while all other servers run",
                path.display()
            ),
            StorageError::BadImage { path, what } => {
                write!(f, "{}: unusable snapshot: {what}; it must be sent again", path.display())
            }
        }
    }
}

impl std::error::Error for StorageError {}

/// Returns whether the disk has no space for this user. A limit on the size of files has the same effect.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    [StorageFull, QuotaExceeded, FileTooLarge].contains(&error.kind())
}

/// Joins the lines of a text. Messages of libraries may have several lines.
pub(super) fn one_line(text: impl fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<StorageError> for String {
    fn from(error: StorageError) -> String {
        error.to_string()
    }
}

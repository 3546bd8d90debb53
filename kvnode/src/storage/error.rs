//! What can go wrong, each in one line that says what it is and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a data directory could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The directory, or a file in it, cannot be read or written.
    Unreadable {
        /// Which file or directory.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// A living process has it open.
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It belongs to somebody else.
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// What differs, as "it is of server 2, and this is server 1".
        difference: String,
    },
    /// It was written by a later version of this program.
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The format it has.
        format: u32,
        /// The latest format that this program knows.
        known: u32,
    },
    /// Something in it is not what was written.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl OpenError {
    /// For `map_err`: the operating system refused something about `path`.
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.to_path_buf();
        move |error| OpenError::Unreadable { path, error }
    }

    /// `path` is not as it was written.
    pub(super) fn damaged(path: &Path, what: impl fmt::Display) -> OpenError {
        OpenError::Damaged { path: path.to_path_buf(), what: one_line(what) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Unreadable { path, error } => {
                write!(f, "{}: {error}; make it a directory that this user may read and write", path.display())
            }
            OpenError::InUse { dir } => {
                write!(f, "{}: another process has it open; stop that one, or use another directory", dir.display())
            }
            OpenError::Foreign { dir, difference } => {
                write!(f, "{}: {difference}; use the directory that goes with this server", dir.display())
            }
            OpenError::Newer { dir, format, known } => write!(
                f,
                "{}: it has format {format}, and this program knows formats up to {known}; use a later version",
                dir.display()
            ),
            OpenError::Damaged { path, what } => write!(
                f,
                "{}: damaged: {what}; this server must not go on with it: move the directory away, let the server join \
                 with an id of its own, or restore the disk",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why a storage that is open could not do something. After one from a write nothing more is written: the process should
/// end, and what it had acknowledged is there when it starts again.
#[derive(Debug)]
pub enum StorageError {
    /// The disk refused, or is full.
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the operating system says, or that an earlier write had failed.
        what: String,
    },
    /// A snapshot that was received is not what was sent.
    BadImage {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Disk { path, what } => {
                write!(f, "{}: {what}; look whether the disk is full or broken, then start again", path.display())
            }
            StorageError::BadImage { path, what } => {
                write!(f, "{}: no usable snapshot: {what}; it must be sent again", path.display())
            }
        }
    }
}

impl std::error::Error for StorageError {}

/// Messages of libraries may have several lines.
pub(super) fn one_line(text: impl fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

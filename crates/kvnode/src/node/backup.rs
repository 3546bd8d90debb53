//! Backups: a client reads the image of one view of the state, piece by piece.
//!
//! The image is written to a file first, so a slow client does not keep an old view of the store alive. There is one
//! backup at a time. A new one ends an older one, whose client may be gone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::snapshot_files;
use crate::storage::Storage;

/// Bytes of one piece, which is one reply.
const PIECE_BYTES: u64 = 1 << 20;

/// A request for a piece of a backup, as [`ClientRequest::Admin`](crate::wire::ClientRequest::Admin).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    /// The number of the backup, from the reply with its first piece; `None` begins a new backup.
    pub number: Option<u64>,
    /// The position of the piece in the image, in bytes.
    pub offset: u64,
}

/// A piece of a backup, as [`ClientReply::Admin`](crate::wire::ClientReply::Admin).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPiece {
    /// The number of the backup.
    pub number: u64,
    /// The size of the whole image, in bytes.
    pub total: u64,
    /// The bytes at the requested position; at least one if the position is before the end.
    pub bytes: Bytes,
}

/// The backup in progress.
pub(super) struct Backups {
    storage: Storage,
    path: PathBuf,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    number: u64,
    image: Option<(File, u64)>,
}

impl Backups {
    pub(super) fn new(storage: Storage, data: &Path) -> Backups {
        Backups { storage, path: snapshot_files::backup(data), current: Mutex::default() }
    }

    /// Returns the requested piece. A new backup takes as long as writing the whole state.
    ///
    /// # Errors
    ///
    /// One line, if the disk fails, or the request is not one for the backup in progress.
    pub(super) fn piece(&self, request: &[u8]) -> Result<Bytes, String> {
        let BackupRequest { number, offset } =
            labgob::decode(request).map_err(|error| format!("not a request for a backup: {error}"))?;
        let mut current = self.current.lock();
        if number.is_none() {
            current.image = None;
            let image = self.storage.view()?.write_image(&self.path)?;
            current.number += 1;
            current.image = Some((File::open(&self.path).map_err(|error| self.failure(&error))?, image.bytes()));
            log::info!("a backup of {} bytes, up to index {}", image.bytes(), image.last_included_index());
        }
        let Current { number: current_number, image } = &mut *current;
        let Some((file, total)) = image.as_mut().filter(|_| number.is_none_or(|number| number == *current_number))
        else {
            return Err("another backup has begun: begin again".to_string());
        };
        let mut bytes = Vec::new();
        let mut read = || -> io::Result<()> {
            file.seek(SeekFrom::Start(offset))?;
            file.by_ref().take(PIECE_BYTES).read_to_end(&mut bytes)?;
            Ok(())
        };
        read().map_err(|error| self.failure(&error))?;
        let piece = BackupPiece { number: *current_number, total: *total, bytes: bytes.into() };
        if offset + piece.bytes.len() as u64 >= *total {
            *image = None;
            let _ = std::fs::remove_file(&self.path);
        }
        Ok(labgob::encode(&piece))
    }

    fn failure(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

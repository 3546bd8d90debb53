//! The file `IDENTITY`: the owner of the data directory, as text with a checksum.
//!
//! This is the first file in a new directory. It is written in state `new`, and replaced by one in state `complete`
//! when all other files exist. This distinguishes a directory in which nothing was ever acknowledged from one that lost
//! something: the first is created again, the second is refused.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use raftapi::ServerId;

use super::error::OpenError;
use super::private;

/// The current format. Format 1 has no membership (`membership.rs`); opening adds it.
pub(super) const FORMAT: u32 = 2;
/// The name of the file.
pub(super) const FILE: &str = "IDENTITY";
/// The name of the file while it is being written.
pub(super) const TEMPORARY_FILE: &str = "IDENTITY.new";

const TITLE: &str = "raftlab kvnode storage";

/// The owner of a data directory. It is given at every start and must be the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the cluster, which must be one line.
    pub cluster: String,
    /// The id of the server.
    pub server: ServerId,
    /// The number of servers in the cluster.
    pub servers: usize,
}

/// The state of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The other files may be missing or incomplete.
    New,
    /// All files exist.
    Complete,
}

impl Identity {
    /// Returns the difference between two identities; `None` if they are equal. `self` is the one found in the
    /// directory.
    fn difference(&self, wanted: &Identity) -> Option<String> {
        if self.cluster != wanted.cluster {
            return Some(format!("it belongs to cluster '{}', but this is cluster '{}'", self.cluster, wanted.cluster));
        }
        if self.server != wanted.server {
            return Some(format!("it belongs to server {}, but this is server {}", self.server.0, wanted.server.0));
        }
        let (found, wanted) = (self.servers, wanted.servers);
        (found != wanted).then(|| format!("it belongs to a cluster of {found} servers, but this cluster has {wanted}"))
    }

    /// Returns one line for each fact. The store repeats these lines, so that opening detects a store that was copied
    /// from another directory.
    pub(super) fn lines(&self) -> String {
        assert!(!self.cluster.contains('\n'), "the name of a cluster is one line");
        format!("cluster {}\nserver {}\nservers {}\n", self.cluster, self.server.0, self.servers)
    }
}

/// Reads the file of `dir`. Returns `None` if there is none.
///
/// # Errors
///
/// If the file is damaged, has a later format, or differs from `wanted`.
pub(super) fn read(dir: &Path, wanted: &Identity) -> Result<Option<State>, OpenError> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::unreadable(&path)(error)),
    };
    let damaged = || OpenError::damaged(&path, "its checksum is wrong");
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    let (body, last) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(damaged)?;
    if text != with_checksum(&format!("{body}\n")) || !last.starts_with("checksum ") {
        return Err(damaged());
    }
    // The checksum is right, so from here on the text is as it was written.
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let unknown = || OpenError::damaged(&path, "another program wrote it");
    let number = |name: &str| field(name).and_then(|value| value.parse().ok());
    let format = number("format").filter(|_| body.starts_with(TITLE)).ok_or_else(unknown)?;
    if format > FORMAT as usize {
        let format = u32::try_from(format).unwrap_or(u32::MAX);
        return Err(OpenError::Newer { dir: dir.to_path_buf(), format, known: FORMAT });
    }
    let state = match field("state") {
        Some("new") => State::New,
        Some("complete") => State::Complete,
        _ => return Err(unknown()),
    };
    let found = Identity {
        cluster: field("cluster").ok_or_else(unknown)?.to_string(),
        server: ServerId(number("server").ok_or_else(unknown)?),
        servers: number("servers").ok_or_else(unknown)?,
    };
    match found.difference(wanted) {
        Some(difference) => Err(OpenError::Foreign { dir: dir.to_path_buf(), difference }),
        None => Ok(Some(state)),
    }
}

/// Writes the file of `dir` atomically and durably.
pub(super) fn write(dir: &Path, identity: &Identity, state: State) -> Result<(), OpenError> {
    let state = match state {
        State::New => "new",
        State::Complete => "complete",
    };
    let text = with_checksum(&format!("{TITLE}\nformat {FORMAT}\nstate {state}\n{}", identity.lines()));
    let (path, temporary) = (dir.join(FILE), dir.join(TEMPORARY_FILE));
    let write = || {
        let mut file = private::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_dir(dir)
    };
    write().map_err(OpenError::unreadable(&path))
}

/// Writes the file of a complete directory again in the current format, if it has an earlier one. Earlier versions then
/// refuse the directory.
pub(super) fn upgrade(dir: &Path, identity: &Identity) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    let text = fs::read_to_string(&path).map_err(OpenError::unreadable(&path))?;
    if text.lines().any(|line| line == format!("format {FORMAT}")) {
        return Ok(());
    }
    write(dir, identity, State::Complete)
}

/// Syncs the names in `dir`.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // On other systems a directory cannot be opened as a file, and needs no sync.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn with_checksum(body: &str) -> String {
    format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
}

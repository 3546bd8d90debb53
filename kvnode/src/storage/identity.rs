//! The file `IDENTITY`: whose data directory this is, in text, under a checksum.
//!
//! It is the first file that is written into a new directory, in state `new`, and replaced by one in state `complete`
//! once everything else is there. So a directory in which nothing was ever acknowledged can be told from one that has
//! lost something: the first is begun anew, the second is refused.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use raftapi::ServerId;

use super::error::OpenError;

/// The only format there is so far.
pub(super) const FORMAT: u32 = 1;
/// Its name in the directory.
pub(super) const FILE: &str = "IDENTITY";
/// What it is called until it is complete.
pub(super) const FILE_BESIDE: &str = "IDENTITY.new";

const TITLE: &str = "raftlab kvnode storage";

/// Whose data a directory holds. It is given at every start and must be the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the cluster; one line.
    pub cluster: String,
    /// Which of the servers this is.
    pub server: ServerId,
    /// How many servers there are.
    pub servers: usize,
}

/// How far a directory came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The other files may be missing or half written.
    New,
    /// All files are there.
    Complete,
}

impl Identity {
    /// What two identities differ in; `None` if they are the same. `self` is what was found.
    fn difference(&self, wanted: &Identity) -> Option<String> {
        if self.cluster != wanted.cluster {
            return Some(format!("it is of cluster '{}', and this is cluster '{}'", self.cluster, wanted.cluster));
        }
        if self.server != wanted.server {
            return Some(format!("it is of server {}, and this is server {}", self.server.0, wanted.server.0));
        }
        let (found, wanted) = (self.servers, wanted.servers);
        (found != wanted).then(|| format!("it is of a cluster of {found} servers, and this is one of {wanted}"))
    }

    /// One line for each fact. The store repeats them, so that a store that was copied here from elsewhere is found out.
    pub(super) fn lines(&self) -> String {
        assert!(!self.cluster.contains('\n'), "the name of a cluster is one line");
        format!("cluster {}\nserver {}\nservers {}\n", self.cluster, self.server.0, self.servers)
    }
}

/// Reads the file of `dir`; `None` if there is none.
///
/// # Errors
///
/// If it is damaged, of a later format, or not of `wanted`.
pub(super) fn read(dir: &Path, wanted: &Identity) -> Result<Option<State>, OpenError> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::unreadable(&path)(error)),
    };
    let damaged = || OpenError::damaged(&path, "it does not have the checksum it was written with");
    let text = String::from_utf8(bytes).map_err(|_| damaged())?;
    let (body, last) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(damaged)?;
    if text != with_checksum(&format!("{body}\n")) || !last.starts_with("checksum ") {
        return Err(damaged());
    }
    // From here on it is as somebody wrote it.
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let unknown = || OpenError::damaged(&path, "it is no file of this program");
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

/// Writes the file of `dir`, in one step and durably.
pub(super) fn write(dir: &Path, identity: &Identity, state: State) -> Result<(), OpenError> {
    let state = match state {
        State::New => "new",
        State::Complete => "complete",
    };
    let text = with_checksum(&format!("{TITLE}\nformat {FORMAT}\nstate {state}\n{}", identity.lines()));
    let (path, beside) = (dir.join(FILE), dir.join(FILE_BESIDE));
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        sync_dir(dir)
    };
    write().map_err(OpenError::unreadable(&path))
}

/// Makes the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file, and need not be synced.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn with_checksum(body: &str) -> String {
    format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
}

//! The part that a data directory takes in its cluster, and what its server knows of the directories of the others.
//!
//! A directory has a random number, and each start of a server in it takes the next start number, saved first. Other
//! servers save both before they accept a connection. So they recognise a directory that lost its data, and an older
//! copy of a directory.
//!
//! The number of durable commits grows with every save. Messages carry it, and the receivers save the highest one with
//! their next durable commit. So they also recognise a copy that was made after the last start and is behind what they
//! have seen.

use std::collections::BTreeMap;

use raft::core::HardState;
use raftapi::{Index, ServerId};
use rand::TryRng;
use rand::rngs::SysRng;
use redb::{Durability, ReadableDatabase};
use serde::{Deserialize, Serialize};

use super::tables::{HARD_STATE, MEMBERSHIP, PEER_SAVES, STATE, encode_hard_state};
use super::{Shared, Storage, StorageError};

/// The membership of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The random id of the cluster; `None` before the directory has joined one.
    pub cluster: Option<u128>,
    /// This directory and this start.
    pub incarnation: Incarnation,
    /// The part that the server takes in the cluster.
    pub standing: Standing,
    /// The known directory of each other server.
    pub peers: BTreeMap<ServerId, PeerRecord>,
}

/// One start of a server in one data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// The random number of the directory.
    pub directory: u64,
    /// The number of the start in this directory, from 1.
    pub start: u64,
    /// The random number of the start. Two copies of a directory take the same start number, but not the same random
    /// number.
    pub run: u64,
}

/// The last known incarnation of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The incarnation.
    pub incarnation: Incarnation,
    /// The highest number of durable commits that the server is known to have made.
    pub saves: u64,
}

/// The part that a server takes in its cluster. New variants are added at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The directory is new. The server waits until all servers of the new cluster have met.
    New,
    /// The directory has data of a version without this record. The server waits until all servers have met.
    Unregistered,
    /// The directory replaces one that is lost. The server waits for the answers of the others.
    Replacing,
    /// The server takes part, but does not vote before it has stored everything up to this index.
    CatchingUp(Index),
    /// The server takes part.
    Member,
}

impl Standing {
    /// Returns whether a server takes part in the cluster.
    pub fn takes_part(self) -> bool {
        matches!(self, Standing::CatchingUp(_) | Standing::Member)
    }

    /// Returns whether a server has everything that it has ever acknowledged.
    pub fn has_data(self) -> bool {
        matches!(self, Standing::Unregistered | Standing::Member)
    }
}

impl Membership {
    /// Creates the membership of a new directory, before its first start.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    pub(super) fn new(standing: Standing) -> Membership {
        let incarnation = Incarnation { directory: random(), start: 0, run: 0 };
        Membership { cluster: None, incarnation, standing, peers: BTreeMap::new() }
    }
}

impl Storage {
    /// Takes the next start number, and returns the membership with it. The number is durable when the call returns.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn begin_start(&self) -> Result<Membership, StorageError> {
        let mut membership = self.shared.read_membership()?.unwrap_or_else(|| Membership::new(Standing::Unregistered));
        membership.incarnation.start += 1;
        membership.incarnation.run = random();
        self.save_membership(&membership, None)?;
        Ok(membership)
    }

    /// Saves the membership, and in the same transaction the term and the vote if they are given. Both are durable when
    /// the call returns.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn save_membership(&self, membership: &Membership, hard_state: Option<HardState>) -> Result<(), StorageError> {
        let shared = &self.shared;
        let mut writer = shared.writer.lock();
        let write = shared.begin(Durability::Immediate)?;
        let fill = || -> Result<(), redb::Error> {
            let mut state = write.open_table(STATE)?;
            state.insert(MEMBERSHIP, &labgob::encode(membership)[..])?;
            if let Some(hard_state) = hard_state {
                state.insert(HARD_STATE, encode_hard_state(hard_state).as_slice())?;
            }
            Ok(())
        };
        fill().map_err(|error| shared.disk_error(error))?;
        shared.commit_durably(&mut writer, write)
    }

    /// Returns the number of durable commits.
    pub fn saves(&self) -> u64 {
        self.shared.writer.lock().commit
    }

    /// Notes that `server` has made this many durable commits, in place of the number noted before. It is saved with
    /// the next durable commit.
    pub fn note_peer_saves(&self, server: ServerId, saves: u64) {
        self.shared.writer.lock().peer_saves.insert(server, saves);
    }
}

impl Shared {
    /// Reads the membership; `None` in a directory of a version without it.
    fn read_membership(&self) -> Result<Option<Membership>, StorageError> {
        let read = || -> Result<_, redb::Error> {
            let state = self.db.begin_read()?.open_table(STATE)?;
            let fact = |name| -> Result<Option<Vec<u8>>, redb::Error> {
                Ok(state.get(name)?.map(|fact| fact.value().to_vec()))
            };
            Ok((fact(MEMBERSHIP)?, fact(PEER_SAVES)?))
        };
        let (membership, saves) = read().map_err(|error| self.disk_error(error))?;
        let Some(membership) = membership else { return Ok(None) };
        let mut membership: Membership = labgob::decode(&membership).map_err(|error| self.disk_error(error))?;
        if let Some(saves) = saves {
            let saves: BTreeMap<ServerId, u64> = labgob::decode(&saves).map_err(|error| self.disk_error(error))?;
            for (server, record) in &mut membership.peers {
                record.saves = record.saves.max(saves.get(server).copied().unwrap_or(0));
            }
        }
        Ok(Some(membership))
    }
}

fn random() -> u64 {
    SysRng.try_next_u64().expect("the operating system has random numbers")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use raft::core::{Entry, HardState};
    use raftapi::Term;

    use super::*;
    use crate::storage::{Identity, SyncPolicy, Tail};

    /// Makes the directory one of format 1, which has no membership.
    fn downgrade(dir: &std::path::Path, storage: Storage) {
        let write = storage.shared.db.begin_write().expect("a transaction");
        write.open_table(STATE).expect("the table").remove(MEMBERSHIP).expect("removed");
        write.commit().expect("committed");
        drop(storage);
        let path = dir.join("IDENTITY");
        let text = fs::read_to_string(&path).expect("the identity").replace("format 2", "format 1");
        let (body, _) = text.split_once("checksum").expect("a checksum");
        fs::write(&path, format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))).expect("written");
    }

    #[test]
    fn a_directory_of_the_format_before_is_migrated_with_its_data() {
        let dir = std::env::temp_dir().join(format!("kvnode-migration-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let owner = Identity { cluster: "test".to_string(), server: ServerId(1), servers: 3 };
        let open = || Storage::open(&dir, &owner, SyncPolicy::Never).expect("it opens");
        let (storage, _) = open();
        let entries = [Entry { term: Term(3), command: bytes::Bytes::from_static(b"x") }];
        let hard_state = HardState { term: Term(3), voted_for: Some(ServerId(2)) };
        storage.save(Some(hard_state), Some(Tail { first: Index(1), entries: &entries })).expect("saved");
        downgrade(&dir, storage);

        let (storage, restored) = open();
        assert_eq!((restored.hard_state, restored.log.last_index()), (hard_state, Index(1)));
        let first = storage.begin_start().expect("saved");
        assert_eq!((first.standing, first.incarnation.start), (Standing::Unregistered, 1));
        drop(storage);
        assert!(fs::read_to_string(dir.join("IDENTITY")).expect("the identity").contains("format 2"));
        let second = open().0.begin_start().expect("saved");
        assert_eq!((second.incarnation.directory, second.incarnation.start), (first.incarnation.directory, 2));
        assert_ne!(second.incarnation.run, first.incarnation.run);
        fs::remove_dir_all(&dir).expect("the directory can be removed");
    }

    #[test]
    fn the_saves_of_a_lost_directory_are_forgotten_with_it() {
        let dir = std::env::temp_dir().join(format!("kvnode-peer-saves-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let owner = Identity { cluster: "test".to_string(), server: ServerId(1), servers: 3 };
        let open = || Storage::open(&dir, &owner, SyncPolicy::Never).expect("it opens").0;
        let peer = |directory, saves| PeerRecord { incarnation: Incarnation { directory, start: 1, run: 1 }, saves };
        let saved = |directory, saves| {
            let storage = open();
            let mut membership = storage.begin_start().expect("saved");
            membership.peers.insert(ServerId(0), peer(directory, saves));
            storage.note_peer_saves(ServerId(0), saves);
            storage.save_membership(&membership, None).expect("saved");
            storage.note_peer_saves(ServerId(0), saves + 10);
            storage.flush().expect("saved");
            drop(storage);
            open().begin_start().expect("saved").peers[&ServerId(0)]
        };
        assert_eq!(saved(5, 1951), peer(5, 1961), "the number is saved with the next commit");
        assert_eq!(saved(6, 3), peer(6, 13), "the server was replaced");
        fs::remove_dir_all(&dir).expect("the directory can be removed");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_a_directory_and_its_files() {
        use std::os::unix::fs::MetadataExt;
        let dir = std::env::temp_dir().join(format!("kvnode-modes-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let owner = Identity { cluster: "test".to_string(), server: ServerId(1), servers: 3 };
        let (storage, _) = Storage::open(&dir, &owner, SyncPolicy::Never).expect("it opens");
        storage.view().expect("a view").write_image(&dir.join("image")).expect("written");
        assert_eq!(fs::metadata(&dir).expect("a directory").mode() & 0o777, 0o700);
        for file in fs::read_dir(&dir).expect("a directory") {
            let file = file.expect("a file");
            assert_eq!(file.metadata().expect("metadata").mode() & 0o777, 0o600, "{:?}", file.file_name());
        }
        drop(storage);
        fs::remove_dir_all(&dir).expect("the directory can be removed");
    }
}

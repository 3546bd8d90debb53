//! The storage of a server: its hard state, its log, and its snapshot. It is kept in memory for `raft-rs`. Each save
//! appends one record to the saved state; a new snapshot replaces all records by one.
//!
//! `raft-rs` counts all entries, and a new leader appends one without a command. The lab counts commands, from 1. So
//! each entry with a command carries its index of the lab as its context. Equal prefixes of two logs contain equal
//! commands, so all servers agree on these indexes.

use bytes::Bytes;
use protobuf::Message as _;
use raft_rs::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft_rs::storage::{GetEntriesContext, RaftState};
use raft_rs::util::limit_size;
use raft_rs::{Error, StorageError};
use raftapi::{ApplyMsg, Index, Persister, Term};
use serde::{Deserialize, Serialize};

/// The last entry that the snapshot covers.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Base {
    /// Its index in `raft-rs`.
    index: u64,
    term: u64,
    /// The index in the lab of the last command that the snapshot covers.
    lab_index: Index,
}

/// One record of the saved state. It is preceded by its length, which has [`LENGTH_BYTES`] bytes.
#[derive(Serialize, Deserialize)]
struct Record {
    term: u64,
    vote: u64,
    commit: u64,
    base: Base,
    /// New entries, each encoded. They replace all entries from the index of the first one on.
    entries: Vec<Bytes>,
}

const LENGTH_BYTES: usize = size_of::<u32>();

pub(crate) struct Storage {
    voters: Vec<u64>,
    hard_state: HardState,
    base: Base,
    /// The entries after the base.
    entries: Vec<Entry>,
    /// The service's snapshot of everything up to the base; empty if there is none.
    snapshot: Bytes,
    /// Number of entries whose saved form is up to date.
    entries_saved: usize,
    /// Whether the next save must replace all records, because the snapshot is new.
    snapshot_unsaved: bool,
}

impl Storage {
    /// Restores the saved state of a cluster with these voters, or makes the initial one if nothing was saved.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged.
    pub(crate) fn restore(persister: &Persister, voters: Vec<u64>) -> Storage {
        let mut storage = Storage {
            voters,
            hard_state: HardState::default(),
            base: Base::default(),
            entries: Vec::new(),
            snapshot: persister.read_snapshot(),
            entries_saved: 0,
            snapshot_unsaved: false,
        };
        let saved = persister.read_raft_state();
        let mut rest = &saved[..];
        while let Some((length, records)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let (record, further) = records.split_at(u32::from_le_bytes(*length) as usize);
            storage.restore_record(labgob::decode(record).expect("a record is what was encoded"));
            rest = further;
        }
        storage.entries_saved = storage.entries.len();
        storage
    }

    fn restore_record(&mut self, record: Record) {
        let hard_state = &mut self.hard_state;
        (hard_state.term, hard_state.vote, hard_state.commit) = (record.term, record.vote, record.commit);
        self.base = record.base;
        let decode = |bytes: &Bytes| Entry::parse_from_bytes(bytes).expect("an entry is what was encoded");
        self.append(&record.entries.iter().map(decode).collect::<Vec<_>>());
    }

    /// Saves all changes, in one step.
    pub(crate) fn save(&mut self, persister: &Persister, hard_state: HardState) {
        self.hard_state = hard_state;
        let HardState { term, vote, commit, .. } = self.hard_state;
        let encode = |entry: &Entry| entry.write_to_bytes().expect("all fields are set").into();
        let unsaved = if self.snapshot_unsaved { 0 } else { self.entries_saved };
        let entries = self.entries[unsaved..].iter().map(encode).collect();
        let record = labgob::encode(&Record { term, vote, commit, base: self.base, entries });
        let mut bytes = (record.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&record);
        if self.snapshot_unsaved {
            persister.save(bytes, self.snapshot.clone());
        } else {
            persister.append(&bytes);
        }
        (self.entries_saved, self.snapshot_unsaved) = (self.entries.len(), false);
    }

    /// Returns the index in `raft-rs` of the last entry that the snapshot covers.
    pub(crate) fn base_index(&self) -> u64 {
        self.base.index
    }

    /// Appends entries, which replace all entries from the index of the first one on.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            self.entries.truncate((first.index - self.base.index - 1) as usize);
            self.entries_saved = self.entries_saved.min(self.entries.len());
            self.entries.extend_from_slice(entries);
        }
    }

    /// Replaces all entries up to the command with this index by the service's snapshot. Returns false if an earlier
    /// snapshot covers it.
    pub(crate) fn compact(&mut self, lab_index: Index, snapshot: Bytes) -> bool {
        let position = self.entries.iter().position(|entry| lab_index_of(entry) == Some(lab_index));
        let Some(position) = position.filter(|_| lab_index > self.base.lab_index) else { return false };
        let Entry { index, term, .. } = self.entries[position];
        self.entries.drain(..=position);
        self.replace_snapshot(Base { index, term, lab_index }, snapshot);
        true
    }

    /// Replaces the whole log by a leader's snapshot; returns the message for the service.
    pub(crate) fn install(&mut self, snapshot: &Snapshot) -> ApplyMsg {
        let (index, term) = (snapshot.get_metadata().index, snapshot.get_metadata().term);
        let (lab_index, snapshot): (Index, Bytes) =
            labgob::decode(&snapshot.data).expect("a snapshot is what another server encoded");
        self.entries.clear();
        self.replace_snapshot(Base { index, term, lab_index }, snapshot.clone());
        ApplyMsg::Snapshot { index: lab_index, term: Term(term), snapshot }
    }

    fn replace_snapshot(&mut self, base: Base, snapshot: Bytes) {
        (self.base, self.snapshot, self.snapshot_unsaved) = (base, snapshot, true);
    }

    /// Returns the index in the lab of the last command, if these entries come after the stored ones.
    pub(crate) fn last_lab_index(&self, further: &[Entry]) -> Index {
        let entries = further.iter().rev().chain(self.entries.iter().rev());
        entries.filter_map(lab_index_of).next().unwrap_or(self.base.lab_index)
    }

    fn conf_state(&self) -> ConfState {
        ConfState::from((self.voters.clone(), Vec::new()))
    }

    fn find(&self, index: u64) -> raft_rs::Result<&Entry> {
        if index <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.entries.get((index - self.base.index - 1) as usize).ok_or(Error::Store(StorageError::Unavailable))
    }
}

impl raft_rs::Storage for Storage {
    fn initial_state(&self) -> raft_rs::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft_rs::Result<Vec<Entry>> {
        let mut entries = (low..high).map(|index| self.find(index).cloned()).collect::<raft_rs::Result<Vec<_>>>()?;
        limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft_rs::Result<u64> {
        if index == self.base.index { Ok(self.base.term) } else { self.find(index).map(|entry| entry.term) }
    }

    fn first_index(&self) -> raft_rs::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft_rs::Result<u64> {
        Ok(self.base.index + self.entries.len() as u64)
    }

    fn snapshot(&self, _: u64, _: u64) -> raft_rs::Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        snapshot.data = labgob::encode(&(self.base.lab_index, &self.snapshot));
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (self.base.index, self.base.term);
        metadata.set_conf_state(self.conf_state());
        Ok(snapshot)
    }
}

/// Returns the context of an entry with a command.
pub(crate) fn context_of(lab_index: Index) -> Vec<u8> {
    lab_index.0.to_le_bytes().to_vec()
}

/// Returns the index in the lab of an entry; `None` if it has no command.
pub(crate) fn lab_index_of(entry: &Entry) -> Option<Index> {
    entry.context[..].try_into().ok().map(|bytes| Index(u64::from_le_bytes(bytes)))
}

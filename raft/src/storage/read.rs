//! From the records of a saved state to the state, with every check that can be made: a record that is whole by its
//! checksum must also be one that could have been written after those before it.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};

use super::DamagedState;
use super::layout::Layout;
use super::record::{Kind, Record, RecordReader};
use crate::core::{Entry, HardState, Log, Saved};

/// The state in `bytes`, and where its parts stand; the state of a server that has never run if there are none.
///
/// # Errors
///
/// If the bytes are not what a [`Storage`](super::Storage) writes, or do not go with the snapshot.
pub(super) fn state(bytes: &[u8], snapshot: Bytes) -> Result<(Saved, Layout), DamagedState> {
    let mut reader = RecordReader::new(bytes);
    let mut state = RestoredState::default();
    while let Some(record) = reader.next_record()? {
        state.apply(record).map_err(|Mismatch { expected, found }| reader.damaged(expected, found))?;
    }
    let RestoredState { base: (base_index, base_term), hard_state, entries, layout } = state;
    if base_index == Index::ZERO && !snapshot.is_empty() {
        return Err(reader.damaged("a base, for there is a snapshot", "the end"));
    }
    Ok((Saved { hard_state, log: Log::after(base_index, base_term, entries), snapshot }, layout))
}

/// What the records say so far.
#[derive(Default)]
struct RestoredState {
    base: (Index, Term),
    hard_state: HardState,
    /// The entries after the base.
    entries: Vec<Entry>,
    layout: Layout,
}

/// What should be in a record, and what is.
struct Mismatch {
    expected: String,
    found: String,
}

impl RestoredState {
    /// Takes over what the next record says.
    fn apply(&mut self, record: Record<'_>) -> Result<(), Mismatch> {
        match record.kind {
            Kind::Base => self.apply_base(record),
            Kind::HardState => self.apply_hard_state(record),
            Kind::Entries => self.apply_entries(record),
        }
    }

    fn apply_base(&mut self, mut record: Record<'_>) -> Result<(), Mismatch> {
        let (index, term): (Index, Term) = record.decode()?;
        record.check_end()?;
        if self.layout.end() > 0 {
            return Err(mismatch("a base as the first record only", "one behind others"));
        }
        if index == Index::ZERO {
            return Err(mismatch("the index of a base, from 1 on", "index 0"));
        }
        self.base = (index, term);
        self.layout.add_base(index, record.length);
        Ok(())
    }

    fn apply_hard_state(&mut self, mut record: Record<'_>) -> Result<(), Mismatch> {
        let (term, voted_for): (Term, Option<ServerId>) = record.decode()?;
        record.check_end()?;
        let before = self.hard_state;
        let least = before.term.max(self.base.1);
        if term < least {
            return Err(mismatch(format!("a term from {least} on"), format!("term {term}")));
        }
        if term == before.term && before.voted_for.is_some() && before.voted_for != voted_for {
            return Err(mismatch(format!("the vote of term {term} as it was saved before"), "another"));
        }
        self.hard_state = HardState { term, voted_for };
        self.layout.add_hard_state(record.length);
        Ok(())
    }

    fn apply_entries(&mut self, mut record: Record<'_>) -> Result<(), Mismatch> {
        let first: Index = record.decode()?;
        let (base_index, base_term) = self.base;
        let (least, most) = (base_index.next(), Index(base_index.0 + self.entries.len() as u64 + 1));
        if !(least..=most).contains(&first) {
            return Err(mismatch(format!("entries from an index between {least} and {most} on"), format!("{first}")));
        }
        self.entries.truncate((first.0 - least.0) as usize);

        let mut last_term = self.entries.last().map_or(base_term, |entry| entry.term);
        let mut sizes = Vec::new();
        while record.payload.remaining() > 0 {
            let before = record.payload.remaining();
            let entry: Entry = record.decode()?;
            if !(last_term..=self.hard_state.term).contains(&entry.term) {
                let expected = format!("an entry of a term between {last_term} and {}", self.hard_state.term);
                return Err(mismatch(expected, format!("one of term {}", entry.term)));
            }
            last_term = entry.term;
            sizes.push(before - record.payload.remaining());
            self.entries.push(entry);
        }
        if sizes.is_empty() {
            return Err(mismatch("at least one entry", "none"));
        }
        self.layout.add_entries(first, record.length, &sizes);
        Ok(())
    }
}

impl Record<'_> {
    fn decode<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Mismatch> {
        self.payload.take().map_err(|error| {
            mismatch(
                format!("the payload of a record of kind {}", self.kind as u8),
                format!("bytes that do not fit ({error})"),
            )
        })
    }

    fn check_end(&self) -> Result<(), Mismatch> {
        match self.payload.remaining() {
            0 => Ok(()),
            more => Err(mismatch("the end of the payload", format!("{more} more bytes"))),
        }
    }
}

fn mismatch(expected: impl Into<String>, found: impl Into<String>) -> Mismatch {
    Mismatch { expected: expected.into(), found: found.into() }
}

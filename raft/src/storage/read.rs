//! Reconstruction of the state from its saved records, with every possible check. Besides a correct checksum, each
//! record must be one that could have been written after the records before it.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};

use super::DamagedState;
use super::layout::Layout;
use super::record::{Kind, Record, RecordReader};
use crate::core::{Entry, HardState, Log, Saved};

/// Returns the state in `bytes` and its layout. If there are no bytes, it is the state of a server that has never run.
///
/// # Errors
///
/// If the bytes are not what a [`Storage`](super::Storage) writes, or do not match the snapshot.
pub(super) fn state(bytes: &[u8], snapshot: Bytes) -> Result<(Saved, Layout), DamagedState> {
    let mut reader = RecordReader::new(bytes);
    let mut state = RestoredState::default();
    while let Some(record) = reader.next_record()? {
        state.apply(record).map_err(|Mismatch { expected, found }| reader.damaged(expected, found))?;
    }
    let RestoredState { base: (base_index, base_term), hard_state, entries, layout } = state;
    if base_index == Index::ZERO && !snapshot.is_empty() {
        return Err(reader.damaged("a base, because there is a snapshot", "the end"));
    }
    Ok((Saved { hard_state, log: Log::after(base_index, base_term, entries), snapshot }, layout))
}

/// The state that the records read so far describe.
#[derive(Default)]
struct RestoredState {
    base: (Index, Term),
    hard_state: HardState,
    /// The entries after the base.
    entries: Vec<Entry>,
    layout: Layout,
}

/// The expected content of a record and the content found.
struct Mismatch {
    expected: String,
    found: String,
}

impl RestoredState {
    /// Applies the next record.
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
            return Err(mismatch("a base as the first record only", "a base after other records"));
        }
        if index == Index::ZERO {
            return Err(mismatch("a base with an index of at least 1", "index 0"));
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
            return Err(mismatch(format!("a term of at least {least}"), format!("term {term}")));
        }
        if term == before.term && before.voted_for.is_some() && before.voted_for != voted_for {
            return Err(mismatch(format!("the vote of term {term} that was saved before"), "another vote"));
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
            return Err(mismatch(
                format!("entries that begin at an index between {least} and {most}"),
                format!("index {first}"),
            ));
        }
        self.entries.truncate((first.0 - least.0) as usize);

        let mut last_term = self.entries.last().map_or(base_term, |entry| entry.term);
        let mut sizes = Vec::new();
        while record.payload.remaining() > 0 {
            let before = record.payload.remaining();
            let entry: Entry = record.decode()?;
            if !(last_term..=self.hard_state.term).contains(&entry.term) {
                let expected = format!("an entry with a term between {last_term} and {}", self.hard_state.term);
                return Err(mismatch(expected, format!("an entry of term {}", entry.term)));
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
                format!("bytes that do not decode ({error})"),
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

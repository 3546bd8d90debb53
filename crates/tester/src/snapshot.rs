//! The service's snapshot: everything that it has applied, as in the course. So a snapshot grows with the log, and
//! every entry in it can be compared.

use bytes::Bytes;
use raftapi::Index;

use crate::command::Command;

/// Everything that a service has applied up to an index.
///
/// The encoding is that index and a list with a slot for each index from 0 on; the slot of index 0 is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The commands; the command of index 1 comes first.
    commands: Vec<Command>,
}

impl Snapshot {
    /// Creates a snapshot of the entries from index 1 on.
    pub fn of(commands: &[Command]) -> Snapshot {
        Snapshot { commands: commands.to_vec() }
    }

    /// Returns the last covered index.
    pub fn index(&self) -> Index {
        Index(self.commands.len() as u64)
    }

    /// Returns the covered entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Index, &Command)> {
        (1..).map(Index).zip(&self.commands)
    }

    /// Encodes the snapshot as bytes.
    pub fn encode(&self) -> Bytes {
        let slots: Vec<Option<&Command>> = std::iter::once(None).chain(self.commands.iter().map(Some)).collect();
        labgob::encode(&(self.index().0, slots))
    }

    /// Decodes a snapshot from bytes.
    ///
    /// # Errors
    ///
    /// If the bytes were not written by [`encode`](Snapshot::encode). The error describes the problem and can end a
    /// sentence.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_string());
        }
        let (last, slots): (u64, Vec<Option<Command>>) =
            labgob::decode(bytes).map_err(|error| format!("its {} bytes are damaged: {error}", bytes.len()))?;
        let mut slots = slots.into_iter();
        if slots.next() != Some(None) {
            return Err("its slot for index 0 is not empty".to_string());
        }
        let commands = slots.collect::<Option<Vec<Command>>>().ok_or("it lacks a command")?;
        if commands.len() as u64 != last {
            return Err(format!(
                "it claims to cover everything up to index {last}, but has {} commands",
                commands.len()
            ));
        }
        Ok(Snapshot { commands })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_reverses_encode() {
        let commands = [Command::Int(10), Command::Str("twenty".to_string())];
        for count in 0..=commands.len() {
            let snapshot = Snapshot::of(&commands[..count]);
            assert_eq!(snapshot.index(), Index(count as u64));
            assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
        }
    }

    #[test]
    fn invalid_snapshot_bytes_are_an_error() {
        let wrong = |slots: &[Option<i64>], last: u64| {
            let slots: Vec<Option<Command>> = slots.iter().map(|slot| slot.map(Command::Int)).collect();
            Snapshot::decode(&labgob::encode(&(last, slots))).unwrap_err()
        };
        assert_eq!(Snapshot::decode(&[]).unwrap_err(), "it is empty");
        assert_eq!(wrong(&[None, Some(1)], 2), "it claims to cover everything up to index 2, but has 1 commands");
        assert_eq!(wrong(&[Some(0), Some(1)], 1), "its slot for index 0 is not empty");
        assert_eq!(wrong(&[None, None], 1), "it lacks a command");
        let bytes = Snapshot::of(&[Command::Int(1), Command::Int(2)]).encode();
        let error = Snapshot::decode(&bytes[..bytes.len() - 1]).unwrap_err();
        assert!(error.starts_with(&format!("its {} bytes are damaged: ", bytes.len() - 1)), "{error}");
    }
}

//! What the service on each Raft puts into a snapshot: everything that it has applied, as in the course. So a snapshot
//! grows with the log, and every entry in it can be compared.

use bytes::Bytes;
use raftapi::Index;

use crate::command::Command;

/// Everything that a service has applied up to an index.
///
/// As bytes it is that index and a list with a place for each index from 0 on; the place of index 0 is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The command of index 1 comes first.
    commands: Vec<Command>,
}

impl Snapshot {
    /// A snapshot of the entries from index 1 on.
    pub fn of(commands: &[Command]) -> Snapshot {
        Snapshot { commands: commands.to_vec() }
    }

    /// The last index that it covers.
    pub fn index(&self) -> Index {
        Index(self.commands.len() as u64)
    }

    /// What it covers, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Index, &Command)> {
        (1..).map(Index).zip(&self.commands)
    }

    /// The snapshot as bytes.
    pub fn encode(&self) -> Bytes {
        let places: Vec<Option<&Command>> = std::iter::once(None).chain(self.commands.iter().map(Some)).collect();
        labgob::encode(&(self.index().0, places))
    }

    /// The snapshot that these bytes are.
    ///
    /// # Errors
    ///
    /// What is wrong with them, as the end of a sentence, if they are not what [`encode`](Snapshot::encode) returns.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_string());
        }
        let (last, places): (u64, Vec<Option<Command>>) =
            labgob::decode(bytes).map_err(|error| format!("its {} bytes are damaged: {error}", bytes.len()))?;
        let mut places = places.into_iter();
        if places.next() != Some(None) {
            return Err("its place for index 0 is not empty".to_string());
        }
        let commands = places.collect::<Option<Vec<Command>>>().ok_or("a command is missing in it")?;
        if commands.len() as u64 != last {
            return Err(format!("it says that it covers everything up to index {last}, but has {}", commands.len()));
        }
        Ok(Snapshot { commands })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let commands = [Command::Int(10), Command::Str("twenty".to_string())];
        for count in 0..=commands.len() {
            let snapshot = Snapshot::of(&commands[..count]);
            assert_eq!(snapshot.index(), Index(count as u64));
            assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
        }
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_an_error() {
        let wrong = |places: &[Option<i64>], last: u64| {
            let places: Vec<Option<Command>> = places.iter().map(|place| place.map(Command::Int)).collect();
            Snapshot::decode(&labgob::encode(&(last, places))).unwrap_err()
        };
        assert_eq!(Snapshot::decode(&[]).unwrap_err(), "it is empty");
        assert_eq!(wrong(&[None, Some(1)], 2), "it says that it covers everything up to index 2, but has 1");
        assert_eq!(wrong(&[Some(0), Some(1)], 1), "its place for index 0 is not empty");
        assert_eq!(wrong(&[None, None], 1), "a command is missing in it");
        let bytes = Snapshot::of(&[Command::Int(1), Command::Int(2)]).encode();
        let error = Snapshot::decode(&bytes[..bytes.len() - 1]).unwrap_err();
        assert!(error.starts_with(&format!("its {} bytes are damaged: ", bytes.len() - 1)), "{error}");
    }
}

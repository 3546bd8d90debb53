//! The state machine: the map, and the duplicate table. It is pure: the same commands in the same order make the same
//! store on every server, whatever the time, the term or the role.

use std::collections::BTreeMap;

use bytes::Bytes;
use labgob::{DecodeError, Encoder};
use raftapi::Index;
use serde::{Deserialize, Serialize};

use crate::messages::{Command, Operation, OperationId, Reply};
use crate::value::Value;

/// What a server knows after it has applied the log up to some index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The last entry that is in here.
    applied: Index,
    values: BTreeMap<String, Value>,
    /// The last write of each client that was executed (the *duplicate table*). A client has one operation at a time, so a
    /// later one says that all before it are done and answered.
    ///
    /// The table would have to keep the reply beside the number, but all replies are the same: a write is done, or it is
    /// not in the table.
    ///
    /// It grows with the number of clients, some ten bytes each, and nothing is ever taken out: a client that was silent
    /// for a day may have a request under way, or be about to send again what it never got an answer to. To forget it would
    /// be to execute that a second time; and if servers did not all forget at the same place in the log, their maps would
    /// differ for ever. Systems that must forget agree in the log on sessions that expire, and refuse the requests of an
    /// expired one (dissertation, 6.3); the lab's clerks know no such answer.
    last_written: BTreeMap<u64, u64>,
}

impl Store {
    /// Decodes a snapshot.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(crate) fn restore(snapshot: &[u8]) -> Result<Store, DecodeError> {
        labgob::decode(snapshot)
    }

    /// Encodes everything.
    pub(crate) fn snapshot(&self) -> Bytes {
        Encoder::with_capacity(self.snapshot_bytes_max()).put(self).finish()
    }

    /// The most bytes that everything may take when it is encoded: a number takes nine, a string its length beside.
    fn snapshot_bytes_max(&self) -> usize {
        const NUMBER: usize = 9;
        let values: usize = self.values.iter().map(|(key, value)| key.len() + value.len() + 2 * NUMBER).sum();
        values + (2 * self.last_written.len() + 3) * NUMBER
    }

    /// The index of the last entry that was applied.
    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// Applies the entry at `index`; returns what its client is to be told. That is the same for a duplicate as it was the
    /// first time.
    ///
    /// # Panics
    ///
    /// If it is not the entry that follows.
    pub(crate) fn apply(&mut self, index: Index, command: Command<&str>) -> Reply {
        assert_eq!(
            index,
            self.applied.next(),
            "Raft must deliver every entry, in order: the service has applied up to index {}, and was given index {index}",
            self.applied
        );
        self.applied = index;
        // A read changes nothing and is not remembered: it may be executed twice.
        if let Operation::Get { key } = command.operation {
            return self.get(key);
        }
        let OperationId { client, seq } = command.id;
        let last = self.last_written.entry(client).or_default();
        if *last < seq {
            *last = seq;
            self.write(command.operation);
        }
        Reply::Written
    }

    /// Executes a write.
    fn write(&mut self, operation: Operation<&str>) {
        match operation {
            Operation::Get { .. } => {}
            Operation::Put { key, value } => match self.values.get_mut(key) {
                Some(present) => *present = Value::new(value.to_string()),
                None => self.begin(key, value),
            },
            Operation::Append { key, value } => match self.values.get_mut(key) {
                Some(present) => present.push(value),
                None => self.begin(key, value),
            },
        }
    }

    /// Adds a key that there was not.
    fn begin(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_string(), Value::new(value.to_string()));
    }

    /// The value of `key`, or that there is none.
    pub(crate) fn get(&self, key: &str) -> Reply {
        self.values.get(key).map_or(Reply::NoKey, |value| Reply::Value(value.clone()))
    }

    /// Whether this write was executed.
    pub(crate) fn has_written(&self, id: OperationId) -> bool {
        self.last_written.get(&id.client).is_some_and(|&seq| id.seq <= seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(client: u64, seq: u64, value: &str) -> Command<&str> {
        let operation = Operation::Append { key: "k", value };
        Command { id: OperationId { client, seq }, operation }
    }

    fn put(client: u64, seq: u64, value: &str) -> Command<&str> {
        let operation = Operation::Put { key: "k", value };
        Command { id: OperationId { client, seq }, operation }
    }

    fn get(client: u64, seq: u64) -> Command<&'static str> {
        Command { id: OperationId { client, seq }, operation: Operation::Get { key: "k" } }
    }

    fn value(text: &str) -> Reply {
        Reply::Value(Value::new(text.to_string()))
    }

    /// A store after these commands, and what they answered.
    fn after<'a>(commands: impl IntoIterator<Item = Command<&'a str>>) -> (Store, Vec<Reply>) {
        let mut store = Store::default();
        let replies = (1..).zip(commands).map(|(index, command)| store.apply(Index(index), command)).collect();
        (store, replies)
    }

    #[test]
    fn commands_do_what_their_names_say() {
        let (store, replies) = after([get(1, 1), append(1, 2, "a"), append(1, 3, "b"), get(1, 4), put(1, 5, "c")]);
        assert_eq!(replies, [Reply::NoKey, Reply::Written, Reply::Written, value("ab"), Reply::Written]);
        assert_eq!(store.get("k"), value("c"));
        assert_eq!(store.get("another"), Reply::NoKey);
    }

    #[test]
    fn a_write_that_comes_again_is_answered_and_not_executed() {
        let (store, replies) = after([append(1, 1, "a"), append(1, 1, "a"), append(1, 2, "b"), append(1, 1, "a")]);
        assert_eq!(replies, [Reply::Written, Reply::Written, Reply::Written, Reply::Written]);
        assert_eq!(store.get("k"), value("ab"));
    }

    #[test]
    fn clients_do_not_share_their_numbers() {
        let (store, _) = after([append(1, 1, "a"), append(2, 1, "b"), get(3, 1), append(3, 1, "c")]);
        assert_eq!(store.get("k"), value("abc"), "and a Get takes none");
    }

    #[test]
    fn what_was_handed_out_does_not_change() {
        let (mut store, _) = after([append(1, 1, "a")]);
        let before = store.get("k");
        store.apply(Index(2), append(1, 2, "b"));
        assert_eq!(before, value("a"));
        assert_eq!(store.get("k"), value("ab"));
    }

    #[test]
    fn a_snapshot_has_the_map_the_table_and_the_index() {
        let (store, _) = after([append(1, 1, "a"), put(1 << 61, 300, "b"), append(2, 1, "c")]);
        let mut restored = Store::restore(&store.snapshot()).expect("a snapshot");
        assert_eq!(restored, store);
        assert_eq!(restored.applied(), Index(3));
        restored.apply(Index(4), put(1 << 61, 300, "again"));
        assert_eq!(restored.get("k"), value("bc"));
    }

    #[test]
    fn the_room_for_a_snapshot_is_enough() {
        let mut store = Store::default();
        for (index, length) in (1..).zip([0, 1, 250, 251, 65_535, 65_536, 100_000]) {
            store.apply(Index(index), put(u64::MAX - index, u64::MAX, &"x".repeat(length)));
            assert!(store.snapshot().len() <= store.snapshot_bytes_max(), "{length}");
        }
    }

    #[test]
    fn a_snapshot_of_one_key_and_one_client_has_twenty_bytes() {
        let (store, _) = after([put((1 << 62) - 1, 200, "1")]);
        assert!(store.snapshot().len() <= 20, "{} bytes", store.snapshot().len());
    }

    #[test]
    fn an_append_of_ten_bytes_is_an_entry_of_twenty_four() {
        assert_eq!(labgob::encode(&append((1 << 62) - 1, 200, "0123456789")).len(), 24);
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let (store, _) = after([append(1, 1, "a")]);
        let snapshot = store.snapshot();
        assert!(Store::restore(&snapshot[..snapshot.len() - 1]).is_err(), "something is missing");
        assert!(Store::restore(&[&snapshot[..], b"x"].concat()).is_err(), "there is something more");
    }

    #[test]
    #[should_panic = "has applied up to index 1, and was given index 3"]
    fn a_gap_in_the_log_is_not_passed_over() {
        let (mut store, _) = after([append(1, 1, "a")]);
        store.apply(Index(3), append(1, 2, "b"));
    }
}

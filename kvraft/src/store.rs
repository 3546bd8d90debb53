//! The state machine: the map and the duplicate table. It is deterministic: the same commands in the same order give
//! the same store on every server. Time, term and role do not matter.

use std::collections::BTreeMap;

use bytes::Bytes;
use labgob::{DecodeError, Encoder};
use raftapi::Index;
use serde::{Deserialize, Serialize};

use crate::messages::{Command, Operation, OperationId, Reply};
use crate::value::Value;

/// State of the service after it has applied the log up to some index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The index of the last applied entry.
    applied: Index,
    values: BTreeMap<String, Value>,
    /// Number of the last executed write of each client (the *duplicate table*). A client has one operation in flight
    /// at a time, so its number shows that all earlier operations are executed and answered.
    ///
    /// In general the table must also keep the reply. Here all replies are the same: a write is executed, or it is not
    /// in the table.
    ///
    /// The table grows with the number of clients, by about ten bytes each, and no client is ever removed. A client
    /// that was silent for a day may still have a request in flight, or may be about to retry one that got no reply. If
    /// a server forgot that client, it would execute the request a second time. If servers forgot it at different
    /// places of the log, their maps would differ for ever. Systems that must remove clients agree in the log on
    /// sessions that expire, and refuse requests of an expired session (dissertation, 6.3). The lab's clerks know no
    /// such reply.
    last_written: BTreeMap<u64, u64>,
}

impl Store {
    /// Decodes a snapshot.
    ///
    /// # Errors
    ///
    /// If the bytes are not a snapshot of this service.
    pub(crate) fn restore(snapshot: &[u8]) -> Result<Store, DecodeError> {
        labgob::decode(snapshot)
    }

    /// Encodes the whole store as a snapshot.
    pub(crate) fn snapshot(&self) -> Bytes {
        Encoder::with_capacity(self.snapshot_bytes_max()).put(self).finish()
    }

    /// Returns an upper bound of the size of a snapshot, in bytes. A number takes at most nine bytes; a string takes
    /// its bytes and a number for its length.
    fn snapshot_bytes_max(&self) -> usize {
        const NUMBER: usize = 9;
        let values: usize = self.values.iter().map(|(key, value)| key.len() + value.len() + 2 * NUMBER).sum();
        values + (2 * self.last_written.len() + 3) * NUMBER
    }

    /// Returns the index of the last applied entry.
    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// Applies the entry at `index` and returns the reply to its client. A duplicate gets the same reply as the first
    /// execution.
    ///
    /// # Panics
    ///
    /// If `index` does not follow the last applied index.
    pub(crate) fn apply(&mut self, index: Index, command: Command<&str>) -> Reply {
        assert_eq!(
            index,
            self.applied.next(),
            "Raft must deliver every entry, in order: the service has applied up to index {}, and got index {index}",
            self.applied
        );
        self.applied = index;
        // A read changes nothing, so it may be executed twice and needs no place in the table.
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
                None => self.insert(key, value),
            },
            Operation::Append { key, value } => match self.values.get_mut(key) {
                Some(present) => present.push(value),
                None => self.insert(key, value),
            },
        }
    }

    /// Adds a new key.
    fn insert(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_string(), Value::new(value.to_string()));
    }

    /// Returns the reply to a Get of `key`.
    pub(crate) fn get(&self, key: &str) -> Reply {
        self.values.get(key).map_or(Reply::NoKey, |value| Reply::Value(value.clone()))
    }

    /// Reports whether this write was executed.
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

    /// Returns a store after these commands, and their replies.
    fn after<'a>(commands: impl IntoIterator<Item = Command<&'a str>>) -> (Store, Vec<Reply>) {
        let mut store = Store::default();
        let replies = (1..).zip(commands).map(|(index, command)| store.apply(Index(index), command)).collect();
        (store, replies)
    }

    #[test]
    fn get_put_and_append_work() {
        let (store, replies) = after([get(1, 1), append(1, 2, "a"), append(1, 3, "b"), get(1, 4), put(1, 5, "c")]);
        assert_eq!(replies, [Reply::NoKey, Reply::Written, Reply::Written, value("ab"), Reply::Written]);
        assert_eq!(store.get("k"), value("c"));
        assert_eq!(store.get("another"), Reply::NoKey);
    }

    #[test]
    fn a_duplicate_write_is_answered_and_not_executed() {
        let (store, replies) = after([append(1, 1, "a"), append(1, 1, "a"), append(1, 2, "b"), append(1, 1, "a")]);
        assert_eq!(replies, [Reply::Written, Reply::Written, Reply::Written, Reply::Written]);
        assert_eq!(store.get("k"), value("ab"));
    }

    #[test]
    fn each_client_has_its_own_numbers() {
        let (store, _) = after([append(1, 1, "a"), append(2, 1, "b"), get(3, 1), append(3, 1, "c")]);
        assert_eq!(store.get("k"), value("abc"), "a Get uses no number in the table");
    }

    #[test]
    fn an_append_does_not_change_a_value_read_earlier() {
        let (mut store, _) = after([append(1, 1, "a")]);
        let before = store.get("k");
        store.apply(Index(2), append(1, 2, "b"));
        assert_eq!(before, value("a"));
        assert_eq!(store.get("k"), value("ab"));
    }

    #[test]
    fn a_snapshot_contains_the_map_the_table_and_the_index() {
        let (store, _) = after([append(1, 1, "a"), put(1 << 61, 300, "b"), append(2, 1, "c")]);
        let mut restored = Store::restore(&store.snapshot()).expect("a snapshot");
        assert_eq!(restored, store);
        assert_eq!(restored.applied(), Index(3));
        restored.apply(Index(4), put(1 << 61, 300, "again"));
        assert_eq!(restored.get("k"), value("bc"));
    }

    #[test]
    fn a_snapshot_is_never_larger_than_its_bound() {
        let mut store = Store::default();
        for (index, length) in (1..).zip([0, 1, 250, 251, 65_535, 65_536, 100_000]) {
            store.apply(Index(index), put(u64::MAX - index, u64::MAX, &"x".repeat(length)));
            assert!(store.snapshot().len() <= store.snapshot_bytes_max(), "{length}");
        }
    }

    #[test]
    fn a_snapshot_of_one_key_and_one_client_has_20_bytes() {
        let (store, _) = after([put((1 << 62) - 1, 200, "1")]);
        assert!(store.snapshot().len() <= 20, "{} bytes", store.snapshot().len());
    }

    #[test]
    fn an_append_of_10_bytes_is_an_entry_of_24_bytes() {
        assert_eq!(labgob::encode(&append((1 << 62) - 1, 200, "0123456789")).len(), 24);
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let (store, _) = after([append(1, 1, "a")]);
        let snapshot = store.snapshot();
        assert!(Store::restore(&snapshot[..snapshot.len() - 1]).is_err(), "a byte is missing");
        assert!(Store::restore(&[&snapshot[..], b"x"].concat()).is_err(), "there is a byte too many");
    }

    #[test]
    #[should_panic = "has applied up to index 1, and got index 3"]
    fn a_gap_in_the_log_is_a_panic() {
        let (mut store, _) = after([append(1, 1, "a")]);
        store.apply(Index(3), append(1, 2, "b"));
    }
}

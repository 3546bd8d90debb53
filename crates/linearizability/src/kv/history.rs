//! The recorded operations of a run, in compact form.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::value_trie::{Place, ValueTrie};

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Returns the value of a key, which is empty if it was never written.
    Get,
    /// Replaces the value.
    Put,
    /// Appends to the value.
    Append,
}

/// The operations on a key/value store, each with the value that it returned or wrote.
///
/// An operation takes 40 bytes. The value of a Get is stored exactly, but takes memory only for the part that it does
/// not share with earlier values of the same key.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<StoredOperation>,
    keys: Vec<Key>,
    numbers: FxHashMap<String, u32>,
    /// The concatenation of all values of Puts and Appends.
    written: String,
}

/// A key with the values that its Gets returned.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) values: ValueTrie,
    /// The number of operations on the key.
    pub(super) operations: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct StoredOperation {
    pub(super) call: u64,
    pub(super) ret: u64,
    pub(super) client: u32,
    pub(super) key: u32,
    pub(super) action: StoredAction,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum StoredAction {
    Get(Place),
    Put(TextRange),
    Append(TextRange),
}

/// A range of `History::written`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextRange {
    start: u32,
    length: u32,
}

/// An operation of a [`History`].
#[derive(Clone, Copy, Debug)]
pub struct RecordedOperation<'a> {
    /// The number of the client.
    pub client: u32,
    /// The time of the call, in nanoseconds.
    pub call: u64,
    /// The time of the return, in nanoseconds.
    pub ret: u64,
    /// The kind of the operation.
    pub kind: Kind,
    /// The key of the operation.
    pub key: &'a str,
    action: StoredAction,
    history: &'a History,
}

impl<'a> RecordedOperation<'a> {
    /// Returns the value that a Get returned, or that a Put or Append wrote. The value of a Get is often stored in
    /// several pieces; each call then concatenates them anew.
    pub fn value(&self) -> Cow<'a, str> {
        match self.action {
            StoredAction::Get(place) => self.history.returned(self.key_number(), place),
            StoredAction::Put(text) | StoredAction::Append(text) => Cow::Borrowed(self.history.text(text)),
        }
    }

    fn key_number(&self) -> u32 {
        self.history.numbers[self.key]
    }
}

impl History {
    /// Creates an empty history.
    pub fn new() -> History {
        History::default()
    }

    /// Adds an operation of `client` with the times of its call and its return, in nanoseconds. `value` is the value
    /// that a Get returned, or that a Put or Append wrote.
    ///
    /// Operations are added in any order. The cost is that of comparing `value` with one of the stored values.
    ///
    /// # Panics
    ///
    /// Panics if `ret` is before `call`, or if the values of all Puts and Appends together exceed 4 GiB.
    pub fn add(&mut self, client: u32, call: u64, ret: u64, kind: Kind, key: &str, value: &str) {
        assert!(call <= ret, "an operation is called at {call} ns and returns before, at {ret} ns");
        let key = self.intern_key(key);
        let on_key = &mut self.keys[key as usize];
        on_key.operations += 1;
        let action = match kind {
            Kind::Get => StoredAction::Get(on_key.values.insert(value)),
            Kind::Put => StoredAction::Put(self.write(value)),
            Kind::Append => StoredAction::Append(self.write(value)),
        };
        self.operations.push(StoredOperation { call, ret, client, key, action });
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations, in the order in which they were added.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = RecordedOperation<'_>> {
        self.operations.iter().map(|&StoredOperation { call, ret, client, key, action }| RecordedOperation {
            client,
            call,
            ret,
            kind: action.kind(),
            key: &self.keys[key as usize].name,
            action,
            history: self,
        })
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn stored(&self) -> &[StoredOperation] {
        &self.operations
    }

    pub(super) fn text(&self, text: TextRange) -> &str {
        &self.written[text.start as usize..][..text.length as usize]
    }

    pub(super) fn returned(&self, key: u32, place: Place) -> Cow<'_, str> {
        let values = &self.keys[key as usize].values;
        let utf8 = "a value was added as a string";
        match values.slice(place) {
            Some(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).expect(utf8)),
            None => Cow::Owned(String::from_utf8(values.copy(place)).expect(utf8)),
        }
    }

    fn intern_key(&mut self, key: &str) -> u32 {
        if let Some(&number) = self.numbers.get(key) {
            return number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(Key { name: key.to_owned(), values: ValueTrie::default(), operations: 0 });
        self.numbers.insert(key.to_owned(), number);
        number
    }

    fn write(&mut self, value: &str) -> TextRange {
        let start = self.written.len();
        self.written.push_str(value);
        assert!(u32::try_from(self.written.len()).is_ok(), "the written values together exceed 4 GiB");
        TextRange { start: start as u32, length: value.len() as u32 }
    }
}

impl StoredAction {
    pub(super) fn kind(self) -> Kind {
        match self {
            StoredAction::Get(_) => Kind::Get,
            StoredAction::Put(_) => Kind::Put,
            StoredAction::Append(_) => Kind::Append,
        }
    }
}

//! The recorded operations of a run, in little room.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::values::{Place, Values};

/// What a client asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Returns the value of a key, empty if it was never written.
    Get,
    /// Replaces the value.
    Put,
    /// Adds to the end of the value.
    Append,
}

/// The operations on a key/value store, each with what it returned or wrote.
///
/// An operation takes 40 bytes. A Get's value is kept exactly, but takes room only for what no value of the same key
/// had in that place before.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Stored>,
    keys: Vec<Key>,
    numbers: FxHashMap<String, u32>,
    /// What was put and appended, one after the other.
    written: String,
}

/// A key with the values that Gets returned.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) values: Values,
    /// How many operations there are on it.
    pub(super) operations: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) call: u64,
    pub(super) ret: u64,
    pub(super) client: u32,
    pub(super) key: u32,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Get(Place),
    Put(Text),
    Append(Text),
}

/// A part of what was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    start: u32,
    length: u32,
}

/// One operation of a [`History`].
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The client's number.
    pub client: u32,
    /// When it was called, in nanoseconds.
    pub call: u64,
    /// When it was answered, in nanoseconds.
    pub ret: u64,
    /// What was asked.
    pub kind: Kind,
    /// Of which key.
    pub key: &'a str,
    what: What,
    history: &'a History,
}

impl<'a> Recorded<'a> {
    /// What a Get returned, or what a Put or Append wrote. What Gets returned is often kept in several pieces; it is
    /// then put together anew by each call.
    pub fn value(&self) -> Cow<'a, str> {
        match self.what {
            What::Get(place) => self.history.returned(self.what_key(), place),
            What::Put(text) | What::Append(text) => Cow::Borrowed(self.history.text(text)),
        }
    }

    fn what_key(&self) -> u32 {
        self.history.numbers[self.key]
    }
}

impl History {
    /// No operations.
    pub fn new() -> History {
        History::default()
    }

    /// Adds an operation of `client` that was called and answered at these times, in nanoseconds. `value` is what a
    /// Get returned, or what a Put or Append wrote.
    ///
    /// Operations are added in any order. It takes the time of comparing `value` with one of those already there.
    ///
    /// # Panics
    ///
    /// If `ret` is before `call`, or if all that was put and appended exceeds 4 GiB.
    pub fn add(&mut self, client: u32, call: u64, ret: u64, kind: Kind, key: &str, value: &str) {
        assert!(call <= ret, "an operation is called at {call} ns and returns before, at {ret} ns");
        let key = self.number(key);
        let on_key = &mut self.keys[key as usize];
        on_key.operations += 1;
        let what = match kind {
            Kind::Get => What::Get(on_key.values.insert(value)),
            Kind::Put => What::Put(self.write(value)),
            Kind::Append => What::Append(self.write(value)),
        };
        self.operations.push(Stored { call, ret, client, key, what });
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations in the order in which they were added.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Recorded<'_>> {
        self.operations.iter().map(|&Stored { call, ret, client, key, what }| Recorded {
            client,
            call,
            ret,
            kind: what.kind(),
            key: &self.keys[key as usize].name,
            what,
            history: self,
        })
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn stored(&self) -> &[Stored] {
        &self.operations
    }

    pub(super) fn text(&self, text: Text) -> &str {
        &self.written[text.start as usize..][..text.length as usize]
    }

    pub(super) fn returned(&self, key: u32, place: Place) -> Cow<'_, str> {
        let values = &self.keys[key as usize].values;
        let whole = "a value that was added as a string is one";
        match values.slice(place) {
            Some(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).expect(whole)),
            None => Cow::Owned(String::from_utf8(values.copy(place)).expect(whole)),
        }
    }

    fn number(&mut self, key: &str) -> u32 {
        if let Some(&number) = self.numbers.get(key) {
            return number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(Key { name: key.to_owned(), values: Values::default(), operations: 0 });
        self.numbers.insert(key.to_owned(), number);
        number
    }

    fn write(&mut self, value: &str) -> Text {
        let start = self.written.len();
        self.written.push_str(value);
        assert!(u32::try_from(self.written.len()).is_ok(), "all that is written exceeds 4 GiB");
        Text { start: start as u32, length: value.len() as u32 }
    }
}

impl What {
    pub(super) fn kind(self) -> Kind {
        match self {
            What::Get(_) => Kind::Get,
            What::Put(_) => Kind::Put,
            What::Append(_) => Kind::Append,
        }
    }
}

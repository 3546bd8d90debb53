//! The type of a value in the map. A value grows by appends and is read as a whole, so appending and reading are cheap.

use std::fmt;

use labstd::sync::Arc;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A shared string. Reading it costs no copy, and appending to it costs no copy of the old text. An append copies the
/// string only while a reply that holds the same string is still being encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<String>);

impl Value {
    /// Builds a value that shares its string with no other value.
    pub fn new(text: String) -> Value {
        Value(Arc::new(text))
    }

    /// Returns the length of the string, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends `text` to the string.
    pub(crate) fn push(&mut self, text: &str) {
        Arc::make_mut(&mut self.0).push_str(text);
    }

    /// Returns the string.
    pub fn into_string(self) -> String {
        Arc::unwrap_or_clone(self.0)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        String::deserialize(deserializer).map(Value::new)
    }
}

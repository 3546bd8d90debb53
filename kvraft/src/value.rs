//! A value of the map. It grows by appends and is read as a whole, so it must be cheap to add to and cheap to hand out.

use std::fmt;

use labstd::sync::Arc;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A string that may be handed out without a copy and added to without one. Only while somebody still encodes what was
/// handed out does an append have to copy the string first.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<String>);

impl Value {
    /// A value of its own.
    pub fn new(text: String) -> Value {
        Value(Arc::new(text))
    }

    /// The length of the string, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds `text` at the end.
    pub(crate) fn push(&mut self, text: &str) {
        Arc::make_mut(&mut self.0).push_str(text);
    }

    /// The string.
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

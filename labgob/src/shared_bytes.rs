//! Short byte strings that will be cloned, such as a command in a log. They take one allocation, however many clones
//! there are.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// The longest content that is stored beside its reference count: long enough for a command of a lab client. With the
/// count, and the fields that [`Bytes`] adds, it fills a block of the usual allocators.
const INLINE_LEN_MAX: usize = 71;

/// A short byte string, as the shared owner of its content.
struct InlineBytes {
    length: u8,
    bytes: [u8; INLINE_LEN_MAX],
}

impl AsRef<[u8]> for InlineBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Copies `content` into a [`Bytes`] that is shared from the start. [`Bytes::copy_from_slice`] allocates once for the
/// content and again when it is first cloned.
pub fn shared_bytes(content: &[u8]) -> Bytes {
    if content.is_empty() || content.len() > INLINE_LEN_MAX {
        return Bytes::copy_from_slice(content);
    }
    let mut bytes = [0; INLINE_LEN_MAX];
    bytes[..content.len()].copy_from_slice(content);
    Bytes::from_owner(InlineBytes { length: content.len() as u8, bytes })
}

/// Deserializes a byte string with [`shared_bytes`]: for `#[serde(deserialize_with =
/// "labgob::deserialize_shared_bytes")]`.
///
/// # Errors
///
/// If the input has no byte string.
pub fn deserialize_shared_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    struct Content;
    impl Visitor<'_> for Content {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a byte string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            Ok(shared_bytes(bytes))
        }
    }
    deserializer.deserialize_bytes(Content)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{decode, encode};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Entry {
        term: u64,
        #[serde(deserialize_with = "deserialize_shared_bytes")]
        command: Bytes,
    }

    #[test]
    fn shared_bytes_hold_content_of_any_length() {
        for length in [0, 1, INLINE_LEN_MAX - 1, INLINE_LEN_MAX, INLINE_LEN_MAX + 1, 100_000] {
            let content: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let copy = shared_bytes(&content);
            assert_eq!(copy, content);
            assert_eq!(copy.clone().slice(length / 2..), content[length / 2..]);
        }
    }

    #[test]
    fn shared_bytes_are_encoded_like_any_byte_string() {
        for length in [0, 5, INLINE_LEN_MAX, INLINE_LEN_MAX + 1] {
            let entry = Entry { term: 3, command: vec![7; length].into() };
            let bytes = encode(&entry);
            assert_eq!(bytes, encode(&(3u64, &entry.command)));
            assert_eq!(decode(&bytes), Ok(entry));
            assert!(decode::<Entry>(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

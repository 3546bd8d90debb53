//! Short byte strings of which there will be copies, such as a command in a log: one allocation, however many copies.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// The longest content that is kept beside the count of its copies: a command of a client of the lab. With the count, and what
/// [`Bytes`] adds, it fills a block of the usual allocators.
const SHORT: usize = 71;

/// A short byte string, as the owner of what is shared.
struct Short {
    length: u8,
    bytes: [u8; SHORT],
}

impl AsRef<[u8]> for Short {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A copy of `content` that is shared from the beginning. [`Bytes::copy_from_slice`] allocates once for the content and again
/// when it is first cloned.
pub fn shared(content: &[u8]) -> Bytes {
    if content.is_empty() || content.len() > SHORT {
        return Bytes::copy_from_slice(content);
    }
    let mut bytes = [0; SHORT];
    bytes[..content.len()].copy_from_slice(content);
    Bytes::from_owner(Short { length: content.len() as u8, bytes })
}

/// Reads a byte string as [`shared`] makes it: for `#[serde(deserialize_with = "labgob::deserialize_shared")]`.
///
/// # Errors
///
/// If there is no byte string.
pub fn deserialize_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    struct Content;
    impl Visitor<'_> for Content {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a byte string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
            Ok(shared(bytes))
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
        #[serde(deserialize_with = "deserialize_shared")]
        command: Bytes,
    }

    #[test]
    fn what_is_shared_is_the_content_however_long_it_is() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 100_000] {
            let content: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let copy = shared(&content);
            assert_eq!(copy, content);
            assert_eq!(copy.clone().slice(length / 2..), content[length / 2..]);
        }
    }

    #[test]
    fn it_is_read_as_any_byte_string() {
        for length in [0, 5, SHORT, SHORT + 1] {
            let entry = Entry { term: 3, command: vec![7; length].into() };
            let bytes = encode(&entry);
            assert_eq!(bytes, encode(&(3u64, &entry.command)));
            assert_eq!(decode(&bytes), Ok(entry));
            assert!(decode::<Entry>(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

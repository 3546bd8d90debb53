//! The content of a message. Most arguments and replies of a Raft have a few dozen bytes, so short ones are stored
//! inline and need no allocation.

use std::ops::Deref;

use bytes::Bytes;
use serde::Serialize;

/// The longest encoding that is stored inline, in bytes: an AppendEntries of two or three commands fits.
const SHORT: usize = 112;

/// The encoding of arguments or of a reply.
#[derive(Clone)]
pub(crate) enum Payload {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Bytes),
}

impl Payload {
    /// Encodes a value.
    ///
    /// # Panics
    ///
    /// If the value cannot be encoded.
    pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Payload {
        labgob::with_encoded(value, |encoded| {
            if encoded.len() > SHORT {
                return Payload::Long(Bytes::copy_from_slice(encoded));
            }
            let mut bytes = [0; SHORT];
            bytes[..encoded.len()].copy_from_slice(encoded);
            Payload::Short { length: encoded.len() as u8, bytes }
        })
    }

    /// A payload without content.
    pub(crate) const EMPTY: Payload = Payload::Short { length: 0, bytes: [0; SHORT] };
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Payload::Short { length, bytes } => &bytes[..usize::from(*length)],
            Payload::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_any_length_holds_the_encoded_bytes() {
        for length in [0, 1, SHORT - 2, SHORT - 1, SHORT, SHORT + 1, 100_000] {
            let value: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let payload = Payload::encode(&value);
            assert_eq!(*payload, *labgob::encode(&value));
            assert_eq!(labgob::decode::<Vec<u8>>(&payload.clone()), Ok(value));
            assert_eq!(matches!(payload, Payload::Short { .. }), payload.len() <= SHORT);
        }
        assert!(Payload::EMPTY.is_empty());
    }
}

//! What a message carries. Most arguments and replies of a Raft are some dozens of bytes, and travel where they are kept.

use std::ops::Deref;

use bytes::Bytes;
use serde::Serialize;

/// The longest encoding that is kept in line: an AppendEntries of two or three commands.
const SHORT: usize = 112;

/// The encoding of arguments or of a reply.
#[derive(Clone)]
pub(crate) enum Packet {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Bytes),
}

impl Packet {
    /// Encodes a value.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Packet {
        labgob::encode_then(value, |encoded| {
            if encoded.len() > SHORT {
                return Packet::Long(Bytes::copy_from_slice(encoded));
            }
            let mut bytes = [0; SHORT];
            bytes[..encoded.len()].copy_from_slice(encoded);
            Packet::Short { length: encoded.len() as u8, bytes }
        })
    }

    /// One without content.
    pub(crate) const EMPTY: Packet = Packet::Short { length: 0, bytes: [0; SHORT] };
}

impl Deref for Packet {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Packet::Short { length, bytes } => &bytes[..usize::from(*length)],
            Packet::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_holds_what_was_encoded_however_long_it_is() {
        for length in [0, 1, SHORT - 2, SHORT - 1, SHORT, SHORT + 1, 100_000] {
            let value: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let packet = Packet::of(&value);
            assert_eq!(*packet, *labgob::encode(&value));
            assert_eq!(labgob::decode::<Vec<u8>>(&packet.clone()), Ok(value));
            assert_eq!(matches!(packet, Packet::Short { .. }), packet.len() <= SHORT);
        }
        assert!(Packet::EMPTY.is_empty());
    }
}

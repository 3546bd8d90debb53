//! The form of one record: its length, its checksum and its kind, and how all three are checked. `storage/mod.rs`
//! explains the kinds.

use labgob::Decoder;

use super::DamagedState;

/// The end mark after the last record: a length of zero, which no record has.
pub(super) const END_MARK: u8 = 0;

/// The largest number of bytes of a length. With seven bits each they suffice for 256 MiB, four times what [`labgob`]
/// writes.
const LENGTH_BYTES_MAX: usize = 4;

const CHECKSUM_BYTES: usize = 4;

/// The kind of a record: the first byte of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Base = 1,
    HardState = 2,
    Entries = 3,
}

/// Appends one record to `out`, with the payload that `encode` adds. Returns its length in bytes.
///
/// # Panics
///
/// If the payload is longer than [`labgob::MAX_LEN`], because it could never be read again.
pub(super) fn write(out: &mut Vec<u8>, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
    let begin = out.len();
    // The length is known only when the payload is written. So reserve space for the longest frame first.
    const FRAME_BYTES_MAX: usize = LENGTH_BYTES_MAX + CHECKSUM_BYTES;
    out.extend_from_slice(&[0; FRAME_BYTES_MAX]);
    out.push(kind as u8);
    encode(out);
    let payload_bytes = out.len() - begin - FRAME_BYTES_MAX;
    assert!(
        payload_bytes <= labgob::MAX_LEN,
        "a record of {payload_bytes} bytes is longer than the {} bytes that can be read",
        labgob::MAX_LEN
    );

    let (length, length_bytes) = encode_length(payload_bytes);
    let checksum = crc32fast::hash(&out[begin + FRAME_BYTES_MAX..]).to_le_bytes();
    let frame_bytes = length_bytes + CHECKSUM_BYTES;
    out[begin..begin + length_bytes].copy_from_slice(&length[..length_bytes]);
    out[begin + length_bytes..begin + frame_bytes].copy_from_slice(&checksum);
    out.drain(begin + frame_bytes..begin + FRAME_BYTES_MAX);
    out.len() - begin
}

/// A reader of consecutive records, which knows its position.
pub(super) struct RecordReader<'a> {
    bytes: &'a [u8],
    /// The position of the next record or of the end mark.
    next: usize,
    /// The position of the present record, and its number, counted from 1.
    offset: usize,
    number: usize,
}

/// A record with a correct checksum.
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    /// The bytes after the kind.
    pub(super) payload: Decoder<'a>,
    /// The length in bytes of the whole record.
    pub(super) length: usize,
}

impl<'a> RecordReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> RecordReader<'a> {
        RecordReader { bytes, next: 0, offset: 0, number: 0 }
    }

    /// Returns the next record; `None` at the end mark, if the bytes end there.
    ///
    /// # Errors
    ///
    /// If the bytes that follow are neither.
    pub(super) fn next_record(&mut self) -> Result<Option<Record<'a>>, DamagedState> {
        (self.offset, self.number) = (self.next, self.number + 1);
        if self.bytes.is_empty() {
            // Nothing was ever saved.
            return Ok(None);
        }
        let rest = &self.bytes[self.next..];
        let (payload_bytes, length_bytes) =
            decode_length(rest).map_err(|found| self.damaged("the length of a record, or the end mark", found))?;
        if payload_bytes == 0 {
            return match rest.len() - length_bytes {
                0 => Ok(None),
                more => Err(self.damaged("nothing after the end mark", format!("{more} more bytes"))),
            };
        }

        let length = length_bytes + CHECKSUM_BYTES + payload_bytes;
        let Some(record) = rest.get(..length) else {
            return Err(self.damaged(format!("a record of {length} bytes"), format!("{} bytes", rest.len())));
        };
        let (frame, payload) = record.split_at(length_bytes + CHECKSUM_BYTES);
        if frame[length_bytes..] != crc32fast::hash(payload).to_le_bytes() {
            return Err(self.damaged("bytes that match the saved checksum", "other bytes"));
        }
        let kind = match payload[0] {
            1 => Kind::Base,
            2 => Kind::HardState,
            3 => Kind::Entries,
            other => return Err(self.damaged("a kind of record from 1 to 3", format!("kind {other}"))),
        };
        self.next += length;
        Ok(Some(Record { kind, payload: Decoder::new(&payload[1..]), length }))
    }

    /// Returns an error for the present record.
    pub(super) fn damaged(&self, expected: impl Into<String>, found: impl Into<String>) -> DamagedState {
        DamagedState { record: self.number, offset: self.offset, expected: expected.into(), found: found.into() }
    }
}

/// Encodes a length with seven bits per byte, the lowest first. All but the last byte have the highest bit set. Returns
/// the bytes, and how many of them are used.
fn encode_length(mut length: usize) -> ([u8; LENGTH_BYTES_MAX], usize) {
    let mut bytes = [0; LENGTH_BYTES_MAX];
    let mut used = 0;
    while length >= 0x80 {
        bytes[used] = length as u8 | 0x80;
        length >>= 7;
        used += 1;
    }
    bytes[used] = length as u8;
    (bytes, used + 1)
}

/// Returns the length at the beginning of `bytes` and the number of bytes that it takes, or a description of the error.
fn decode_length(bytes: &[u8]) -> Result<(usize, usize), &'static str> {
    let mut length = 0;
    for (place, &byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((length, place + 1));
        }
    }
    Err(if bytes.len() < LENGTH_BYTES_MAX { "the end of the state" } else { "a length without an end" })
}

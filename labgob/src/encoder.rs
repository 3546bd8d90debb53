//! Encoding: one value, or several values in a row.

use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;

use crate::{MAX_LEN, serializer::Serializer, shared_bytes};

/// Encodes one value.
///
/// # Panics
///
/// If the type cannot be written in this format (a sequence of unknown length, `#[serde(flatten)]`), if its own
/// `Serialize` fails, or if the encoding is longer than [`MAX_LEN`] and so could never be read again.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Bytes {
    // Copied when its length is known: one allocation instead of one per doubling.
    with_encoded(value, shared_bytes)
}

/// Encodes one value and calls `take` with the encoding.
///
/// # Panics
///
/// As [`encode`].
pub fn with_encoded<T: Serialize + ?Sized, R>(value: &T, take: impl FnOnce(&[u8]) -> R) -> R {
    // Each thread keeps a buffer for encoding. It is taken out while it is in use, so that a `Serialize` that encodes
    // something itself finds an empty one.
    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    const KEPT_BYTES_MAX: usize = 64 << 10;

    let mut scratch = SCRATCH.take();
    scratch.clear();
    encode_into(value, &mut scratch);
    let taken = take(&scratch);
    if scratch.capacity() <= KEPT_BYTES_MAX {
        SCRATCH.set(scratch);
    }
    taken
}

/// Encodes one value and appends it to `out`.
///
/// # Panics
///
/// As [`encode`]; the limit holds for the bytes that are added.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let before = out.len();
    if let Err(error) = value.serialize(&mut Serializer::new(out)) {
        panic!("cannot encode {}: {error}", std::any::type_name::<T>());
    }
    check_length(out.len() - before);
}

/// Encodes several values in a row into one byte string, which a [`Decoder`](crate::Decoder) reads.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Creates an empty encoder.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Creates an empty encoder with capacity for `bytes`. If you encode something large and can estimate its length,
    /// this avoids all copies that a growing buffer makes.
    pub fn with_capacity(bytes: usize) -> Encoder {
        Encoder { bytes: Vec::with_capacity(bytes) }
    }

    /// Encodes one value and appends it to the previous ones.
    ///
    /// # Panics
    ///
    /// As [`encode`].
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Encoder {
        encode_into(value, &mut self.bytes);
        self
    }

    /// Returns how many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns all written bytes. The encoder is empty afterwards and can be used again.
    ///
    /// # Panics
    ///
    /// If the bytes are longer than [`MAX_LEN`] and so could never be read again.
    pub fn finish(&mut self) -> Bytes {
        check_length(self.bytes.len());
        std::mem::take(&mut self.bytes).into()
    }
}

fn check_length(length: usize) {
    assert!(length <= MAX_LEN, "an encoding of {length} bytes is longer than the {MAX_LEN} bytes that can be decoded");
}

//! From values to bytes.

use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;

use crate::{MAX_LEN, serializer::Serializer, shared};

/// Encodes one value.
///
/// # Panics
///
/// If the type cannot be written in this format (a sequence that does not know its length, `#[serde(flatten)]`), if its
/// own `Serialize` refuses, or if the encoding is longer than [`MAX_LEN`] and so could never be read again.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Bytes {
    // Copied once its length is known: one allocation instead of one a doubling.
    encode_then(value, shared)
}

/// Encodes one value and lends the encoding to `take`, for as long as that takes.
///
/// # Panics
///
/// As [`encode`].
pub fn encode_then<T: Serialize + ?Sized, R>(value: &T, take: impl FnOnce(&[u8]) -> R) -> R {
    // Values are encoded in a buffer that the thread keeps. It is taken out while in use, so that a `Serialize` that encodes
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

/// Encodes one value behind what `out` already holds.
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

/// Several values in a row in one byte string, as [`Decoder`](crate::Decoder) reads them.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// An encoder that has written nothing and has room for so many bytes: whoever encodes something large and can tell how
    /// large it will be about saves all that growing copies.
    pub fn with_capacity(bytes: usize) -> Encoder {
        Encoder { bytes: Vec::with_capacity(bytes) }
    }

    /// Adds one value behind those before it.
    ///
    /// # Panics
    ///
    /// As [`encode`].
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Encoder {
        encode_into(value, &mut self.bytes);
        self
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that was written; the encoder is empty afterwards and may be used again.
    ///
    /// # Panics
    ///
    /// If it is longer than [`MAX_LEN`] and so could never be read again.
    pub fn finish(&mut self) -> Bytes {
        check_length(self.bytes.len());
        std::mem::take(&mut self.bytes).into()
    }
}

fn check_length(length: usize) {
    assert!(length <= MAX_LEN, "an encoding of {length} bytes is longer than the {MAX_LEN} bytes that can be decoded");
}

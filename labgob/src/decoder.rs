//! Decoding: one value that takes up the whole input, or several values in a row.

use serde::Deserialize;

use crate::{DecodeError, MAX_LEN, deserializer::Deserializer};

/// Decodes the one value that `bytes` hold. The value may borrow its strings from them.
///
/// # Errors
///
/// If the bytes end early, continue after the value, or are not the encoding of a `T`. The crate's page says what a
/// damaged input can cause.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.take()?;
    match decoder.check_end() {
        Ok(()) => Ok(value),
        Err(error) => Err(error.with_type::<T>(decoder.at)),
    }
}

/// Reads back, in the same order, the values that an [`Encoder`](crate::Encoder) wrote.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Creates a decoder that is positioned before the first value.
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes, at: 0 }
    }

    /// Decodes the next value.
    ///
    /// # Errors
    ///
    /// If the next bytes are not the encoding of a `T`. The decoder then stays before them.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        if self.bytes.len() > MAX_LEN {
            let found = format!("{} bytes", self.bytes.len());
            return Err(DecodeError::unexpected(0, format!("at most {MAX_LEN} bytes"), found).with_type::<T>(0));
        }
        let mut deserializer = Deserializer::new(self.bytes, self.at);
        match T::deserialize(&mut deserializer) {
            Ok(value) => {
                self.at = deserializer.position();
                Ok(value)
            }
            Err(error) => Err(error.with_type::<T>(deserializer.last_read_at())),
        }
    }

    /// Returns the number of bytes that are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Checks that the whole input has been read.
    ///
    /// # Errors
    ///
    /// If bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        self.check_end()
    }

    fn check_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::unexpected(self.at, "the end of the input", format!("{left} more bytes"))),
        }
    }
}

//! From bytes to values: one value that must be all of the input, or several in a row.

use serde::Deserialize;

use crate::{DecodeError, MAX_LEN, deserializer::Deserializer};

/// Decodes the one value that `bytes` hold. It may borrow its strings from them.
///
/// # Errors
///
/// If the bytes end early, go on behind the value, or are not the encoding of a `T`; see the crate's page for what a
/// damaged input can do.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.take()?;
    match decoder.check_end() {
        Ok(()) => Ok(value),
        Err(error) => Err(error.within::<T>(decoder.at)),
    }
}

/// Reads back, in the same order, what an [`Encoder`](crate::Encoder) wrote.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder that stands before the first value.
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes, at: 0 }
    }

    /// Decodes the next value.
    ///
    /// # Errors
    ///
    /// If the next bytes are not the encoding of a `T`. The decoder then still stands before them.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        if self.bytes.len() > MAX_LEN {
            let found = format!("{} bytes", self.bytes.len());
            return Err(DecodeError::unexpected(0, format!("at most {MAX_LEN} bytes"), found).within::<T>(0));
        }
        let mut deserializer = Deserializer::new(self.bytes, self.at);
        match T::deserialize(&mut deserializer) {
            Ok(value) => {
                self.at = deserializer.position();
                Ok(value)
            }
            Err(error) => Err(error.within::<T>(deserializer.last_read_at())),
        }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Ends the reading.
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

//! The bytes being decoded, and the position of the next byte to read.
//!
//! The codec has a slice reader of its own. That one reports neither its position, which error messages need, nor the
//! number of bytes left, which every length is checked against.

use bincode::{
    de::read::{BorrowReader, Reader},
    error::DecodeError,
};

/// A cursor over a byte slice. Invariant: `at <= bytes.len()`.
pub(crate) struct Input<'de> {
    bytes: &'de [u8],
    at: usize,
}

impl<'de> Input<'de> {
    /// Creates a cursor at byte `at`.
    pub(crate) fn new(bytes: &'de [u8], at: usize) -> Input<'de> {
        assert!(at <= bytes.len(), "the position {at} is outside of the input of {} bytes", bytes.len());
        Input { bytes, at }
    }

    /// Returns how many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Returns how many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads the next byte if it is at most `most`. Otherwise returns `None` and reads nothing.
    #[inline]
    pub(crate) fn take_byte_up_to(&mut self, most: u8) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied().filter(|&byte| byte <= most)?;
        self.at += 1;
        Some(byte)
    }

    /// Reads the next `length` bytes. If there are fewer, returns `None` and reads nothing.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'de [u8]> {
        let taken = self.bytes[self.at..].get(..length)?;
        self.at += length;
        Some(taken)
    }
}

impl<'de> BorrowReader<'de> for Input<'de> {
    #[inline]
    fn take_bytes(&mut self, length: usize) -> Result<&'de [u8], DecodeError> {
        let remaining = self.remaining();
        self.take(length).ok_or(DecodeError::UnexpectedEnd { additional: length - remaining.min(length) })
    }
}

impl Reader for Input<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<(), DecodeError> {
        into.copy_from_slice(self.take_bytes(into.len())?);
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, length: usize) -> Option<&[u8]> {
        self.bytes[self.at..].get(..length)
    }

    #[inline]
    fn consume(&mut self, length: usize) {
        self.at = self.bytes.len().min(self.at + length);
    }
}

//! The decoding error: the type, the expected value and its position, and the value found instead.

use std::{borrow::Cow, fmt};

/// The reason why bytes could not be decoded. Its text is one sentence for people, such as `cannot decode u64: expected
/// a u64 at byte 17, found the end of the input`.
///
/// It is one pointer wide, so that the results that decoding passes around stay small.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Details>);

#[derive(Clone, PartialEq, Eq)]
struct Details {
    type_name: &'static str,
    at: Option<usize>,
    problem: Problem,
}

#[derive(Clone, PartialEq, Eq)]
enum Problem {
    Unexpected { expected: Cow<'static, str>, found: Cow<'static, str> },
    Rejected(String),
}

impl DecodeError {
    /// Creates the error for unexpected bytes at `at`.
    #[cold]
    pub(crate) fn unexpected(
        at: usize,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> DecodeError {
        let problem = Problem::Unexpected { expected: expected.into(), found: found.into() };
        DecodeError(Box::new(Details { type_name: "", at: Some(at), problem }))
    }

    /// Adds to the error the type `T` that was being decoded. `at` is used if the error has no position of its own.
    pub(crate) fn with_type<T: ?Sized>(mut self, at: usize) -> DecodeError {
        self.0.type_name = std::any::type_name::<T>();
        self.0.at.get_or_insert(at);
        self
    }

    /// Returns the position of the first bytes that make no sense, in bytes from the start of the input.
    pub fn position(&self) -> usize {
        self.0.at.unwrap_or(0)
    }

    /// Returns the name of the type that was being decoded; empty if bytes are left after the last value.
    pub fn type_name(&self) -> &'static str {
        self.0.type_name
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.position();
        match self.0.type_name {
            "" => f.write_str("cannot decode: ")?,
            name => write!(f, "cannot decode {name}: ")?,
        }
        match &self.0.problem {
            Problem::Unexpected { expected, found } => write!(f, "expected {expected} at byte {at}, found {found}"),
            Problem::Rejected(reason) => write!(f, "at byte {at}: {reason}"),
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `unwrap` prints this; the sentence says more than the fields would.
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    /// Creates the error for a value that the type itself rejects (an enum without the variant, a number that may not
    /// be zero).
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> DecodeError {
        let problem = Problem::Rejected(reason.to_string());
        DecodeError(Box::new(Details { type_name: "", at: None, problem }))
    }
}

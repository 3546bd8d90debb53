//! What a check throws when it does not hold: one sentence, and whether a slow machine could be to blame.

use std::fmt;

/// A check that did not hold. The tester ends a run by panicking with one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which sort of check it was.
    pub sort: Sort,
    /// What was expected, what was seen, and on which servers.
    pub text: String,
}

/// Sorts of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Something that must never happen, however slow the machine.
    Safety,
    /// Something did not happen in time, or took too many messages. On OS threads a busy machine may be the cause.
    Limit,
}

impl Violation {
    /// Ends the run: something happened that must never happen.
    pub fn safety(text: impl Into<String>) -> ! {
        std::panic::panic_any(Violation { sort: Sort::Safety, text: text.into() })
    }

    /// Ends the run: a limit of time or of messages was passed.
    pub fn limit(text: impl Into<String>) -> ! {
        std::panic::panic_any(Violation { sort: Sort::Limit, text: text.into() })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

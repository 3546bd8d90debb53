//! What a check throws when it does not hold: one sentence, whether a slow machine could be to blame, and which rules may
//! have been broken.

use std::fmt;

use labstd::{ThreadStatus, thread};

use crate::diagnosis::Rule;

/// A check that did not hold. The tester ends a run by panicking with one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which sort of check it was.
    pub kind: ViolationKind,
    /// What was expected, what was seen, and on which servers.
    pub text: String,
    /// What may be the cause, as far as the check knows, the likeliest first.
    pub likely: Vec<Rule>,
    /// What each thread of the run was doing then.
    pub threads: Vec<ThreadStatus>,
}

/// Sorts of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// Something that must never happen, however slow the machine.
    Safety,
    /// Something did not happen in time, or took too many messages. On OS threads a busy machine may be the cause.
    Limit,
}

impl Violation {
    /// Ends the run: something happened that must never happen. The cause is likely to be one of these rules, the likeliest
    /// first; the record decides between them.
    pub fn safety(likely: &[Rule], text: impl Into<String>) -> ! {
        Violation::throw(ViolationKind::Safety, likely, text.into())
    }

    /// Ends the run: a limit of time or of messages was passed. The cause is likely to be one of these rules, the likeliest
    /// first; the record decides between them.
    pub fn limit(likely: &[Rule], text: impl Into<String>) -> ! {
        Violation::throw(ViolationKind::Limit, likely, text.into())
    }

    fn throw(kind: ViolationKind, likely: &[Rule], text: String) -> ! {
        let threads = thread::statuses();
        std::panic::panic_any(Violation { kind, text, likely: likely.to_vec(), threads })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

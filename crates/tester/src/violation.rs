//! Violation of a check: one sentence, whether a slow machine can be the cause, and the rules that may be broken.

use std::fmt;

use labstd::{ThreadStatus, thread};

use diagnosis::Rule;

/// A check that did not hold. The tester fails a run by panicking with one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Kind of the check.
    pub kind: ViolationKind,
    /// The sentence: expected and observed state, and the servers.
    pub text: String,
    /// Possible causes that the check knows, the most likely first.
    pub likely: Vec<Rule>,
    /// Activity of each thread of the run at that time.
    pub threads: Vec<ThreadStatus>,
}

/// Kinds of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// A safety property: it must never be broken, however slow the machine.
    Safety,
    /// A limit: something did not happen in time, or took too many messages. On OS threads, a busy machine may be the
    /// cause.
    Limit,
}

impl Violation {
    /// Fails the run: a safety property is broken. The cause is likely to be one of these rules, the most likely first;
    /// the record decides between them.
    pub fn safety(likely: &[Rule], text: impl Into<String>) -> ! {
        Violation::throw(ViolationKind::Safety, likely, text.into())
    }

    /// Fails the run: a limit of time or messages was exceeded. The cause is likely to be one of these rules, the most
    /// likely first; the record decides between them.
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

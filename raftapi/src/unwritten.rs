//! The end of a run in code that nobody has written yet: for skeletons, whose bodies are to be filled in.

use std::fmt;
use std::panic::{Location, panic_any};

use labstd::thread::Group;

/// What [`unwritten`] throws: what is to be written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// What is to be written, as in "Raft::start_election: become a candidate and ask the others for their votes".
    pub what: String,
    /// The rule that says so, with its place in the paper or the handout.
    pub rule: String,
    /// File and line of the call, as in "starter/src/raft.rs:42".
    pub place: String,
}

/// Stands where a body is still to be written, and ends the run at once, under both clocks, with a message that says what
/// to write and which rule it is. Nothing waits for the code that is not there.
///
/// # Panics
///
/// Always. In a run this is its failure, whichever thread calls it; elsewhere it is a panic like others.
#[track_caller]
pub fn unwritten(what: &str, rule: &str) -> ! {
    let at = Location::caller();
    let place = format!("{}:{}", at.file(), at.line());
    let unwritten = Unwritten { what: what.to_string(), rule: rule.to_string(), place };
    if Group::current().is_none() {
        panic!("{unwritten}");
    }
    panic_any(unwritten)
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unwritten { what, rule, place } = self;
        write!(f, "not written yet: {what}\n  where: {place}\n  rule:  {rule}")
    }
}

//! The failure of a run that reaches unwritten code. Skeletons, whose function bodies the learner fills in, use it.

use std::fmt;
use std::panic::{Location, panic_any};

use labstd::thread::Group;

/// The panic payload of [`unwritten`]: the missing code and the rule that requires it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// The missing code, as in "Raft::start_election: become a candidate and ask the others for their votes".
    pub what: String,
    /// The rule that requires it, with its place in the paper or the handout.
    pub rule: String,
    /// File and line of the call, as in "starter/src/raft.rs:42".
    pub place: String,
}

/// Marks a function body that is still unwritten. It ends the run at once, under both clocks, with a message that names
/// the missing code and its rule. So no test waits for code that does not exist.
///
/// # Panics
///
/// Always. In a run this becomes the run's failure, whichever thread calls it. Outside a run it is an ordinary panic.
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

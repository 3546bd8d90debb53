//! `shrink`: looks for the shortest run that fails in the same way.

use std::io::Write;

use tester::Scenario;

use crate::Error;
use crate::args::ShrinkArgs;

/// Whether there is one.
pub(crate) fn shrink(
    _args: &ShrinkArgs,
    _all: Vec<Scenario>,
    _package: &str,
    _out: &mut impl Write,
) -> Result<bool, Error> {
    Err(Error::Usage("shrink is not there yet".to_string()))
}

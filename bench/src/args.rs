//! The arguments, as `clap` reads them. The comments here are the text of `--help`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;

/// Measure the performance targets of this project, and print them as a table.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Names of rows, as --list prints them; without names: all but the slowest
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,

    /// Number of measurements of each row
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroUsize,

    /// Measure the slowest rows too
    #[arg(long)]
    pub(crate) all: bool,

    /// Print the names of the rows, and do not measure
    #[arg(long)]
    pub(crate) list: bool,

    /// The folder of histories for the row `checker`
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/histories"))]
    pub(crate) histories: PathBuf,

    /// The folder of a Go solution's tests for the row `go`, such as `src/raft1`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) go: Option<PathBuf>,

    /// Run only these of the Go tests, and the same scenarios here
    #[arg(long, value_name = "REGEXP", requires = "go")]
    pub(crate) go_run: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    fn status(arguments: &[&str]) -> u8 {
        crate::with(["bench"].iter().chain(arguments).map(OsString::from))
    }

    #[test]
    fn unknown_arguments_are_refused_and_a_list_is_printed() {
        assert_eq!(status(&["no-such-row"]), 2);
        assert_eq!(status(&["--no-such-flag"]), 2);
        assert_eq!(status(&["--rounds", "0"]), 2);
        assert_eq!(status(&["--list"]), 0);
    }
}

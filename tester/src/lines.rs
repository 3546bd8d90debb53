//! The lines that a scenario prints, in the form of the course's 2024 edition, so that tools made for its output (and
//! eyes used to it) read ours.

use crate::cluster::Figures;
use crate::scenarios::Part;

/// The line that says which test this is.
pub fn title(part: Part, title: &str) -> String {
    format!("Test ({part}): {title} ...")
}

/// The line of a test that passed: seconds, peers, RPCs, bytes, commands.
pub fn passed(figures: &Figures) -> String {
    let Figures { elapsed, servers, rpcs, bytes, commands } = figures;
    format!("  ... Passed --  {:4.1}  {servers} {rpcs:4} {bytes:7} {commands:4}", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use labstd::time::Duration;

    use super::*;

    #[test]
    fn lines_are_those_of_the_go_lab() {
        assert_eq!(title(Part::P3A, "initial election"), "Test (3A): initial election ...");
        let figures = Figures { elapsed: Duration::from_millis(4080), servers: 3, rpcs: 50, bytes: 14092, commands: 0 };
        assert_eq!(passed(&figures), "  ... Passed --   4.1  3   50   14092    0");
        let figures =
            Figures { elapsed: Duration::from_millis(18_590), servers: 5, rpcs: 1325, bytes: 1_215_553, commands: 102 };
        assert_eq!(passed(&figures), "  ... Passed --  18.6  5 1325 1215553  102");
    }
}

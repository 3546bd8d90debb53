//! Lines that a scenario prints, in the format of the course's 2024 edition, so that tools and people who know its
//! output can read ours.

use crate::cluster::Metrics;
use crate::part::{Layer, Part};
use crate::scenario::Stage;

/// Returns the line that names the test.
pub fn title(part: Part, title: &str) -> String {
    match part.layer() {
        Layer::Raft => format!("Test ({part}): {title} ..."),
        Layer::Kv => format!("Test: {title} ({part}) ..."),
    }
}

/// Returns the line of a passed test: seconds, peers, RPCs, then bytes and commands of a Raft, or operations of
/// clients.
pub fn passed(part: Part, metrics: &Metrics) -> String {
    let Metrics { elapsed, servers, rpcs, bytes, commands } = metrics;
    let seconds = elapsed.as_secs_f64();
    match part.layer() {
        Layer::Raft => format!("  ... Passed --  {seconds:4.1}  {servers} {rpcs:4} {bytes:7} {commands:4}"),
        Layer::Kv => format!("  ... Passed --  {seconds:4.1}  {servers} {rpcs:5} {commands:4}"),
    }
}

/// Returns both lines of a stage, each with its line break.
pub fn stage(part: Part, stage: &Stage) -> String {
    format!("{}\n{}\n", title(part, &stage.title), passed(part, &stage.metrics))
}

/// Returns the line below a passed test whose situation did not come about, for this reason.
pub fn gave_up(reason: &str) -> String {
    format!("      gave up: {reason}, so this run shows nothing about its title\n")
}

/// Indents a text of several lines for printing below the line of a test, without a final line break.
pub fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use labstd::time::Duration;

    use super::*;

    #[test]
    fn raft_lines_equal_those_of_the_go_lab() {
        assert_eq!(title(Part::P3A, "initial election"), "Test (3A): initial election ...");
        let metrics = Metrics { elapsed: Duration::from_millis(4080), servers: 3, rpcs: 50, bytes: 14092, commands: 0 };
        assert_eq!(passed(Part::P3B, &metrics), "  ... Passed --   4.1  3   50   14092    0");
        let metrics =
            Metrics { elapsed: Duration::from_millis(18_590), servers: 5, rpcs: 1325, bytes: 1_215_553, commands: 102 };
        assert_eq!(passed(Part::P3B, &metrics), "  ... Passed --  18.6  5 1325 1215553  102");
    }

    #[test]
    fn key_value_lines_have_their_own_format() {
        assert_eq!(title(Part::P4A, "one client"), "Test: one client (4A) ...");
        let elapsed = Duration::from_millis(15_040);
        let metrics = Metrics { elapsed, servers: 5, rpcs: 31_833, bytes: 1, commands: 3453 };
        assert_eq!(passed(Part::P4A, &metrics), "  ... Passed --  15.0  5 31833 3453");
        let metrics = Metrics { elapsed, servers: 3, rpcs: 7, bytes: 1, commands: 2 };
        assert_eq!(passed(Part::P4B, &metrics), "  ... Passed --  15.0  3     7    2");
    }
}

//! One line of a Go output: a line of a test, a line of `go test`, or any other line between them.
//!
//! The two editions print for the same test:
//!
//! ```text
//! Test (3A): initial election ...                                  2024
//!   ... Passed --   4.1  3   50   14092    0                       seconds, peers, RPCs, bytes, commands
//! Test: one client (4A) ...                                        2024, key/value service
//!   ... Passed --  15.0  5 31833 3453                              seconds, peers, RPCs, operations
//! Test (3A): initial election (reliable network)...                2025
//!   ... Passed --  time  3.5s #peers 3 #RPCs    54 #Ops    0       operations of clerks, none in tests of Raft
//! ```

use super::cost::Cost;

/// The edition of the course that printed the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    Of2024,
    Of2025,
}

impl Edition {
    pub(super) fn year(self) -> &'static str {
        match self {
            Edition::Of2024 => "2024",
            Edition::Of2025 => "2025",
        }
    }
}

/// The result of a test in the words of `go test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoStatus {
    Pass,
    Fail,
    Skip,
}

/// The title line, with which a test begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Title {
    /// The whole line, for messages.
    pub(super) line: String,
    /// The part in parentheses, such as `3A`.
    pub(super) part: Option<String>,
    pub(super) text: String,
    /// Whether the network is reliable, if the line says so.
    pub(super) reliable: Option<bool>,
    pub(super) edition: Option<Edition>,
}

/// The kind of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GoLine<'a> {
    Run(&'a str),
    Ended(GoStatus, &'a str),
    Title(Title),
    Passed(Edition, Cost),
    /// A test's message about itself, usually the reason of its failure.
    Message(&'a str),
    /// A panic, which ends the whole process; its goroutines follow. `timed_out` if the time limit of `go test` ended
    /// it.
    Panic {
        timed_out: bool,
    },
    /// The start of a report of the race detector.
    Race,
    /// The first and last line of such a report.
    Fence,
    /// The end of a package.
    PackageEnd,
    /// A line of `go test` that does not matter here.
    Known,
    Other,
}

const PASSED: &str = "... Passed --";

/// Splits a line if a text without a line end, such as a warning, stands before another line.
pub(super) fn pieces(line: &str) -> Vec<&str> {
    const BEGINNINGS: [&str; 6] =
        ["  ... Passed --", "--- PASS: Test", "--- FAIL: Test", "--- SKIP: Test", "=== RUN   ", "Test (3"];
    let begins = |marker: &&str| line.find(*marker).filter(|&at| !line[..at].trim().is_empty());
    match BEGINNINGS.iter().filter_map(begins).min() {
        // If only the end of a line looks like a test's line, the line stays whole unless that end can be read.
        Some(at) if read(&line[at..]) != GoLine::Other => {
            let mut both = vec![&line[..at]];
            both.extend(pieces(&line[at..]));
            both
        }
        _ => vec![line],
    }
}

/// Returns the kind of `line`.
pub(super) fn read(line: &str) -> GoLine<'_> {
    let text = line.trim();
    if let Some(name) = text.strip_prefix("=== RUN ") {
        return of_test(name.trim(), GoLine::Run);
    }
    for (prefix, word) in
        [("--- PASS: ", GoStatus::Pass), ("--- FAIL: ", GoStatus::Fail), ("--- SKIP: ", GoStatus::Skip)]
    {
        if let Some(rest) = text.strip_prefix(prefix) {
            return of_test(rest.split(' ').next().unwrap_or(""), |name| GoLine::Ended(word, name));
        }
    }
    if let Some(figures) = text.strip_prefix(PASSED) {
        return figures_of(figures).map_or(GoLine::Other, |(edition, cost)| GoLine::Passed(edition, cost));
    }
    if let Some(title) = title(text) {
        return GoLine::Title(title);
    }
    if text.starts_with("panic: ") || text.starts_with("fatal error: ") || text.starts_with("SIGQUIT: ") {
        return GoLine::Panic { timed_out: text.starts_with("panic: test timed out") };
    }
    match text {
        "WARNING: DATA RACE" => return GoLine::Race,
        "==================" => return GoLine::Fence,
        "" | "PASS" => return GoLine::Known,
        _ => {}
    }
    let of_package = |prefix: &str| line.strip_prefix(prefix).is_some_and(|rest| rest.starts_with([' ', '\t']));
    if text == "FAIL" || text.starts_with("exit status ") || of_package("FAIL") || of_package("ok") || of_package("?") {
        return GoLine::PackageEnd;
    }
    if ["=== PAUSE ", "=== CONT ", "=== NAME ", "coverage: "].iter().any(|prefix| text.starts_with(prefix)) {
        return GoLine::Known;
    }
    if text.starts_with("Fatal: ") || (line.starts_with("    ") && is_message(text)) {
        return GoLine::Message(text);
    }
    GoLine::Other
}

/// Returns the line of a test of the lab. Lines of subtests do not matter here.
fn of_test<'a>(name: &'a str, line: impl Fn(&'a str) -> GoLine<'a>) -> GoLine<'a> {
    match name {
        _ if !name.starts_with("Test") => GoLine::Other,
        _ if name.contains('/') => GoLine::Known,
        _ => line(name),
    }
}

/// Whether the text begins with a place such as `config.go:602: `.
fn is_message(text: &str) -> bool {
    let mut pieces = text.splitn(3, ':');
    let (file, number) = (pieces.next().unwrap_or(""), pieces.next().unwrap_or(""));
    file.ends_with(".go") && !file.contains(' ') && number.parse::<u32>().is_ok() && pieces.next().is_some()
}

fn title(line: &str) -> Option<Title> {
    let text = line.strip_suffix("...").filter(|_| line.starts_with("Test"))?;
    let rest = &text["Test".len()..];
    if !rest.starts_with([' ', ':']) {
        return None;
    }
    let networks = [("(reliable network)", true), ("(unreliable network)", false)];
    let network = networks.iter().find_map(|&(ending, reliable)| Some((rest.strip_suffix(ending)?, reliable)));
    let (rest, reliable) = network.map_or((rest, None), |(rest, reliable)| (rest, Some(reliable)));
    let edition = match reliable {
        Some(_) => Some(Edition::Of2025),
        None => rest.ends_with(' ').then_some(Edition::Of2024),
    };
    let rest = rest.trim();
    let (part, text) = if let Some(rest) = rest.strip_prefix('(') {
        let (part, text) = rest.split_once("):")?;
        (Some(part), text)
    } else if let Some(rest) = rest.strip_prefix(':') {
        match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
            Some((text, part)) => (Some(part), text),
            None => (None, rest),
        }
    } else {
        (None, rest)
    };
    let part = part.map(|part| part.trim().to_string());
    Some(Title { line: line.to_string(), part, text: text.trim().to_string(), reliable, edition })
}

/// Parses the figures of a passed test. It ignores text in parentheses behind them, which our own lines of many runs
/// have.
fn figures_of(text: &str) -> Option<(Edition, Cost)> {
    let columns: Vec<&str> = text.split(" (").next().unwrap_or("").split_whitespace().collect();
    let count = |text: &str| text.parse::<u64>().ok();
    match columns[..] {
        ["time", time, "#peers", peers, "#RPCs", rpcs, "#Ops", _] => {
            count(peers)?;
            let seconds = seconds(time.strip_suffix('s')?)?;
            Some((Edition::Of2025, Cost { seconds, rpcs: count(rpcs)?, bytes: None, commands: None }))
        }
        [time, peers, rpcs, bytes, commands] => {
            count(peers)?;
            let (bytes, commands) = (Some(count(bytes)?), Some(count(commands)?));
            Some((Edition::Of2024, Cost { seconds: seconds(time)?, rpcs: count(rpcs)?, bytes, commands }))
        }
        [time, peers, rpcs, commands] => {
            count(peers)?;
            let commands = Some(count(commands)?);
            Some((Edition::Of2024, Cost { seconds: seconds(time)?, rpcs: count(rpcs)?, bytes: None, commands }))
        }
        _ => None,
    }
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds| (0.0..1e7).contains(seconds))
}

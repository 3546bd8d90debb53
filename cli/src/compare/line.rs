//! One line of a Go output: a test's own lines, those of `go test`, and whatever else is printed between them.
//!
//! What the two editions print for the same test:
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

/// The year of the course whose lines these are.
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

/// How `go test` says that a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Pass,
    Fail,
    Skip,
}

/// The line with which a test begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Title {
    /// The whole line, for people.
    pub(super) line: String,
    /// What stands in parentheses for the part, as in `3A`.
    pub(super) part: Option<String>,
    pub(super) text: String,
    /// Whether the network is reliable, if the line says so.
    pub(super) reliable: Option<bool>,
    pub(super) edition: Option<Edition>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line<'a> {
    Run(&'a str),
    Ended(Word, &'a str),
    Title(Title),
    Passed(Edition, Cost),
    /// What a test says about itself, mostly why it fails.
    Message(&'a str),
    /// What ends the whole process; goroutines follow. Whether it is the time limit of `go test`.
    Panic {
        timed_out: bool,
    },
    /// A report of the race detector follows.
    Race,
    /// Where such a report ends, and begins.
    Fence,
    /// The end of a package.
    PackageEnd,
    /// Of `go test`, and of no interest here.
    Known,
    Other,
}

const PASSED: &str = "... Passed --";

/// Splits a line where one that has no end, such as a warning, is followed by another.
pub(super) fn pieces(line: &str) -> Vec<&str> {
    const BEGINNINGS: [&str; 6] =
        ["  ... Passed --", "--- PASS: Test", "--- FAIL: Test", "--- SKIP: Test", "=== RUN   ", "Test (3"];
    let begins = |marker: &&str| line.find(*marker).filter(|&at| !line[..at].trim().is_empty());
    match BEGINNINGS.iter().filter_map(begins).min() {
        // A line of which only the end looks like a test's is left alone unless that end can be read.
        Some(at) if read(&line[at..]) != Line::Other => {
            let mut both = vec![&line[..at]];
            both.extend(pieces(&line[at..]));
            both
        }
        _ => vec![line],
    }
}

/// What `line` is.
pub(super) fn read(line: &str) -> Line<'_> {
    let text = line.trim();
    if let Some(name) = text.strip_prefix("=== RUN ") {
        return of_test(name.trim(), Line::Run);
    }
    for (prefix, word) in [("--- PASS: ", Word::Pass), ("--- FAIL: ", Word::Fail), ("--- SKIP: ", Word::Skip)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return of_test(rest.split(' ').next().unwrap_or(""), |name| Line::Ended(word, name));
        }
    }
    if let Some(figures) = text.strip_prefix(PASSED) {
        return figures_of(figures).map_or(Line::Other, |(edition, cost)| Line::Passed(edition, cost));
    }
    if let Some(title) = title(text) {
        return Line::Title(title);
    }
    if text.starts_with("panic: ") || text.starts_with("fatal error: ") || text.starts_with("SIGQUIT: ") {
        return Line::Panic { timed_out: text.starts_with("panic: test timed out") };
    }
    match text {
        "WARNING: DATA RACE" => return Line::Race,
        "==================" => return Line::Fence,
        "" | "PASS" => return Line::Known,
        _ => {}
    }
    let of_package = |prefix: &str| line.strip_prefix(prefix).is_some_and(|rest| rest.starts_with([' ', '\t']));
    if text == "FAIL" || text.starts_with("exit status ") || of_package("FAIL") || of_package("ok") || of_package("?") {
        return Line::PackageEnd;
    }
    if ["=== PAUSE ", "=== CONT ", "=== NAME ", "coverage: "].iter().any(|prefix| text.starts_with(prefix)) {
        return Line::Known;
    }
    if text.starts_with("Fatal: ") || (line.starts_with("    ") && is_message(text)) {
        return Line::Message(text);
    }
    Line::Other
}

/// A line about a test of the lab; one about a part of a test is of no interest.
fn of_test<'a>(name: &'a str, line: impl Fn(&'a str) -> Line<'a>) -> Line<'a> {
    match name {
        _ if !name.starts_with("Test") => Line::Other,
        _ if name.contains('/') => Line::Known,
        _ => line(name),
    }
}

/// Whether it begins as in `config.go:602: `.
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

/// The figures of a test that passed. What stands behind them in parentheses, as in our own lines of many runs, does not
/// matter.
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

//! The signature of a failure. Two runs fail in the same way if their signatures are equal.

use diagnosis::Rule;
use tester::{Report, Verdict};

/// A failure signature: the failed check, and the broken rule that the record proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailureSignature {
    check: String,
    rule: Option<Rule>,
}

impl FailureSignature {
    /// Returns the signature of this run's failure. `None` if the run did not fail, or if its report claims nothing
    /// about it.
    pub(super) fn of(report: &Report) -> Option<FailureSignature> {
        match &report.verdict {
            Verdict::Failed(broken) if !broken.unwritten && report.divergence.is_none() => Some(FailureSignature {
                check: shape(&broken.text),
                rule: broken.diagnosis.found.as_ref().map(|found| found.rule),
            }),
            _ => None,
        }
    }
}

/// Returns the first line of a text without its details. Numbers, servers, clients and quoted text become `#`, and so
/// does a list of them.
fn shape(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").replace("(none)", "0");
    let mut shape = String::new();
    let mut rest = line.as_str();
    let mut within_word = false;
    while let Some(c) = rest.chars().next() {
        let length =
            if within_word { number(rest) } else { quoted(rest).or_else(|| name(rest)).or_else(|| number(rest)) };
        match length {
            Some(length) => {
                shape.push('#');
                rest = &rest[length..];
            }
            None => {
                shape.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        within_word = shape.ends_with(|last: char| last.is_alphanumeric());
    }
    for between in [", ", "; ", " and ", " "] {
        let (list, one) = (format!("#{between}#"), "#");
        while shape.contains(&list) {
            shape = shape.replace(&list, one);
        }
    }
    shape
}

/// Length of the quoted text at the start of `text`.
fn quoted(text: &str) -> Option<usize> {
    let end = text.strip_prefix('\'')?.find('\'')?;
    Some(end + 2)
}

/// Length of the server or client name, such as `S0`, at the start of `text`.
fn name(text: &str) -> Option<usize> {
    Some(1 + number(text.strip_prefix(['S', 'C'])?)?)
}

/// Length of the number at the start of `text`.
fn number(text: &str) -> Option<usize> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    Some(if fraction == 0 { whole } else { whole + 1 + fraction })
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn numbers_servers_and_values_do_not_matter() {
        assert_eq!(
            shape("two commands are committed at index 17: S0 has applied 4711, and S2 -3\nrule: ..."),
            "two commands are committed at index #: # has applied #, and # -#"
        );
        assert_eq!(
            shape("a Get of key '1' returned 'x 0 1 y' instead of '' or '3'"),
            "a Get of key # returned # instead of # or #"
        );
        assert_eq!(
            shape("no leader after 10 looks, among the connected servers S0, S2; their terms are 3, 4.5, 9"),
            "no leader after # looks, among the connected servers #; their terms are #"
        );
        assert_eq!(shape("applied by 0 servers only ((none))"), shape("applied by 2 servers only (S1, S4)"));
    }

    #[test]
    fn words_and_their_apostrophes_matter() {
        assert_ne!(shape("index 3 is lost"), shape("index 3 is there twice"));
        assert_eq!(shape("the leader's log, and S1's, have 3"), "the leader's log, and #'s, have #");
        assert_eq!(
            shape("thread applier-S0 panicked at src/raft3.rs:12"),
            "thread applier-# panicked at src/raft#.rs:#"
        );
    }
}

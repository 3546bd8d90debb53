//! The topic of an event, in one word: four capitals in a line of text, as in the course's log viewers, and a
//! lower-case name in `LAB_LOG`.

use std::{fmt, str::FromStr};

use crate::{CheckStep, EventKind, Level, Linearizable, Verdict};

/// The topic of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// RPCs that are in flight or complete (`RPCS`, `rpc`).
    Rpc,
    /// RPCs that were lost (`DROP`, `drop`).
    Drop,
    /// Votes (`VOTE`, `vote`).
    Vote,
    /// Terms (`TERM`, `term`).
    Term,
    /// Roles (`LEAD`, `lead`).
    Lead,
    /// Entries appended to and removed from logs, at either end (`LOG1`, `log`).
    Log,
    /// Commit indexes (`CMIT`, `commit`).
    Commit,
    /// Entries applied by the service (`APLY`, `apply`).
    Apply,
    /// Snapshots (`SNAP`, `snapshot`).
    Snapshot,
    /// Saved state, and the state a server starts with (`PERS`, `persist`).
    Persist,
    /// Crashes, restarts, partitions (`FALT`, `fault`).
    Fault,
    /// The beginning and the end of the run (`TEST`, `test`).
    Test,
    /// Checks (`CHEK`, `check`).
    Check,
    /// Commands of the tester and of clients (`CLNT`, `client`).
    Client,
    /// Annotations (`NOTE`, `note`).
    Note,
    /// Lines of the `log` crate (`INFO`; in `LAB_LOG` they have their own targets).
    Line,
    /// Failures (`ERRO`, `failure`).
    Failure,
}

impl Topic {
    /// Every topic, in the order of their declaration.
    pub const ALL: [Topic; 17] = [
        Topic::Rpc,
        Topic::Drop,
        Topic::Vote,
        Topic::Term,
        Topic::Lead,
        Topic::Log,
        Topic::Commit,
        Topic::Apply,
        Topic::Snapshot,
        Topic::Persist,
        Topic::Fault,
        Topic::Test,
        Topic::Check,
        Topic::Client,
        Topic::Note,
        Topic::Line,
        Topic::Failure,
    ];

    /// Returns the four capitals that stand for the topic in a line of text.
    pub const fn code(self) -> &'static str {
        match self {
            Topic::Rpc => "RPCS",
            Topic::Drop => "DROP",
            Topic::Vote => "VOTE",
            Topic::Term => "TERM",
            Topic::Lead => "LEAD",
            Topic::Log => "LOG1",
            Topic::Commit => "CMIT",
            Topic::Apply => "APLY",
            Topic::Snapshot => "SNAP",
            Topic::Persist => "PERS",
            Topic::Fault => "FALT",
            Topic::Test => "TEST",
            Topic::Check => "CHEK",
            Topic::Client => "CLNT",
            Topic::Note => "NOTE",
            Topic::Line => "INFO",
            Topic::Failure => "ERRO",
        }
    }

    /// Returns the topic's name in `LAB_LOG`. No name is the name of a level, and no name is a prefix of another,
    /// because the filter compares prefixes.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Rpc => "rpc",
            Topic::Drop => "drop",
            Topic::Vote => "vote",
            Topic::Term => "term",
            Topic::Lead => "lead",
            Topic::Log => "log",
            Topic::Commit => "commit",
            Topic::Apply => "apply",
            Topic::Snapshot => "snapshot",
            Topic::Persist => "persist",
            Topic::Fault => "fault",
            Topic::Test => "test",
            Topic::Check => "check",
            Topic::Client => "client",
            Topic::Note => "note",
            Topic::Line => "line",
            Topic::Failure => "failure",
        }
    }
}

/// Other names of topics that people are used to.
const ALIASES: [(&str, Topic); 1] = [("append", Topic::Log)];

/// Parses a topic from its name, its four letters, or an alias, in any case. `append` is an alias of `log`.
impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(word: &str) -> Result<Topic, UnknownTopic> {
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        let topic = Topic::ALL.into_iter().find(|topic| is(topic.name()) || is(topic.code()));
        let alias = || ALIASES.into_iter().find(|(alias, _)| is(alias)).map(|(_, topic)| topic);
        topic.or_else(alias).ok_or_else(|| UnknownTopic(word.to_string()))
    }
}

/// The error for an unknown topic. The text is one line for people and lists all topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTopic(String);

impl fmt::Display for UnknownTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Topic::ALL.map(Topic::name).join(", ");
        write!(f, "there is no topic '{}'; the topics are {names}", self.0.escape_debug())
    }
}

impl std::error::Error for UnknownTopic {}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl EventKind {
    /// Returns the topic of the event.
    pub fn topic(&self) -> Topic {
        match self {
            EventKind::RunBegun { .. } | EventKind::RunEnded { .. } | EventKind::FaultCutoff { .. } => Topic::Test,
            EventKind::RpcSent { .. } | EventKind::RpcDelivered { .. } | EventKind::RpcReplied { .. } => Topic::Rpc,
            EventKind::CallsOmitted { .. } => Topic::Rpc,
            EventKind::RpcLost { .. } => Topic::Drop,
            EventKind::RoleChanged { .. } => Topic::Lead,
            EventKind::TermChanged { .. } => Topic::Term,
            EventKind::VoteGranted { .. } => Topic::Vote,
            EventKind::LogAppended { .. } | EventKind::LogTruncated { .. } => Topic::Log,
            EventKind::LogCompacted { .. } => Topic::Log,
            EventKind::Committed { .. } => Topic::Commit,
            EventKind::Applied { .. } => Topic::Apply,
            EventKind::SnapshotTaken { .. } | EventKind::SnapshotInstalled { .. } => Topic::Snapshot,
            EventKind::Persisted { .. } | EventKind::Restored { .. } => Topic::Persist,
            EventKind::Fault(_) => Topic::Fault,
            EventKind::Check { .. } | EventKind::HistoryChecked { .. } => Topic::Check,
            EventKind::CommandSubmitted { .. } | EventKind::CommandAgreed { .. } => Topic::Client,
            EventKind::Annotated { .. } => Topic::Note,
            EventKind::LogLine { .. } => Topic::Line,
            EventKind::Failed { .. } => Topic::Failure,
            EventKind::OperationBegun { .. } | EventKind::OperationEnded { .. } => Topic::Client,
        }
    }

    /// Returns the severity of the event, for the filter of printed events.
    pub fn level(&self) -> Level {
        match self {
            EventKind::LogLine { level, .. } => *level,
            EventKind::RunEnded { verdict: Verdict::Failed, .. } => Level::Error,
            EventKind::RunEnded { verdict: Verdict::Disturbed | Verdict::Aborted | Verdict::Undecided, .. } => {
                Level::Warn
            }
            EventKind::Check { step: CheckStep::Failed, .. } => Level::Error,
            EventKind::HistoryChecked { linearizable: Linearizable::No, .. } => Level::Error,
            kind => match kind.topic() {
                Topic::Failure => Level::Error,
                Topic::Rpc | Topic::Drop => Level::Trace,
                Topic::Fault | Topic::Test | Topic::Check | Topic::Note | Topic::Line => Level::Info,
                Topic::Vote | Topic::Term | Topic::Lead | Topic::Log | Topic::Commit | Topic::Apply => Level::Debug,
                Topic::Snapshot | Topic::Persist | Topic::Client => Level::Debug,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_four_characters_and_are_unique() {
        let mut codes = Topic::ALL.map(Topic::code);
        codes.sort();
        assert!(codes.iter().all(|code| code.len() == 4));
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn topics_are_listed_in_declaration_order() {
        assert!(Topic::ALL.iter().enumerate().all(|(place, topic)| *topic as usize == place));
    }

    #[test]
    fn a_topic_is_found_by_its_name_its_code_and_its_alias() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse(), Ok(topic));
            assert_eq!(topic.code().parse(), Ok(topic));
            assert_eq!(topic.code().to_lowercase().parse(), Ok(topic));
        }
        assert_eq!("Append".parse(), Ok(Topic::Log));
    }

    #[test]
    fn the_error_for_an_unknown_topic_lists_all_topics() {
        let error = "votes".parse::<Topic>().unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1);
        assert!(error.contains("'votes'") && Topic::ALL.iter().all(|topic| error.contains(topic.name())), "{error}");
    }

    #[test]
    fn no_topic_name_is_a_prefix_of_another_or_a_level() {
        for one in Topic::ALL {
            assert!(one.name().parse::<log::LevelFilter>().is_err(), "{} is a level", one.name());
            for other in Topic::ALL {
                assert!(
                    one == other || !other.name().starts_with(one.name()),
                    "{} begins {}",
                    one.name(),
                    other.name()
                );
            }
        }
    }
}

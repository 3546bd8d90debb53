//! Agreement on one command: submit it to whoever leads, and wait until enough servers have applied it.

use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{Index, Raft, ServerId};
use record::EventKind;

use super::Cluster;
use super::checks::list;
use crate::command::Command;
use crate::diagnosis::Rule;

/// Whether [`Cluster::one`] may submit its command again when the first submission comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Until it succeeds; the command may end up in the log several times.
    Yes,
    /// Never. A leader that was there when the command was submitted has to see it through.
    No,
}

impl<R: Raft> Cluster<R> {
    /// Reaches agreement on `command` among at least `expected` servers and returns its index.
    ///
    /// Asks the connected servers in turn until one accepts the command as leader, then waits for up to 2 s until
    /// `expected` servers have applied it at that index. Ends the run when this has not succeeded after 10 s, or, with
    /// [`Retry::No`], when the first submission has not.
    pub fn one(&self, command: impl Into<Command>, expected: usize, retry: Retry) -> Index {
        const TIMEOUT: Duration = Duration::from_secs(10);
        const PAUSE: Duration = Duration::from_millis(50);
        let command = command.into();
        let check = self.check(format!("agreement on {command} among {expected} servers"));
        let started_at = Instant::now();
        let mut last_asked = ServerId(0);
        let likely = [Rule::RetryUntilStored, Rule::BackUpNextIndex, Rule::GrantResetsTimer];
        let mut accepted = None;
        while started_at.elapsed() < TIMEOUT {
            let Some((index, leader)) = self.submit(&command, &mut last_asked) else {
                thread::sleep(PAUSE);
                continue;
            };
            if self.wait_until_applied(&command, index, expected) {
                record::emit(EventKind::CommandAgreed { index, servers: expected });
                check.passed(format!("{command} is committed at index {index}"));
                return index;
            }
            accepted = Some((index, leader));
            if retry == Retry::No {
                let seen = self.describe(index);
                let text = format!(
                    "{command}, accepted by leader {leader} at index {index}, was not applied by {expected} servers \
                     within 2 s: {seen}"
                );
                check.fail_limit(&likely, text);
            }
        }
        let seen = match accepted {
            Some((index, leader)) => {
                format!("leader {leader} was the last to accept it, at index {index}, where {}", self.describe(index))
            }
            None => "none of the connected servers accepted it as leader".to_string(),
        };
        let text = format!("no agreement on {command} among {expected} servers within 10 s: {seen}");
        check.fail_limit(&likely, text)
    }

    /// Offers `command` to each connected server, beginning after the one asked last, until a leader takes it.
    fn submit(&self, command: &Command, last_asked: &mut ServerId) -> Option<(Index, ServerId)> {
        (0..self.len()).find_map(|_| {
            *last_asked = self.after(*last_asked, 1);
            let server = *last_asked;
            let started = self.is_connected(server).then(|| self.start(server, command.clone())).flatten();
            started.map(|started| (started.index, server))
        })
    }

    /// Whether `expected` servers apply `command` at `index` within 2 s.
    fn wait_until_applied(&self, command: &Command, index: Index, expected: usize) -> bool {
        const APPLY_TIMEOUT: Duration = Duration::from_secs(2);
        const POLL_INTERVAL: Duration = Duration::from_millis(20);
        let started_at = Instant::now();
        while started_at.elapsed() < APPLY_TIMEOUT {
            let (count, applied) = self.n_committed(index);
            if count > 0 && count >= expected && applied.as_ref() == Some(command) {
                return true;
            }
            thread::sleep(POLL_INTERVAL);
        }
        false
    }

    /// What became of `index`, for a failure message.
    fn describe(&self, index: Index) -> String {
        match self.n_committed(index) {
            (0, _) => "no server applied anything there".to_string(),
            (count, command) => {
                let command = command.map_or(String::new(), |command| command.to_string());
                let who: Vec<ServerId> = self.servers().filter(|&server| self.has_applied(server, index)).collect();
                format!("{count} servers applied {command} there: {}", list(&who))
            }
        }
    }
}

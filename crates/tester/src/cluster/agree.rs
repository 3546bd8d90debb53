//! Agreement on one command: submit it to the leader, and wait until enough servers have applied it.

use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{Index, ServerId};
use record::EventKind;

use super::Cluster;
use super::checks::list;
use crate::command::Command;
use diagnosis::Rule;

/// Whether [`Cluster::one`] may submit its command again if the first submission does not lead to agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Retry until it succeeds; the log may then contain the command several times.
    Yes,
    /// Do not retry. The leader that accepts the command must get it committed.
    No,
}

impl Cluster {
    /// Reaches agreement on `command` among at least `expected` servers and returns its index.
    ///
    /// Asks the connected servers in turn until one accepts the command as leader. Then waits up to 2 s until
    /// `expected` servers have applied it at that index. Fails the run if this has not succeeded after 10 s or, with
    /// [`Retry::No`], if the first submission has not succeeded.
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

    /// Offers `command` to each connected server until a leader accepts it, starting after the server that was asked
    /// last.
    fn submit(&self, command: &Command, last_asked: &mut ServerId) -> Option<(Index, ServerId)> {
        (0..self.len()).find_map(|_| {
            *last_asked = self.after(*last_asked, 1);
            let server = *last_asked;
            let started = self.is_connected(server).then(|| self.start(server, command.clone())).flatten();
            started.map(|started| (started.index, server))
        })
    }

    /// Waits up to 2 s until `expected` servers have applied `command` at `index`; returns whether they have.
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

    /// Describes the state of `index` for a failure message.
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

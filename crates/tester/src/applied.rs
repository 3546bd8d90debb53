//! The entries that the servers have applied, and the checks on everything that they deliver. All servers apply the
//! same command at the same index, each index once, in order (State Machine Safety, Figure 3 of the paper). A snapshot
//! covers exactly the entries that it replaces.

use raftapi::{Index, ServerId};

use crate::command::Command;
use crate::snapshot::Snapshot;
use diagnosis::Rule;

/// A violation in something that a server delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// One sentence that describes the violation.
    pub text: String,
    /// Rules that may be broken, the most likely first.
    pub likely: Vec<Rule>,
}

impl DeliveryError {
    /// Creates a violation from the rules that may be broken and a sentence.
    pub(crate) fn new(likely: &[Rule], text: String) -> DeliveryError {
        DeliveryError { text, likely: likely.to_vec() }
    }
}

/// Possible causes if two servers apply different commands at one index.
const TWO_COMMITTED: [Rule; 7] = [
    Rule::SaveLog,
    Rule::SaveVote,
    Rule::CommitOwnTerm,
    Rule::UpToDateCandidate,
    Rule::CommitLastNewEntry,
    Rule::TruncateOnConflict,
    Rule::PrevEntryMatches,
];

/// Every entry that each server has delivered.
#[derive(Debug)]
pub struct AppliedEntries {
    servers: Vec<ServerLog>,
    max_index: Index,
    installed: u64,
}

#[derive(Clone, Debug, Default)]
struct ServerLog {
    /// Everything that this incarnation and the earlier ones delivered; the entry of index 1 comes first. There are no
    /// gaps, because each incarnation starts with the first entry or with a snapshot.
    log: Vec<Command>,
    /// Last index that this incarnation delivered; never beyond `log`.
    last: Index,
    incarnation: u32,
    /// Whether this incarnation has delivered anything.
    delivered: bool,
}

impl AppliedEntries {
    /// Creates the state of `servers` servers that have applied nothing.
    pub fn new(servers: usize) -> AppliedEntries {
        AppliedEntries { servers: vec![ServerLog::default(); servers], max_index: Index::ZERO, installed: 0 }
    }

    /// Starts `incarnation` of `server`. It must deliver its log from the first entry, or from the end of the snapshot
    /// that it gets. The entries of earlier incarnations stay for comparison. Later deliveries of those incarnations do
    /// not count.
    pub fn begin_incarnation(&mut self, server: ServerId, incarnation: u32) {
        let own = &mut self.servers[server.0];
        own.last = Index::ZERO;
        own.delivered = false;
        own.incarnation = incarnation;
    }

    /// Returns whether `incarnation` is the current one of `server`.
    pub fn is_current(&self, server: ServerId, incarnation: u32) -> bool {
        self.servers[server.0].incarnation == incarnation
    }

    /// Records that `server` delivers `command` as the entry at `index`.
    ///
    /// # Errors
    ///
    /// If the index is not the next one, or if any server has delivered another command at this index.
    pub fn deliver(&mut self, server: ServerId, index: Index, command: Command) -> Result<(), DeliveryError> {
        let last = self.servers[server.0].last;
        if index <= last {
            let text = format!("{server} applied index {index} again: it had already applied everything up to {last}");
            return Err(DeliveryError::new(&[Rule::ApplyInOrder, Rule::IgnoreOldSnapshot], text));
        }
        if index != last.next() {
            let ServerLog { log, delivered, .. } = &self.servers[server.0];
            let restarted = !delivered && !log.is_empty();
            let before = match (restarted, last) {
                (true, Index::ZERO) => {
                    "it had applied nothing since its restart, and had no snapshot saved".to_string()
                }
                (true, _) => {
                    format!("it had applied nothing since its restart, and its saved snapshot ended at {last}")
                }
                (false, _) => format!("the last one before it was {last}"),
            };
            let likely: &[Rule] =
                if restarted { &[Rule::SaveSnapshot, Rule::ApplyInOrder] } else { &[Rule::ApplyInOrder] };
            return Err(DeliveryError::new(likely, format!("{server} applied index {index} out of order: {before}")));
        }
        if let Some((who, theirs)) = self.conflict(server, index, &command) {
            let text = format!(
                "two commands are committed at index {index}: {server} applied {command}, {who} applied {theirs}"
            );
            return Err(DeliveryError::new(&TWO_COMMITTED, text));
        }
        self.advance(server, index, command);
        Ok(())
    }

    /// Starts the service of `server` with the snapshot that was saved before its restart.
    ///
    /// # Errors
    ///
    /// If the snapshot disagrees with entries that servers have delivered.
    pub fn restore(&mut self, server: ServerId, snapshot: &Snapshot) -> Result<(), DeliveryError> {
        self.replace_with_snapshot(server, snapshot, "was restarted with a saved snapshot")?;
        self.servers[server.0].delivered = false;
        Ok(())
    }

    /// Records that `server` delivers a snapshot. A snapshot that covers exactly the entries that the server has
    /// delivered is useless, but not an error.
    ///
    /// # Errors
    ///
    /// If the snapshot is older than the entries that the server has delivered, or disagrees with entries that servers
    /// have delivered.
    pub fn install(&mut self, server: ServerId, snapshot: &Snapshot) -> Result<(), DeliveryError> {
        let (index, last) = (snapshot.index(), self.servers[server.0].last);
        if index < last {
            let text = format!(
                "{server} delivered an old snapshot, up to index {index}: it had already applied everything up to \
                 {last}, so its service would go back"
            );
            return Err(DeliveryError::new(&[Rule::IgnoreOldSnapshot], text));
        }
        self.replace_with_snapshot(server, snapshot, "delivered a snapshot")?;
        self.installed += u64::from(index > last);
        Ok(())
    }

    /// Returns the number of snapshots that replaced entries which the server had not delivered before.
    pub fn installed(&self) -> u64 {
        self.installed
    }

    /// Returns a snapshot of everything that the current incarnation of `server` has delivered.
    pub fn snapshot(&self, server: ServerId) -> Snapshot {
        let ServerLog { log, last, .. } = &self.servers[server.0];
        Snapshot::of(&log[..position(last.next())])
    }

    /// Returns the number of servers that have delivered an entry at `index`, and its command. Disconnected and crashed
    /// servers count.
    pub fn committed(&self, index: Index) -> (usize, Option<Command>) {
        let mut at_index = self.servers.iter().filter_map(|server| server.at(index));
        let command = at_index.next().cloned();
        (usize::from(command.is_some()) + at_index.count(), command)
    }

    /// Returns whether `server` has delivered an entry at `index`, in this incarnation or in an earlier one.
    pub fn has(&self, server: ServerId, index: Index) -> bool {
        self.servers[server.0].at(index).is_some()
    }

    /// Returns the highest index that any server has delivered.
    pub fn max_index(&self) -> Index {
        self.max_index
    }

    fn replace_with_snapshot(&mut self, server: ServerId, snapshot: &Snapshot, how: &str) -> Result<(), DeliveryError> {
        let last = snapshot.index();
        for (index, command) in snapshot.entries() {
            if let Some((who, theirs)) = self.conflict(server, index, command) {
                let text = format!(
                    "{server} {how} up to index {last}, which has {command} at index {index}, where {who} applied \
                     {theirs}"
                );
                return Err(DeliveryError::new(&TWO_COMMITTED, text));
            }
        }
        let known = Index(self.servers[server.0].log.len() as u64);
        for (index, command) in snapshot.entries().filter(|(index, _)| *index > known) {
            self.advance(server, index, command.clone());
        }
        self.servers[server.0].last = last;
        self.servers[server.0].delivered = true;
        Ok(())
    }

    /// Returns a server that has delivered another command at `index`, and that command.
    fn conflict(&self, server: ServerId, index: Index, command: &Command) -> Option<(String, &Command)> {
        let mut all = self.servers.iter().map(|delivered| delivered.at(index)).enumerate();
        let (other, theirs) =
            all.find_map(|(other, theirs)| theirs.filter(|theirs| *theirs != command).map(|theirs| (other, theirs)))?;
        let who = if other == server.0 { "before its restart it".into() } else { ServerId(other).to_string() };
        Some((who, theirs))
    }

    /// Stores `command` as the next entry of `server`, at `index`. No server disagrees.
    fn advance(&mut self, server: ServerId, index: Index, command: Command) {
        let own = &mut self.servers[server.0];
        if position(index) == own.log.len() {
            own.log.push(command);
        }
        own.last = index;
        own.delivered = true;
        self.max_index = self.max_index.max(index);
    }
}

impl ServerLog {
    fn at(&self, index: Index) -> Option<&Command> {
        if index == Index::ZERO { None } else { self.log.get(position(index)) }
    }
}

/// Returns the position of the entry at `index` in a list that starts with index 1. The index must not be 0.
fn position(index: Index) -> usize {
    index.0 as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const S0: ServerId = ServerId(0);
    const S1: ServerId = ServerId(1);

    fn applied(delivered: &[(ServerId, u64, i64)]) -> Result<AppliedEntries, DeliveryError> {
        let mut applied = AppliedEntries::new(3);
        for &(server, index, number) in delivered {
            applied.deliver(server, Index(index), Command::Int(number))?;
        }
        Ok(applied)
    }

    /// Returns a snapshot of these commands.
    fn snapshot(numbers: &[i64]) -> Snapshot {
        Snapshot::of(&numbers.iter().copied().map(Command::Int).collect::<Vec<_>>())
    }

    #[test]
    fn equal_entries_on_several_servers_are_counted() {
        let applied = applied(&[(S0, 1, 10), (S1, 1, 10), (S1, 2, 20)]).unwrap();
        assert_eq!(applied.committed(Index(0)), (0, None));
        assert_eq!(applied.committed(Index(1)), (2, Some(Command::Int(10))));
        assert_eq!(applied.committed(Index(2)), (1, Some(Command::Int(20))));
        assert_eq!(applied.committed(Index(3)), (0, None));
        assert_eq!(applied.max_index(), Index(2));
    }

    #[test]
    fn two_commands_at_one_index_are_an_error() {
        let error = applied(&[(S0, 1, 10), (S1, 1, 11)]).unwrap_err().text;
        assert_eq!(error, "two commands are committed at index 1: S1 applied 11, S0 applied 10");
    }

    #[test]
    fn a_gap_is_an_error() {
        let error = applied(&[(S0, 1, 10), (S0, 3, 30)]).unwrap_err().text;
        assert_eq!(error, "S0 applied index 3 out of order: the last one before it was 1");
        assert!(applied(&[(S0, 2, 20)]).is_err(), "the first index is 1");
        assert!(applied(&[(S0, 0, 20)]).is_err(), "there is no index 0");
    }

    #[test]
    fn applying_an_index_twice_is_an_error() {
        let error = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 1, 10)]).unwrap_err().text;
        assert_eq!(error, "S0 applied index 1 again: it had already applied everything up to 2");
    }

    #[test]
    fn a_restarted_server_must_apply_the_same_entries_again() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.begin_incarnation(S0, 1);
        assert_eq!(applied.committed(Index(2)), (1, Some(Command::Int(20))));
        let error = applied.deliver(S0, Index(2), Command::Int(20)).unwrap_err().text;
        assert!(error.ends_with("it had applied nothing since its restart, and had no snapshot saved"), "{error}");
        applied.deliver(S0, Index(1), Command::Int(10)).unwrap();
        let error = applied.deliver(S0, Index(2), Command::Int(21)).unwrap_err().text;
        assert!(error.ends_with("S0 applied 21, before its restart it applied 20"), "{error}");
    }

    #[test]
    fn only_the_current_incarnation_counts() {
        let mut applied = AppliedEntries::new(3);
        applied.begin_incarnation(S0, 1);
        assert!(applied.is_current(S0, 1));
        applied.begin_incarnation(S0, 2);
        assert!(!applied.is_current(S0, 1) && applied.is_current(S0, 2));
    }

    #[test]
    fn a_snapshot_counts_as_the_entries_that_it_covers() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 3, 30), (S1, 1, 10)]).unwrap();
        let snapshot = applied.snapshot(S0);
        assert_eq!(snapshot.index(), Index(3));
        applied.install(S1, &snapshot).unwrap();
        assert_eq!(applied.committed(Index(3)), (2, Some(Command::Int(30))));
        let error = applied.deliver(S1, Index(5), Command::Int(50)).unwrap_err().text;
        assert_eq!(error, "S1 applied index 5 out of order: the last one before it was 3");
        applied.deliver(S1, Index(4), Command::Int(40)).unwrap();
        assert_eq!(applied.installed(), 1);
    }

    #[test]
    fn a_snapshot_that_contradicts_another_server_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        let error = applied.install(S1, &snapshot(&[10, 21, 30])).unwrap_err().text;
        assert_eq!(error, "S1 delivered a snapshot up to index 3, which has 21 at index 2, where S0 applied 20");
        assert_eq!(applied.max_index(), Index(2), "nothing of the snapshot counts");
    }

    #[test]
    fn a_snapshot_that_contradicts_its_server_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.begin_incarnation(S0, 1);
        let error = applied.install(S0, &snapshot(&[10, 21, 30])).unwrap_err().text;
        assert!(error.ends_with("has 21 at index 2, where before its restart it applied 20"), "{error}");
    }

    #[test]
    fn an_older_snapshot_is_an_error_and_an_equal_one_is_not() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.install(S0, &snapshot(&[10, 20])).unwrap();
        assert_eq!(applied.installed(), 0);
        let error = applied.install(S0, &snapshot(&[10])).unwrap_err().text;
        assert_eq!(
            error,
            "S0 delivered an old snapshot, up to index 1: it had already applied everything up to 2, so its service \
             would go back"
        );
    }

    #[test]
    fn a_server_restarted_with_a_snapshot_continues_after_it() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 3, 30)]).unwrap();
        applied.begin_incarnation(S0, 1);
        applied.restore(S0, &snapshot(&[10, 20])).unwrap();
        assert_eq!(applied.installed(), 0);
        assert!(applied.deliver(S0, Index(1), Command::Int(10)).is_err(), "the snapshot covers it");
        let error = applied.deliver(S0, Index(3), Command::Int(31)).unwrap_err().text;
        assert!(error.ends_with("S0 applied 31, before its restart it applied 30"), "{error}");
        applied.deliver(S0, Index(3), Command::Int(30)).unwrap();
        assert_eq!(applied.snapshot(S0).index(), Index(3));
    }

    #[test]
    fn a_snapshot_after_a_restart_covers_only_later_entries() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 3, 30)]).unwrap();
        applied.begin_incarnation(S0, 1);
        applied.deliver(S0, Index(1), Command::Int(10)).unwrap();
        assert_eq!(applied.snapshot(S0).index(), Index(1));
    }

    #[test]
    fn a_saved_snapshot_that_contradicts_the_log_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S1, 1, 10)]).unwrap();
        applied.begin_incarnation(S0, 1);
        let error = applied.restore(S0, &snapshot(&[11])).unwrap_err().text;
        assert!(error.starts_with("S0 was restarted with a saved snapshot up to index 1, which has 11"), "{error}");
    }
}

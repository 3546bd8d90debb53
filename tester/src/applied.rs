//! What the servers have applied, and the checks on everything that they deliver: the same command at the same index
//! everywhere, each index once, in order (the state machine safety property of the paper's Figure 3); and a snapshot
//! stands for exactly the entries that it replaces.

use raftapi::{Index, ServerId};

use crate::command::Command;
use crate::diagnosis::Rule;
use crate::snapshot::Snapshot;

/// What is wrong with something that a server has delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// A sentence.
    pub text: String,
    /// The rules that may have been broken, the likeliest first.
    pub likely: Vec<Rule>,
}

impl DeliveryError {
    /// A sentence, and what may be the cause.
    pub(crate) fn new(likely: &[Rule], text: String) -> DeliveryError {
        DeliveryError { text, likely: likely.to_vec() }
    }
}

/// What may be the cause if two servers disagree on what is committed at an index.
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
    /// Everything delivered so far, by this incarnation and by those before it; the entry of index 1 comes first.
    /// There are no gaps, because every incarnation begins with the first entry or with a snapshot.
    log: Vec<Command>,
    /// The last index that this incarnation delivered; never beyond `log`.
    last: Index,
    incarnation: u32,
}

impl AppliedEntries {
    /// Nothing applied, on `servers` servers.
    pub fn new(servers: usize) -> AppliedEntries {
        AppliedEntries { servers: vec![ServerLog::default(); servers], max_index: Index::ZERO, installed: 0 }
    }

    /// The `incarnation` of `server` begins: it has to deliver its log from the first entry, or from the end of the
    /// snapshot that it is given. What those before it delivered is kept for comparison; what they still deliver does
    /// not count.
    pub fn begin_incarnation(&mut self, server: ServerId, incarnation: u32) {
        let own = &mut self.servers[server.0];
        own.last = Index::ZERO;
        own.incarnation = incarnation;
    }

    /// Whether `incarnation` is the present one of `server`.
    pub fn is_current(&self, server: ServerId, incarnation: u32) -> bool {
        self.servers[server.0].incarnation == incarnation
    }

    /// `server` delivers `command` as the entry at `index`.
    ///
    /// # Errors
    ///
    /// A sentence, if the index is not the next one, or if any server has delivered another command there.
    pub fn deliver(&mut self, server: ServerId, index: Index, command: Command) -> Result<(), DeliveryError> {
        let last = self.servers[server.0].last;
        if index <= last {
            let text = format!("{server} applied index {index} again: it had already applied everything up to {last}");
            return Err(DeliveryError::new(&[Rule::ApplyInOrder, Rule::IgnoreOldSnapshot], text));
        }
        if index != last.next() {
            let restarted = last == Index::ZERO && !self.servers[server.0].log.is_empty();
            let before = if restarted {
                "it had applied nothing since its restart, and had no snapshot saved".to_string()
            } else {
                format!("the last one before it was {last}")
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

    /// The service of `server` begins with the snapshot that was saved before its restart.
    ///
    /// # Errors
    ///
    /// A sentence, if the snapshot says something else than what servers have delivered.
    pub fn restore(&mut self, server: ServerId, snapshot: &Snapshot) -> Result<(), DeliveryError> {
        self.replace_with_snapshot(server, snapshot, "was restarted with a saved snapshot")
    }

    /// `server` delivers a snapshot. One that covers exactly what the server has delivered is of no use, and no mistake.
    ///
    /// # Errors
    ///
    /// A sentence, if the snapshot is older than what the server has delivered, or if it says something else than what
    /// servers have delivered.
    pub fn install(&mut self, server: ServerId, snapshot: &Snapshot) -> Result<(), DeliveryError> {
        let (index, last) = (snapshot.index(), self.servers[server.0].last);
        if index < last {
            let text = format!(
                "{server} delivered an old snapshot, up to index {index}: it had already applied everything up to {last}, \
                 and its service would go back"
            );
            return Err(DeliveryError::new(&[Rule::IgnoreOldSnapshot], text));
        }
        self.replace_with_snapshot(server, snapshot, "delivered a snapshot")?;
        self.installed += u64::from(index > last);
        Ok(())
    }

    /// How many snapshots took the place of entries that the server had not delivered before.
    pub fn installed(&self) -> u64 {
        self.installed
    }

    /// A snapshot of everything that the present incarnation of `server` has delivered.
    pub fn snapshot(&self, server: ServerId) -> Snapshot {
        let ServerLog { log, last, .. } = &self.servers[server.0];
        Snapshot::of(&log[..position(last.next())])
    }

    /// How many servers have delivered an entry at `index`, and which command it is. Servers that are disconnected or
    /// crashed count.
    pub fn committed(&self, index: Index) -> (usize, Option<Command>) {
        let mut at_index = self.servers.iter().filter_map(|server| server.at(index));
        let command = at_index.next().cloned();
        (usize::from(command.is_some()) + at_index.count(), command)
    }

    /// Whether `server` has delivered an entry at `index`, in this incarnation or in one before.
    pub fn has(&self, server: ServerId, index: Index) -> bool {
        self.servers[server.0].at(index).is_some()
    }

    /// The highest index that any server has delivered.
    pub fn max_index(&self) -> Index {
        self.max_index
    }

    fn replace_with_snapshot(&mut self, server: ServerId, snapshot: &Snapshot, how: &str) -> Result<(), DeliveryError> {
        let last = snapshot.index();
        for (index, command) in snapshot.entries() {
            if let Some((who, theirs)) = self.conflict(server, index, command) {
                let text = format!(
                    "{server} {how} up to index {last} that has {command} at index {index}, where {who} applied {theirs}"
                );
                return Err(DeliveryError::new(&TWO_COMMITTED, text));
            }
        }
        let known = Index(self.servers[server.0].log.len() as u64);
        for (index, command) in snapshot.entries().filter(|(index, _)| *index > known) {
            self.advance(server, index, command.clone());
        }
        self.servers[server.0].last = last;
        Ok(())
    }

    /// A server that has delivered another command at `index`, and that command.
    fn conflict(&self, server: ServerId, index: Index, command: &Command) -> Option<(String, &Command)> {
        let mut all = self.servers.iter().map(|delivered| delivered.at(index)).enumerate();
        let (other, theirs) =
            all.find_map(|(other, theirs)| theirs.filter(|theirs| *theirs != command).map(|theirs| (other, theirs)))?;
        let who = if other == server.0 { "before its restart it".into() } else { ServerId(other).to_string() };
        Some((who, theirs))
    }

    /// Nobody disagrees: `command` is what `server` has at `index`, its next one.
    fn advance(&mut self, server: ServerId, index: Index, command: Command) {
        let own = &mut self.servers[server.0];
        if position(index) == own.log.len() {
            own.log.push(command);
        }
        own.last = index;
        self.max_index = self.max_index.max(index);
    }
}

impl ServerLog {
    fn at(&self, index: Index) -> Option<&Command> {
        if index == Index::ZERO { None } else { self.log.get(position(index)) }
    }
}

/// Where the entry at `index`, which is not 0, is in a list that begins with index 1.
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

    /// A snapshot of these commands.
    fn snapshot(numbers: &[i64]) -> Snapshot {
        Snapshot::of(&numbers.iter().copied().map(Command::Int).collect::<Vec<_>>())
    }

    #[test]
    fn the_same_entries_on_several_servers_are_counted() {
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
    fn applying_again_is_an_error() {
        let error = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 1, 10)]).unwrap_err().text;
        assert_eq!(error, "S0 applied index 1 again: it had already applied everything up to 2");
    }

    #[test]
    fn a_restarted_server_applies_from_the_first_entry_and_the_same_as_before() {
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
    fn only_the_present_incarnation_counts() {
        let mut applied = AppliedEntries::new(3);
        applied.begin_incarnation(S0, 1);
        assert!(applied.is_current(S0, 1));
        applied.begin_incarnation(S0, 2);
        assert!(!applied.is_current(S0, 1) && applied.is_current(S0, 2));
    }

    #[test]
    fn a_snapshot_stands_for_the_entries_that_it_replaces() {
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
    fn a_snapshot_that_differs_from_what_another_server_applied_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        let error = applied.install(S1, &snapshot(&[10, 21, 30])).unwrap_err().text;
        assert_eq!(error, "S1 delivered a snapshot up to index 3 that has 21 at index 2, where S0 applied 20");
        assert_eq!(applied.max_index(), Index(2), "nothing of it counts");
    }

    #[test]
    fn a_snapshot_that_differs_from_what_the_server_applied_itself_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.begin_incarnation(S0, 1);
        let error = applied.install(S0, &snapshot(&[10, 21, 30])).unwrap_err().text;
        assert!(error.ends_with("has 21 at index 2, where before its restart it applied 20"), "{error}");
    }

    #[test]
    fn an_old_snapshot_is_an_error_and_one_that_says_nothing_new_is_not() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.install(S0, &snapshot(&[10, 20])).unwrap();
        assert_eq!(applied.installed(), 0);
        let error = applied.install(S0, &snapshot(&[10])).unwrap_err().text;
        assert_eq!(
            error,
            "S0 delivered an old snapshot, up to index 1: it had already applied everything up to 2, and its service \
             would go back"
        );
    }

    #[test]
    fn a_server_that_is_restarted_with_a_snapshot_goes_on_behind_it() {
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
    fn a_snapshot_of_a_restarted_server_covers_what_it_has_applied_since() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 3, 30)]).unwrap();
        applied.begin_incarnation(S0, 1);
        applied.deliver(S0, Index(1), Command::Int(10)).unwrap();
        assert_eq!(applied.snapshot(S0).index(), Index(1));
    }

    #[test]
    fn a_saved_snapshot_that_says_something_else_is_an_error() {
        let mut applied = applied(&[(S0, 1, 10), (S1, 1, 10)]).unwrap();
        applied.begin_incarnation(S0, 1);
        let error = applied.restore(S0, &snapshot(&[11])).unwrap_err().text;
        assert!(error.starts_with("S0 was restarted with a saved snapshot up to index 1 that has 11"), "{error}");
    }
}

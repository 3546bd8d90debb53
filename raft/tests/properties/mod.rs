//! The five properties of Figure 3, each a function with the paper's name, and the requirement for reads without the
//! log. They observe the servers from outside, remember earlier observations, and know nothing of a server's
//! implementation.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use bytes::Bytes;
use raft::core::{Core, Entry, Log};
use raftapi::{ApplyMsg, Index, ServerId, Term};

/// Observations so far.
pub(crate) struct Properties {
    /// The server that was observed as leader of each term.
    leaders: BTreeMap<Term, ServerId>,
    /// The term and log of each server when it was last observed as a leader.
    led_with: BTreeMap<ServerId, (Term, Log)>,
    /// For each index, the committed entry and the term in which it was committed.
    committed: BTreeMap<Index, (Entry, Term)>,
    /// The state machine of each server.
    machines: Vec<Machine>,
    /// For each index, the state of a state machine after that entry.
    states: BTreeMap<Index, u64>,
    /// Number of snapshots that replaced entries.
    installed: usize,
}

/// A state machine. Its state is a number that depends on every entry and on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Machine {
    applied: Index,
    state: u64,
}

impl Properties {
    pub(crate) fn new(servers: usize) -> Properties {
        Properties {
            leaders: BTreeMap::new(),
            led_with: BTreeMap::new(),
            committed: BTreeMap::new(),
            machines: vec![Machine::default(); servers],
            states: BTreeMap::new(),
            installed: 0,
        }
    }

    /// Returns the number of committed entries.
    pub(crate) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// Returns the last index known to be committed on any server: a client may know of it.
    pub(crate) fn last_committed(&self) -> Index {
        self.committed.last_key_value().map_or(Index::ZERO, |(&index, _)| index)
    }

    /// "Linearizable semantics: ... each read should reflect the most recent committed state" (8). A confirmed read
    /// waits for every entry that was committed when it began.
    pub(crate) fn check_read(index: Index, committed_at_beginning: Index) -> Result<(), String> {
        if index >= committed_at_beginning {
            Ok(())
        } else {
            Err(format!("Stale Read: a read of index {index} began when {committed_at_beginning} was committed"))
        }
    }

    /// Returns the number of installed snapshots.
    pub(crate) fn installed(&self) -> usize {
        self.installed
    }

    /// Returns the snapshot that the service of `server` would make now.
    pub(crate) fn snapshot_of(&self, server: ServerId) -> (Index, Bytes) {
        let Machine { applied, state } = self.machines[server.0];
        (applied, labgob::encode(&(applied, state)))
    }

    /// Records a restart of `server`: it has lost its volatile state, and its service has read the snapshot.
    pub(crate) fn restarted(&mut self, server: ServerId, snapshot: &Bytes) {
        self.machines[server.0] = if snapshot.is_empty() { Machine::default() } else { Machine::from(snapshot) };
        self.led_with.remove(&server);
    }

    /// Checks all that the last event, which happened on `server`, may have broken.
    pub(crate) fn check(&mut self, server: ServerId, cores: &[impl Borrow<Core>]) -> Result<(), String> {
        let core = cores[server.0].borrow();
        self.election_safety(core)?;
        self.leader_append_only(core)?;
        for other in cores {
            log_matching(core, other.borrow())?;
        }
        let newly_committed = self.record_commits(core)?;
        if newly_committed {
            cores.iter().try_for_each(|core| self.leader_completeness(core.borrow()))
        } else {
            self.leader_completeness(core)
        }
    }

    /// "State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
    /// server will ever apply a different log entry for the same index" (5.4.3). Each server also applies entries in
    /// order and never goes back. A snapshot may replace some entries.
    pub(crate) fn applied(&mut self, server: ServerId, message: ApplyMsg) -> Result<(), String> {
        let machine = &mut self.machines[server.0];
        match message {
            ApplyMsg::Command { index, .. } if index != machine.applied.next() => {
                return Err(format!("Order: {server} applied {index} after {}", machine.applied));
            }
            ApplyMsg::Command { index, term, command } => {
                // The factor is odd, so every entry affects every later state.
                let entry = command.iter().fold(term.0, |hash, byte| hash.wrapping_mul(257) ^ u64::from(*byte));
                let state = machine.state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ entry;
                *machine = Machine { applied: index, state };
            }
            ApplyMsg::Snapshot { index, .. } if index <= machine.applied => {
                return Err(format!("Order: {server} received the snapshot at {index} after {}", machine.applied));
            }
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                *machine = Machine::from(&snapshot);
                self.installed += 1;
                if machine.applied != index {
                    return Err(format!(
                        "Order: {server} received the snapshot at {} instead of {index}",
                        machine.applied
                    ));
                }
            }
        }
        let Machine { applied, state } = *machine;
        if *self.states.entry(applied).or_insert(state) == state {
            Ok(())
        } else {
            Err(format!(
                "State Machine Safety: up to {applied}, {server} has applied other entries than another server"
            ))
        }
    }

    /// "Election Safety: at most one leader can be elected in a given term" (5.2).
    fn election_safety(&mut self, core: &Core) -> Result<(), String> {
        if !core.is_leader() {
            return Ok(());
        }
        let term = core.current_term();
        let first = *self.leaders.entry(term).or_insert(core.me());
        if first == core.me() {
            Ok(())
        } else {
            Err(format!("Election Safety: {} and {first} lead term {term}", core.me()))
        }
    }

    /// "Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new entries"
    /// (5.3).
    fn leader_append_only(&mut self, core: &Core) -> Result<(), String> {
        if !core.is_leader() {
            self.led_with.remove(&core.me());
            return Ok(());
        }
        let now = (core.current_term(), core.log().clone());
        let before = self.led_with.insert(core.me(), now);
        match before {
            Some((term, log)) if term == core.current_term() && !is_prefix(&log, core.log()) => {
                Err(format!("Leader Append-Only: {} leads term {term} and changed its log", core.me()))
            }
            _ => Ok(()),
        }
    }

    /// Records the entries that `core` has committed. Two servers that commit different entries violate State Machine
    /// Safety before they apply them.
    fn record_commits(&mut self, core: &Core) -> Result<bool, String> {
        let mut any_new = false;
        let base_index = core.log().base_index();
        if let Some((entry, _)) = self.committed.get(&base_index)
            && entry.term != core.log().base_term()
        {
            return Err(format!(
                "State Machine Safety: {} has a snapshot with a different entry at {base_index}",
                core.me()
            ));
        }
        for index in (base_index.next().0..=core.commit_index().0).map(Index) {
            let entry = core.log().get(index).ok_or(format!("{} committed {index} but does not have it", core.me()))?;
            let (first, _) = self.committed.entry(index).or_insert_with(|| {
                any_new = true;
                (entry.clone(), core.current_term())
            });
            if first != entry {
                return Err(format!("State Machine Safety: {} commits {entry:?} at {index}, not {first:?}", core.me()));
            }
        }
        Ok(any_new)
    }

    /// "Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the logs
    /// of the leaders for all higher-numbered terms" (5.4).
    fn leader_completeness(&self, core: &Core) -> Result<(), String> {
        if !core.is_leader() {
            return Ok(());
        }
        for (&index, (entry, term)) in &self.committed {
            let has_it = index <= core.log().base_index() || core.log().get(index) == Some(entry);
            if *term < core.current_term() && !has_it {
                let (leader, leads) = (core.me(), core.current_term());
                return Err(format!("Leader Completeness: {leader} leads term {leads} without {entry:?} at {index}"));
            }
        }
        Ok(())
    }
}

/// "Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in all entries
/// up through the given index" (5.3).
fn log_matching(one: &Core, other: &Core) -> Result<(), String> {
    let (log, other_log) = (one.log(), other.log());
    // Entries that a snapshot covers cannot be compared.
    let base = log.base_index().max(other_log.base_index());
    let mut index = log.last_index().min(other_log.last_index());
    while index > base && log.term(index) != other_log.term(index) {
        index = index.prev();
    }
    if index <= base || log.entries(base.next(), index) == other_log.entries(base.next(), index) {
        Ok(())
    } else {
        Err(format!("Log Matching: {} and {} have the same term at {index} and differ before", one.me(), other.me()))
    }
}

/// Returns whether `of` contains everything that `log` held, except entries that a later snapshot covers.
fn is_prefix(log: &Log, of: &Log) -> bool {
    let (base, last) = (of.base_index(), log.last_index());
    log.base_index() <= base
        && last <= of.last_index()
        && (last <= base || log.entries(base.next(), last) == of.entries(base.next(), last))
}

impl From<&Bytes> for Machine {
    fn from(snapshot: &Bytes) -> Machine {
        let (applied, state) = labgob::decode(snapshot).expect("a snapshot made by a service");
        Machine { applied, state }
    }
}

/// Each property detects its own violation.
mod detects_violations {
    use raft::core::{HardState, RequestVoteReply, Saved};

    use super::*;

    #[test]
    fn election_safety() {
        let cores = [leader(0, 1, &[]), leader(1, 1, &[])];
        let mut properties = Properties::new(3);
        assert_eq!(properties.check(ServerId(0), &cores), Ok(()), "one leader is correct");
        assert_broken(properties.check(ServerId(1), &cores), "Election Safety");
    }

    #[test]
    fn leader_append_only() {
        let mut properties = Properties::new(3);
        let longer = [leader(0, 2, &[(1, "a"), (1, "b")])];
        assert_eq!(properties.check(ServerId(0), &longer), Ok(()), "any log is correct at first");
        let shorter = [leader(0, 2, &[(1, "a")])];
        assert_broken(properties.check(ServerId(0), &shorter), "Leader Append-Only");
    }

    #[test]
    fn log_matching() {
        let cores = [follower(0, 2, &[(1, "a"), (2, "c")]), follower(1, 2, &[(1, "b"), (2, "c")])];
        assert_broken(Properties::new(3).check(ServerId(0), &cores), "Log Matching");
    }

    #[test]
    fn leader_completeness() {
        let mut single = Core::new(ServerId(0), 1);
        let _ = single.election_timeout();
        let _ = single.propose(Bytes::from("a"));
        let cores = [single, leader(1, 3, &[(2, "b")])];
        assert_broken(Properties::new(3).check(ServerId(0), &cores), "Leader Completeness");
    }

    #[test]
    fn state_machine_safety() {
        let mut properties = Properties::new(3);
        let apply = |command| ApplyMsg::Command { index: Index(1), term: Term(1), command: Bytes::from(command) };
        assert_eq!(properties.applied(ServerId(0), apply("a")), Ok(()), "any first command is correct");
        assert_eq!(properties.applied(ServerId(1), apply("a")), Ok(()), "the same command is correct");
        assert_broken(properties.applied(ServerId(2), apply("b")), "State Machine Safety");
    }

    #[test]
    fn order() {
        let mut properties = Properties::new(3);
        let apply = |index| ApplyMsg::Command { index: Index(index), term: Term(1), command: Bytes::from("a") };
        let machine = |index| labgob::encode(&(Index(index), 7_u64));
        let install = |index| ApplyMsg::Snapshot { index: Index(index), term: Term(1), snapshot: machine(index) };
        assert_eq!(properties.applied(ServerId(0), apply(1)), Ok(()), "1 comes first");
        assert_broken(properties.applied(ServerId(0), apply(3)), "Order");
        assert_eq!(properties.applied(ServerId(0), install(5)), Ok(()), "a snapshot may be ahead");
        assert_broken(properties.applied(ServerId(0), apply(5)), "Order");
        assert_broken(properties.applied(ServerId(0), install(5)), "Order");
        assert_eq!(properties.applied(ServerId(0), apply(6)), Ok(()), "6 comes after 5");
    }

    #[test]
    fn stale_read() {
        assert_eq!(Properties::check_read(Index(2), Index(2)), Ok(()), "the read sees every committed entry");
        assert_broken(Properties::check_read(Index(2), Index(3)), "Stale Read");
    }

    fn assert_broken(result: Result<(), String>, property: &str) {
        let broken = result.expect_err("a violation of the property");
        assert!(broken.starts_with(property), "{property} is broken, not: {broken}");
    }

    fn follower(me: usize, term: u64, log: &[(u64, &'static str)]) -> Core {
        let entry = |&(term, command)| Entry { term: Term(term), command: Bytes::from(command) };
        let hard_state = HardState { term: Term(term), voted_for: None };
        let log = Log::new(log.iter().map(entry).collect());
        Core::restore(ServerId(me), 3, Saved { hard_state, log, ..Saved::default() })
    }

    fn leader(me: usize, term: u64, log: &[(u64, &'static str)]) -> Core {
        let mut core = follower(me, term - 1, log);
        let _ = core.election_timeout();
        let reply = RequestVoteReply { term: Term(term), vote_granted: true };
        let _ = core.handle_request_vote_reply(ServerId(2), Term(term), reply);
        core
    }
}

//! The history of an execution, as far as the five properties of Figure 3 need it, and the properties themselves.

use raft::core::{Core, Entry, Log};
use raft::rawnode::ReadState;
use raftapi::{Index, ServerId, Term};

/// The five properties of Figure 3, and the requirement of section 8 for reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    ElectionSafety,
    LeaderAppendOnly,
    LogMatching,
    LeaderCompleteness,
    StateMachineSafety,
    ReadsSeeAll,
}

/// Observations so far, on all servers.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct History {
    /// The leader of each term, ordered by term.
    leaders: Vec<(Term, ServerId)>,
    /// For each index from 1 on: the committed entry, and the term in which a server first considered it committed.
    committed: Vec<(Entry, Term)>,
    /// For each index from 1 on: the entry that a server has applied.
    applied: Vec<Entry>,
    /// For each pending read: its server, its number, and the number of entries committed when it began.
    reads: Vec<(ServerId, u64, Index)>,
    /// The first rules that were broken.
    pub(crate) broken: Vec<Rule>,
}

impl History {
    /// Returns whether an entry was committed in a later term than the one in which it was created.
    pub(crate) fn has_committed_an_earlier_term(&self) -> bool {
        self.committed.iter().any(|(entry, term)| entry.term < *term)
    }

    /// Returns whether every step that breaks a rule after `other` also breaks it after this history.
    pub(crate) fn covers(&self, other: &History) -> bool {
        let same_commits = |(one, other): (&(Entry, Term), &(Entry, Term))| one.0 == other.0 && one.1 <= other.1;
        other.leaders.iter().all(|leader| self.leaders.contains(leader))
            && other.committed.len() <= self.committed.len()
            && self.committed.iter().zip(&other.committed).all(same_commits)
            && self.applied.starts_with(&other.applied)
            && self.reads == other.reads
            && self.broken == other.broken
    }

    /// Records that a rule is broken.
    pub(crate) fn break_rule(&mut self, rule: Rule) {
        if !self.broken.contains(&rule) {
            self.broken.push(rule);
        }
    }

    /// "At most one leader can be elected in a given term" (5.2).
    pub(crate) fn record_leader(&mut self, core: &Core) {
        if !core.is_leader() {
            return;
        }
        let (term, me) = (core.current_term(), core.me());
        match self.leaders.binary_search_by_key(&term, |(term, _)| *term) {
            Ok(place) if self.leaders[place].1 != me => self.break_rule(Rule::ElectionSafety),
            Ok(_) => {}
            Err(place) => self.leaders.insert(place, (term, me)),
        }
    }

    /// Records that `core` considers everything up to `commit` committed.
    pub(crate) fn record_commits(&mut self, core: &Core, commit: Index) {
        for index in (core.log().base_index().next().0..=commit.0).map(Index) {
            let entry = core.log().get(index).expect("a committed entry is in the log").clone();
            match self.committed.get(index.0 as usize - 1) {
                Some((first, _)) if *first != entry => self.break_rule(Rule::StateMachineSafety),
                Some(_) => {}
                None => self.committed.push((entry, core.current_term())),
            }
        }
    }

    /// "If a server has applied a log entry at a given index to its state machine, no other server will ever apply a
    /// different log entry for the same index" (5.4.3).
    pub(crate) fn record_applied(&mut self, index: Index, entry: &Entry) {
        match self.applied.get(index.0 as usize - 1) {
            Some(first) if first != entry => self.break_rule(Rule::StateMachineSafety),
            Some(_) => {}
            None => self.applied.push(entry.clone()),
        }
    }

    /// Records the beginning of a read. It must see all entries that are committed now, on any server.
    pub(crate) fn begin_read(&mut self, by: ServerId, number: u64) {
        self.reads.push((by, number, Index(self.committed.len() as u64)));
    }

    /// Forgets the pending reads of the server `by`.
    pub(crate) fn forget_reads(&mut self, by: ServerId) {
        self.reads.retain(|(server, _, _)| *server != by);
    }

    /// "Linearizable semantics: ... each read should reflect the most recent committed state" (8).
    pub(crate) fn settle_read(&mut self, by: ServerId, read: ReadState) {
        let place = self.reads.iter().position(|&(server, number, _)| (server, number) == (by, read.context));
        let (_, _, committed) = self.reads.remove(place.expect("the read has begun"));
        if read.index.is_some_and(|index| index < committed) {
            self.break_rule(Rule::ReadsSeeAll);
        }
    }

    /// "If a log entry is committed in a given term, then that entry will be present in the logs of the leaders for all
    /// higher-numbered terms" (5.4).
    pub(crate) fn leader_completeness(&self, core: &Core) -> bool {
        !core.is_leader()
            || (1..).map(Index).zip(&self.committed).all(|(index, (entry, term))| {
                *term >= core.current_term() || index <= core.log().base_index() || core.log().get(index) == Some(entry)
            })
    }
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through
/// the given index" (5.3).
pub(crate) fn log_matching(one: &Log, other: &Log) -> bool {
    let base = one.base_index().max(other.base_index());
    let mut index = one.last_index().min(other.last_index());
    while index > base && one.term(index) != other.term(index) {
        index = index.prev();
    }
    index <= base || one.entries(base.next(), index) == other.entries(base.next(), index)
}

/// "A leader never overwrites or deletes entries in its log; it only appends new entries" (5.3).
pub(crate) fn leader_append_only(before: &Core, after: &Core) -> bool {
    let leads_on = before.is_leader() && after.is_leader() && before.current_term() == after.current_term();
    let (base, last) = (after.log().base_index(), before.log().last_index());
    !leads_on
        || last <= after.log().last_index()
            && (last <= base || before.log().entries(base.next(), last) == after.log().entries(base.next(), last))
}

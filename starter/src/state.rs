//! The state of a server: Figure 2, "State". All of it is behind one lock. The setters are given, because each of them
//! also reports its change (`raftapi::report`). The timeline and the log of a run consist of these reports. A setter
//! neither saves nor sends; its caller does.
//!
//! `Index`, `Term` and `ServerId` are types around a number. `Index(7).next()` is `Index(8)`, `prev()` goes back,
//! `Term` has `next()` too, and `.0` is the number.

use std::collections::BTreeSet;

use labstd::rng::{self, RngExt};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Role, ServerId, Term, report, unwritten};

use crate::log::Log;

/// The state of a server.
pub(crate) struct State {
    // Persistent state on all servers: saved before another server can learn of a change (part 3C).
    /// The highest term that this server has seen.
    pub(crate) current_term: Term,
    /// The candidate that has this server's vote in that term.
    pub(crate) voted_for: Option<ServerId>,
    /// The log; its first entry has index 1.
    pub(crate) log: Log,

    // Volatile state on all servers.
    /// The highest index known to be committed. Set it with `Server::commit_up_to`.
    pub(crate) commit_index: Index,
    /// The highest index that was handed to the applier.
    pub(crate) last_applied: Index,

    // Volatile state on leaders, initialized after each election; one element per server.
    /// The index of the next entry to send to that server.
    pub(crate) next_index: Vec<Index>,
    /// The highest index at which that server's log is known to match.
    pub(crate) match_index: Vec<Index>,

    // State that Figure 2 does not list but needs.
    /// The server's role. Set it with `become_role`.
    pub(crate) role: Role,
    /// As candidate: the servers that voted for this server, itself included. It is a set, so that no vote counts
    /// twice.
    pub(crate) votes: BTreeSet<ServerId>,
    /// As follower or candidate: the time at which the election timer fires.
    pub(crate) election_deadline: Instant,
    /// As leader: the time of the next heartbeat.
    pub(crate) next_heartbeat: Instant,
    /// This server's own random stream. It follows from the seed of the run, so a run can be repeated.
    pub(crate) rng: rng::Stream,
    /// Whether `kill` was called.
    pub(crate) killed: bool,
}

impl State {
    /// Builds the state of a new server.
    pub(crate) fn new() -> State {
        State {
            current_term: Term::ZERO,
            voted_for: None,
            log: Log::new(),
            commit_index: Index::ZERO,
            last_applied: Index::ZERO,
            next_index: Vec::new(),
            match_index: Vec::new(),
            role: Role::Follower,
            votes: BTreeSet::new(),
            election_deadline: Instant::now(),
            next_heartbeat: Instant::now(),
            rng: rng::local("election"),
            killed: false,
        }
    }

    /// Reports the state with which this server starts. Part 3D: change the pair to the index and term of the last
    /// entry that the saved snapshot covers, and report the entries after it.
    pub(crate) fn report_restored(&self) {
        report::restored(self.current_term, self.voted_for, (Index::ZERO, Term::ZERO));
        let first = Index(1);
        report::appended(first, self.log.entries_from(first).iter().map(|entry| entry.term));
    }

    /// Changes the role to `role` and the term to `term`, which must not be lower than the current one. A new term
    /// clears the vote.
    pub(crate) fn become_role(&mut self, role: Role, term: Term) {
        assert!(
            term >= self.current_term,
            "terms never decrease (section 5.1): {term} cannot follow {}",
            self.current_term
        );
        if (role, term) == (self.role, self.current_term) {
            return;
        }
        // A leader's election deadline is not updated, so it is long past when the leader steps down.
        if self.role == Role::Leader && role != Role::Leader {
            self.reset_election_timer();
        }
        if term > self.current_term {
            self.voted_for = None;
        }
        self.current_term = term;
        self.role = role;
        report::role(role, term);
    }

    /// Gives this server's vote of the current term to `candidate`, which may be this server.
    pub(crate) fn vote_for(&mut self, candidate: ServerId) {
        if self.voted_for != Some(candidate) {
            report::vote(self.current_term, candidate);
        }
        self.voted_for = Some(candidate);
    }

    /// Restarts the election timer. Figure 2 names the only three occasions: this server received an AppendEntries from
    /// the *current* leader, it *granted* a vote, or it started an election. Refusing a vote is not one of them.
    pub(crate) fn reset_election_timer(&mut self) {
        self.election_deadline = Instant::now() + self.election_timeout();
    }

    /// Part 3B. Returns the entries that are committed and not applied yet, in log order, as messages for the service.
    /// They count as applied from now on, because the applier delivers all of them.
    ///
    /// Figure 2, All Servers: "If commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state
    /// machine".
    ///
    /// - Return one `ApplyMsg::Command` for each index from `last_applied + 1` to `commit_index`.
    /// - Part 3D: if a leader's snapshot is installed and not delivered yet, return it first, as `ApplyMsg::Snapshot`.
    pub(crate) fn take_committed(&mut self) -> Vec<ApplyMsg> {
        unwritten(
            "State::take_committed: return the entries that are committed and not applied yet, as messages for the service",
            "Figure 2, All Servers: \"If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to \
             state machine\" (section 5.3)",
        )
    }
}

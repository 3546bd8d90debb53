//! Figure 2, "State": what a server knows, all of it behind one lock. The setters are given, because each of them also
//! reports what it changes (`raftapi::report`): the picture and the log of a run are made of these reports. They
//! neither save nor send; that is for whoever calls them.
//!
//! `Index`, `Term` and `ServerId` are numbers with a meaning: `Index(7).next()` is `Index(8)`, `prev()` goes back, `Term` has
//! `next()` too, and `.0` is the number.

use std::collections::BTreeSet;

use labstd::rng::{self, RngExt};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Role, ServerId, Term, report, unwritten};

use crate::log::Log;

pub(crate) struct State {
    // Persistent state on all servers: saved before anybody can hear of a change (part 3C).
    /// The latest term this server has seen.
    pub(crate) current_term: Term,
    /// Who has this server's vote in that term.
    pub(crate) voted_for: Option<ServerId>,
    /// The entries; the first has index 1.
    pub(crate) log: Log,

    // Volatile state on all servers.
    /// The highest index known to be committed. Set it with `Server::commit`.
    pub(crate) commit_index: Index,
    /// The highest index that was handed out to be applied.
    pub(crate) last_applied: Index,

    // Volatile state on leaders, begun anew with each election; one element a server.
    /// The next index to send to it.
    pub(crate) next_index: Vec<Index>,
    /// The highest index known to be in its log.
    pub(crate) match_index: Vec<Index>,

    // What Figure 2 says between the lines.
    /// Set it with `become_role`.
    pub(crate) role: Role,
    /// As candidate: who votes for this server, itself included. A set, so that nobody counts twice.
    pub(crate) votes: BTreeSet<ServerId>,
    /// As follower or candidate: when patience ends.
    pub(crate) election_deadline: Instant,
    /// As leader: when the others have to hear of it again.
    pub(crate) next_heartbeat: Instant,
    /// This server's own source of chance. It follows from the seed of the run, so a run can be repeated.
    pub(crate) rng: rng::Stream,
    /// Somebody has called `kill`.
    pub(crate) killed: bool,
}

impl State {
    /// A server that has seen nothing yet.
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

    /// Tells the record of the run what this server begins with. In part 3D the pair is the last entry that the saved
    /// snapshot covers, and the entries are those behind it.
    pub(crate) fn report_restored(&self) {
        report::restored(self.current_term, self.voted_for, (Index::ZERO, Term::ZERO));
        let first = Index(1);
        report::appended(first, self.log.entries_from(first).iter().map(|entry| entry.term));
    }

    /// Takes the role `role` in `term`, which is this term or a later one. In a later one this server has not voted.
    pub(crate) fn become_role(&mut self, role: Role, term: Term) {
        assert!(term >= self.current_term, "terms only grow (section 5.1): {term} comes after {}", self.current_term);
        if (role, term) == (self.role, self.current_term) {
            return;
        }
        // While a server leads, its deadline stands still and is soon long past.
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

    /// Patience begins anew. Figure 2 names the only occasions: an AppendEntries from the *current* leader has come, a
    /// vote was *granted*, an election was started. A request for a vote that is refused is none.
    pub(crate) fn reset_election_timer(&mut self) {
        self.election_deadline = Instant::now() + self.election_timeout();
    }

    /// Part 3B. What is committed and not applied yet, in log order, as messages for the service; it counts as applied
    /// from now on, because the applier delivers whatever this returns.
    ///
    /// Figure 2, All Servers: "If commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state
    /// machine".
    ///
    /// - One `ApplyMsg::Command` for each index from `last_applied + 1` to `commit_index`.
    /// - In part 3D, a leader's snapshot that has been installed and not delivered yet goes first, as
    ///   `ApplyMsg::Snapshot`.
    pub(crate) fn take_committed(&mut self) -> Vec<ApplyMsg> {
        unwritten(
            "State::take_committed: the entries that are committed and not applied yet, as messages for the service",
            "Figure 2, All Servers: \"If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to \
             state machine\" (section 5.3)",
        )
    }
}

//! Checks of the whole cluster that scenarios call.

use labstd::rng::RngExt;
use labstd::thread;
use labstd::time::Duration;
use raftapi::{Index, ServerId, Term};
use record::{CheckStep, EventKind};

use super::Cluster;
use crate::applied::DeliveryError;
use crate::command::Command;
use crate::violation::Violation;
use diagnosis::Rule;

/// A check in progress; the record gets its outcome.
pub(super) struct Check {
    number: u64,
}

impl Check {
    fn emit(&self, step: CheckStep, text: impl Into<String>) {
        record::emit(EventKind::Check { check: self.number, step, text: text.into() });
    }

    pub(super) fn passed(self, text: impl Into<String>) {
        self.emit(CheckStep::Passed, text);
    }

    pub(super) fn neutral(self, text: impl Into<String>) {
        self.emit(CheckStep::Neutral, text);
    }

    /// Fails the run: a safety property is broken.
    pub(super) fn fail_safety(self, likely: &[Rule], text: String) -> ! {
        self.emit(CheckStep::Failed, text.clone());
        Violation::safety(likely, text)
    }

    /// Fails the run: something did not happen in time.
    pub(super) fn fail_limit(self, likely: &[Rule], text: String) -> ! {
        self.emit(CheckStep::Failed, text.clone());
        Violation::limit(likely, text)
    }
}

impl Cluster {
    /// Begins a check; `what` describes the expected state.
    pub(super) fn check(&self, what: impl Into<String>) -> Check {
        let check = Check { number: self.next_check() };
        check.emit(CheckStep::Begun, what);
        check
    }

    /// Records that `server` leads in `term`. Fails the run if another server ever led in that term (Election Safety,
    /// Figure 3 of the paper).
    pub(super) fn record_leader(&self, server: ServerId, term: Term) {
        let first = *self.0.leaders.lock().entry(term).or_insert(server);
        if first != server {
            let text = format!(
                "2 servers lead in term {term}: {first} and {server} were both elected in it, so at least one server \
                 voted for both"
            );
            let likely = [Rule::OneVotePerTerm, Rule::SaveVote, Rule::MajorityOfVotes];
            let DeliveryError { text, likely } = self.with_suspicion(DeliveryError::new(&likely, text));
            self.check("one leader a term").fail_safety(&likely, text);
        }
    }

    /// Returns the leader among the connected servers, as soon as there is one. If several servers lead, it returns the
    /// one with the highest term.
    ///
    /// Polls every 450 to 549 ms, ten times. Fails the run if no server leads.
    pub fn check_one_leader(&self) -> ServerId {
        const POLLS: usize = 10;
        let check = self.check("one leader");
        let mut terms = Vec::new();
        for _ in 0..POLLS {
            let between = self.draw(|rng| rng.random_range(450..550));
            thread::sleep(Duration::from_millis(between));
            let connected = self.servers().filter(|&server| self.is_connected(server));
            terms.clear();
            let leaders = connected.filter_map(|server| {
                let (term, leads) = self.state(server)?;
                terms.push(term.to_string());
                leads.then_some((term, server))
            });
            if let Some((term, leader)) = leaders.max() {
                check.passed(format!("{leader} leads in term {term}"));
                return leader;
            }
        }
        let likely = [Rule::CampaignOnTimeout, Rule::GrantResetsTimer, Rule::OnlyGrantResetsTimer];
        let text = format!(
            "no leader after {POLLS} looks, among the connected servers {}; their terms are {}",
            self.connected(),
            terms.join(", ")
        );
        check.fail_limit(&likely, text)
    }

    /// Returns the term of all connected servers; `None` if no server is connected. Fails the run if their terms
    /// differ.
    pub fn check_terms(&self) -> Option<Term> {
        let check = self.check("one term");
        let terms: Vec<(ServerId, Term)> = self
            .servers()
            .filter(|&server| self.is_connected(server))
            .filter_map(|server| Some((server, self.state(server)?.0)))
            .collect();
        let Some(&(_, first)) = terms.first() else {
            check.neutral("no server is connected");
            return None;
        };
        if terms.iter().any(|&(_, term)| term != first) {
            let seen: Vec<String> = terms.iter().map(|(server, term)| format!("{server} is in term {term}")).collect();
            check.fail_limit(
                &[Rule::StepDown, Rule::GrantResetsTimer],
                format!("servers disagree on the term, though all of them can communicate: {}", seen.join(", ")),
            );
        }
        check.passed(format!("all are in term {first}"));
        Some(first)
    }

    /// Fails the run if a connected server believes that it leads. Skipped after the [fault
    /// cutoff](crate::fault_cutoff), because the faults that prevent a leader may have been removed.
    pub fn check_no_leader(&self) {
        let check = self.check("no leader");
        if self.0.hosts.faults_ended() {
            return check.neutral("faults have ended, so a majority may be able to communicate");
        }
        let leader = self
            .servers()
            .filter(|&server| self.is_connected(server))
            .find(|&server| self.state(server).is_some_and(|(_, leads)| leads));
        if let Some(leader) = leader {
            let connected = self.connected();
            let text = format!("{leader} leads, though only {connected} can communicate, and they are no majority");
            check.fail_safety(&[Rule::MajorityOfVotes, Rule::DropStaleReplies], text);
        }
        check.passed("no server leads");
    }

    /// Fails the run if any server has applied `index`. Skipped after the [fault cutoff](crate::fault_cutoff), because
    /// the faults that prevent the commit may have been removed.
    pub fn check_not_committed(&self, index: Index) {
        let check = self.check(format!("nothing is committed at index {index}"));
        if self.0.hosts.faults_ended() {
            return check.neutral("faults have ended, so a majority may be able to communicate");
        }
        let (servers, command) = self.n_committed(index);
        if let Some(command) = command {
            let text = format!(
                "{command} is committed at index {index} on {} (applied by {servers} servers), before a majority had \
                 it",
                self.appliers(index)
            );
            check.fail_safety(&[Rule::CommitMajority, Rule::CommitLastNewEntry], text);
        }
        check.passed("no server has applied it");
    }

    /// Waits until at least `servers` servers have applied `index`, and returns the command. Returns `None` if some
    /// server leaves `term` meanwhile. Fails the run after about 30 s.
    pub fn wait(&self, index: Index, servers: usize, term: Option<Term>) -> Option<Command> {
        const POLLS: u32 = 30;
        const LONGEST: Duration = Duration::from_secs(1);
        let mut between = Duration::from_millis(10);
        for _ in 0..POLLS {
            if self.n_committed(index).0 >= servers {
                break;
            }
            thread::sleep(between);
            if between < LONGEST {
                between *= 2;
            }
            if term.is_some_and(|term| self.any_term_is_above(term)) {
                return None;
            }
        }
        match self.n_committed(index) {
            (count, Some(command)) if count >= servers => Some(command),
            (count, _) => {
                let check = self.check(format!("index {index} is committed on {servers} servers"));
                let who = self.appliers(index);
                let text = format!("index {index} is applied by only {count} servers ({who}), not by {servers}");
                check.fail_limit(&[Rule::RetryUntilStored, Rule::BackUpNextIndex], text)
            }
        }
    }

    /// Returns whether a running server has a higher term.
    fn any_term_is_above(&self, term: Term) -> bool {
        self.servers().filter_map(|server| self.state(server)).any(|(now, _)| now > term)
    }

    /// Returns the servers that have applied `index`, as a list for a sentence.
    fn appliers(&self, index: Index) -> String {
        list(&self.servers().filter(|&server| self.has_applied(server, index)).collect::<Vec<_>>())
    }

    fn connected(&self) -> String {
        list(&self.servers().filter(|&server| self.is_connected(server)).collect::<Vec<_>>())
    }
}

/// Formats servers as a list for a sentence.
pub(super) fn list(servers: &[ServerId]) -> String {
    if servers.is_empty() {
        return "(none)".to_string();
    }
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

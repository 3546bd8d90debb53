//! State of every server, reconstructed from the events of a record as far as its reports and the network show it. It
//! is the state of Figure 2, at each moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ids::{Index, ServerId, Term};
use record::{Event, EventKind, Fault, Loss, Peer, Role};

use super::report::{MOMENT, is_report};

/// State of all servers, and the calls between them.
#[derive(Debug, Default)]
pub(crate) struct ReplayState {
    pub(crate) servers: Vec<ServerState>,
    /// Whether the run is a simulation, where simultaneous events have the same time.
    pub(crate) simulated: bool,
    /// Whether a key/value service runs on the servers.
    pub(crate) kv: bool,
    /// Number of events so far; it orders the events.
    pub(crate) seq: u64,
    /// Calls in flight.
    pub(crate) calls: BTreeMap<u64, Call>,
    /// The server that reported leadership in each term.
    pub(crate) leaders: BTreeMap<Term, ServerId>,
    /// Last term and last index of a candidate's log when it began to request votes.
    pub(crate) candidacies: BTreeMap<(Term, ServerId), (Term, Index)>,
    /// The voters of each candidate in each term.
    pub(crate) votes: BTreeMap<(Term, ServerId), BTreeSet<ServerId>>,
    /// Whether some service has reported an entry that it applied.
    pub(crate) reports_applied: bool,
    /// Whether some server has reported a vote for another server.
    pub(crate) reports_votes: bool,
    /// Whether some server has reported a vote at all.
    pub(crate) reports_self_votes: bool,
}

/// Known state of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerState {
    pub(crate) running: bool,
    /// Whether it was restarted and has not yet reported its restored state.
    awaits_restore: bool,
    /// Whether its reports contradict each other or are incomplete. Then its log is not used as evidence.
    pub(crate) inconsistent: bool,
    pub(crate) role: Option<Role>,
    pub(crate) term: Tracked<Term>,
    pub(crate) vote: Option<Vote>,
    pub(crate) log: Log,
    pub(crate) commit: Index,
    /// Sequence number of the event with which it last saved something.
    pub(crate) saved: u64,
    /// The last reply that it received in a later term than the term of the request.
    stale_reply: Option<StaleReply>,
}

/// A reply to a request that was sent in an earlier term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaleReply {
    pub(crate) from: ServerId,
    pub(crate) sent_in: Term,
    /// Time of the reply, in nanoseconds.
    at: u64,
}

/// A granted vote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vote {
    pub(crate) term: Term,
    pub(crate) to: ServerId,
    /// Time of the vote, in nanoseconds.
    pub(crate) at: u64,
    /// Sequence number of the event.
    pub(crate) seq: u64,
    /// Whether another server has been told of the vote.
    pub(crate) known_to_others: bool,
}

/// A value, and whether another server has been told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tracked<T> {
    pub(crate) value: T,
    pub(crate) at: u64,
    pub(crate) seq: u64,
    pub(crate) known_to_others: bool,
}

/// An entry, as reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) at: u64,
    pub(crate) seq: u64,
    pub(crate) known_to_others: bool,
}

/// A log that starts after a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) base: Index,
    base_term: Term,
    entries: VecDeque<Entry>,
}

/// A call in flight.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) from: Option<ServerId>,
    pub(crate) to: Option<ServerId>,
    pub(crate) method: String,
    /// Term of the caller when it sent the call, as far as reported.
    term: Term,
    /// Time when the call was sent, in nanoseconds.
    pub(crate) sent: u64,
    /// Sequence number and time of the event with which the call reached its handler.
    pub(crate) delivered: Option<(u64, u64)>,
}

impl Log {
    pub(crate) fn last(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64)
    }

    pub(crate) fn last_term(&self) -> Term {
        self.entries.back().map_or(self.base_term, |entry| entry.term)
    }

    /// Returns the entry at `index`, if the log contains it after the snapshot.
    pub(crate) fn entry(&self, index: Index) -> Option<&Entry> {
        let position = index.0.checked_sub(self.base.0 + 1)?;
        self.entries.get(position as usize)
    }

    /// Returns the term of the entry at `index`; the last entry that the snapshot covers is included.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base { Some(self.base_term) } else { self.entry(index).map(|entry| entry.term) }
    }

    /// Returns the entries after the snapshot, with their indexes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Index, &Entry)> {
        (self.base.0 + 1..).map(Index).zip(&self.entries)
    }

    /// Marks the entries as known to others for which `known` returns true.
    pub(crate) fn mark_known_to_others(&mut self, known: impl Fn(Index, &Entry) -> bool) {
        let first = self.base.0 + 1;
        for (index, entry) in (first..).map(Index).zip(&mut self.entries) {
            entry.known_to_others = entry.known_to_others || known(index, entry);
        }
    }

    fn truncate(&mut self, last: Index) {
        self.entries.truncate(last.0.saturating_sub(self.base.0) as usize);
    }

    fn compact(&mut self, index: Index, term: Term) {
        if index < self.base {
            self.entries.clear();
        } else {
            let covered = (index.0 - self.base.0).min(self.entries.len() as u64);
            self.entries.drain(..covered as usize);
        }
        (self.base, self.base_term) = (index, term);
    }
}

impl ServerState {
    /// Returns whether its log can be used as evidence.
    pub(crate) fn log_known(&self) -> bool {
        self.running && !self.awaits_restore && !self.inconsistent
    }

    /// Returns the stale reply that arrived at this very moment, if there is one.
    pub(crate) fn stale_reply(&self, now: u64) -> Option<StaleReply> {
        self.stale_reply.filter(|answer| now < answer.at + MOMENT)
    }

    /// Returns whether it leads in `term`, as far as reported.
    pub(crate) fn leads_in(&self, term: Term) -> bool {
        self.role == Some(Role::Leader) && self.term.value == term
    }

    /// Marks everything after the event `delivered` as known to others, because the server has replied to the call that
    /// arrived with that event.
    fn mark_known_since(&mut self, delivered: u64) {
        self.log
            .entries
            .iter_mut()
            .rev()
            .take_while(|entry| entry.seq > delivered)
            .for_each(|entry| entry.known_to_others = true);
        if let Some(vote) = self.vote.as_mut().filter(|vote| vote.seq > delivered) {
            vote.known_to_others = true;
        }
        self.term.known_to_others |= self.term.seq > delivered;
    }

    fn enter_term(&mut self, term: Term, at: u64, seq: u64) {
        if term != self.term.value {
            self.term = Tracked { value: term, at, seq, known_to_others: false };
        }
    }

    /// Applies a report of its Raft.
    fn report(&mut self, event: &Event, seq: u64) {
        let at = event.at;
        if self.awaits_restore && !matches!(event.kind, EventKind::Restored { .. }) {
            // It does not report its restored state.
            self.awaits_restore = false;
            self.inconsistent = true;
        }
        match event.kind {
            EventKind::Restored { term, vote, snapshot_index, snapshot_term } => {
                self.awaits_restore = false;
                self.role = Some(Role::Follower);
                self.term = Tracked { value: term, at, seq, known_to_others: true };
                self.vote = vote.map(|to| Vote { term, to, at, seq, known_to_others: true });
                self.log = Log { base: snapshot_index, base_term: snapshot_term, entries: VecDeque::new() };
                self.commit = snapshot_index;
            }
            EventKind::RoleChanged { role, term } => {
                self.role = Some(role);
                self.enter_term(term, at, seq);
            }
            EventKind::TermChanged { term } => self.enter_term(term, at, seq),
            EventKind::VoteGranted { term, to } => {
                self.enter_term(term, at, seq);
                self.vote = Some(Vote { term, to, at, seq, known_to_others: false });
            }
            EventKind::LogAppended { term, first, last } => {
                if first > self.log.last().next() || first > last || first <= self.log.base {
                    self.inconsistent = true;
                    return;
                }
                for index in (first.0..=last.0).map(Index) {
                    // An entry that is reported again is the same entry.
                    if self.log.entry(index).is_none_or(|known| known.term != term) {
                        self.log.truncate(Index(index.0 - 1));
                        self.log.entries.push_back(Entry { term, at, seq, known_to_others: false });
                    }
                }
            }
            EventKind::LogTruncated { last } => {
                self.inconsistent |= last > self.log.last();
                self.log.truncate(last);
            }
            EventKind::LogCompacted { index, term } => self.log.compact(index, term),
            EventKind::Committed { index } => self.commit = index,
            EventKind::Persisted { .. } => self.saved = seq,
            _ => {}
        }
    }
}

impl ReplayState {
    /// Returns the server that an event is about, and its state.
    pub(crate) fn of(&self, event: &Event) -> Option<(ServerId, &ServerState)> {
        let server = event.server?;
        Some((server, self.servers.get(server.0)?))
    }

    /// Returns the other server that leads in the current term of `server`, if its log is known.
    pub(crate) fn leader_of(&self, server: ServerId) -> Option<(ServerId, &ServerState)> {
        let term = self.servers[server.0].term.value;
        let leader = *self.leaders.get(&term)?;
        let replica = self.servers.get(leader.0)?;
        (leader != server && replica.log_known() && replica.leads_in(term)).then_some((leader, replica))
    }

    /// Returns whether this number of servers is a majority.
    pub(crate) fn is_majority(&self, servers: usize) -> bool {
        2 * servers > self.servers.len()
    }

    /// Applies one event.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.seq += 1;
        let seq = self.seq;
        match &event.kind {
            EventKind::RunBegun { scenario, servers, simulated, .. } => {
                self.servers = (0..*servers).map(|_| ServerState { running: true, ..ServerState::default() }).collect();
                self.simulated = *simulated;
                self.kv = scenario.ends_with("4A") || scenario.ends_with("4B");
            }
            EventKind::RpcSent { call, from, to, method, .. } => {
                let to = if let Peer::Server(to) = to { Some(*to) } else { None };
                if let Some(from) = from.and_then(|from| self.servers.get_mut(from.0))
                    && method.contains("Vote")
                {
                    from.term.known_to_others = true;
                    if let Some(vote) = &mut from.vote {
                        vote.known_to_others = true;
                    }
                }
                let term = from.and_then(|from| self.servers.get(from.0)).map_or(Term::ZERO, |from| from.term.value);
                let method = method.to_string();
                let call_made = Call { from: *from, to, method, term, sent: event.at, delivered: None };
                self.calls.insert(*call, call_made);
            }
            EventKind::RpcDelivered { call } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.delivered = Some((seq, event.at));
                }
            }
            EventKind::RpcReplied { call, .. } | EventKind::RpcLost { call, reason: Loss::ReplyDropped } => {
                if let Some(Call { from, to: Some(to), term, delivered: Some((delivered, _)), .. }) =
                    self.calls.remove(call)
                {
                    if let Some(server) = self.servers.get_mut(to.0) {
                        server.mark_known_since(delivered);
                    }
                    let caller = from.and_then(|from| self.servers.get_mut(from.0));
                    if let Some(caller) = caller.filter(|caller| caller.term.value > term) {
                        caller.stale_reply = Some(StaleReply { from: to, sent_in: term, at: event.at });
                    }
                }
            }
            EventKind::RpcLost { call, .. } => drop(self.calls.remove(call)),
            EventKind::Fault(Fault::Crash(servers)) => {
                self.for_each_server(servers, |server| server.running = false);
            }
            EventKind::Fault(Fault::Restart(servers)) => {
                self.for_each_server(servers, |server| (server.running, server.awaits_restore) = (true, true));
            }
            EventKind::Applied { .. } => self.reports_applied = true,
            _ => self.handle_report(event),
        }
    }

    fn for_each_server(&mut self, servers: &[ServerId], change: impl Fn(&mut ServerState)) {
        for server in servers {
            self.servers.get_mut(server.0).into_iter().for_each(&change);
        }
    }

    fn handle_report(&mut self, event: &Event) {
        let seq = self.seq;
        let Some(id) = event.server else { return };
        let Some(server) = self.servers.get_mut(id.0).filter(|server| server.running) else { return };
        if !is_report(&event.kind) {
            return;
        }
        server.report(event, seq);
        let end = (server.log.last_term(), server.log.last());
        match event.kind {
            EventKind::RoleChanged { role: Role::Leader, term } => drop(self.leaders.entry(term).or_insert(id)),
            EventKind::RoleChanged { role: Role::Candidate, term } => {
                self.candidacies.insert((term, id), end);
            }
            EventKind::VoteGranted { term, to } => {
                self.votes.entry((term, to)).or_default().insert(id);
                self.reports_votes |= to != id;
                self.reports_self_votes = true;
                if to == id {
                    self.candidacies.insert((term, id), end);
                }
            }
            _ => {}
        }
    }
}

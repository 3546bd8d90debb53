//! Log replication: sections 5.3 and 5.4.2 of the paper.

use labstd::sync::Arc;
use labstd::time::{Duration, Instant};
use raftapi::{Index, Role, ServerId, Term, report};

use crate::Mistake;
use crate::log::Entry;
use crate::messages::{AppendEntriesArgs, AppendEntriesReply};
use crate::server::Server;
use crate::state::State;

/// Interval at which an idle leader sends heartbeats. The lab allows tens of them in a second.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// A sent AppendEntries, as far as the leader has to remember it until its reply comes.
#[derive(Clone, Copy)]
struct SentRequest {
    to: ServerId,
    term: Term,
    prev: Index,
    last: Index,
}

/// The leader's rules.
impl Server {
    /// Figure 2, Leaders: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server".
    pub(crate) fn become_leader(self: &Arc<Server>, state: &mut State) {
        state.become_role(Role::Leader);
        if self.makes(Mistake::LeaderTruncatesItsLog) {
            state.truncate(state.commit_index);
        }
        let last = state.log.last_index();
        state.next_index = vec![last.next(); self.peers.len()];
        if !self.makes(Mistake::KeepsMatchIndex) || state.match_index.is_empty() {
            state.match_index = vec![Index::ZERO; self.peers.len()];
        }
        state.sent_index = vec![last; self.peers.len()];
        state.next_heartbeat = Instant::now();
        self.replicate_to_all(state);
    }

    /// Sends the missing entries to each peer: Figure 2, Leaders.
    ///
    /// In-flight entries and snapshots are not sent again before the next heartbeat. A message in between carries only
    /// the commit index.
    pub(crate) fn replicate_to_all(self: &Arc<Server>, state: &mut State) {
        let heartbeat = Instant::now() >= state.next_heartbeat;
        if heartbeat {
            state.next_heartbeat = Instant::now() + HEARTBEAT;
        }
        state.replication_due = false;
        self.save(state);
        let last = state.log.last_index();
        for peer in self.others() {
            let prev = state.next_index[peer.0].prev();
            let new = state.sent_index[peer.0] < last;
            let due = heartbeat && !self.makes(Mistake::SendsEachEntryOnce) || new;
            if self.makes(Mistake::SendsNoHeartbeats) && heartbeat && !new {
                continue;
            }
            state.sent_index[peer.0] = last;
            if prev >= state.log.base() {
                self.send_append_entries(state, peer, prev, due);
            } else if self.makes(Mistake::NeverSendsASnapshot) {
                self.send_append_entries(state, peer, state.log.base(), due);
            } else if heartbeat {
                self.send_snapshot(state, peer);
            }
        }
    }

    fn send_append_entries(self: &Arc<Server>, state: &mut State, to: ServerId, prev: Index, all: bool) {
        let args = AppendEntriesArgs {
            term: state.current_term,
            prev_log_index: prev,
            prev_log_term: state.log.entry(prev).term,
            entries: if all { state.log.entries_after(prev) } else { Vec::new() },
            leader_commit: state.commit_index,
        };
        let sent = SentRequest { to, term: args.term, prev, last: Index(prev.0 + args.entries.len() as u64) };
        if self.makes(Mistake::HoldsItsLockOverAnRpc) {
            let reply = self.peers[to.0].call("Raft.AppendEntries", &args);
            self.handle_append_entries_reply(state, sent, reply.as_ref());
            return;
        }
        let me = Arc::clone(self);
        self.peers[to.0].call_async("Raft.AppendEntries", &args, move |reply| {
            me.update(|state| me.handle_append_entries_reply(state, sent, reply.as_ref()));
        });
    }

    /// Handles the reply to an AppendEntries; `None` if the network has lost it. The next heartbeat retries a lost one.
    fn handle_append_entries_reply(&self, state: &mut State, sent: SentRequest, reply: Option<&AppendEntriesReply>) {
        let Some(reply) = reply else { return };
        self.check_reply_term(state, reply.term);
        let of_this_term = state.current_term == sent.term || self.makes(Mistake::TreatsOldRepliesAsNew);
        if !of_this_term || state.role != Role::Leader {
            return;
        }
        let peer = sent.to.0;
        if reply.success {
            let matched = match self.mistake {
                Some(Mistake::MatchIndexFromItsOwnLog) => state.log.last_index(),
                Some(Mistake::MatchIndexFromTheFollowersLog) => reply.conflict_index.min(state.log.last_index()),
                _ => sent.last,
            };
            self.advance_match_index(state, sent.to, matched);
        } else if state.next_index[peer] == sent.prev.next() && !self.makes(Mistake::NeverBacksUp) {
            let next = match self.mistake {
                Some(Mistake::BacksUpOneByOne) => sent.prev,
                _ => next_index_after_conflict(state, reply).min(sent.prev),
            };
            state.next_index[peer] = next.max(state.match_index[peer].next());
        }
    }

    /// Notes that the log of `peer` equals the leader's up to `index`.
    pub(crate) fn advance_match_index(&self, state: &mut State, peer: ServerId, index: Index) {
        let peer = peer.0;
        // Replies overtake each other, so a late reply can have a lower index than one before it.
        let matched = state.match_index[peer].max(index);
        state.match_index[peer] = matched;
        if !self.makes(Mistake::NeverAdvancesNextIndex) {
            state.next_index[peer] = state.next_index[peer].max(matched.next());
        }
        self.advance_commit_index(state);
    }

    /// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    fn advance_commit_index(&self, state: &mut State) {
        for n in (state.commit_index.0 + 1..=state.log.last_index().0).rev().map(Index) {
            let replicas = 1 + self.others().filter(|peer| state.match_index[peer.0] >= n).count();
            let of_this_term = state.log.entry(n).term == state.current_term
                || self.makes(Mistake::CommitsAnEntryOfAnOlderTermByCounting);
            let enough = match self.mistake {
                Some(Mistake::CommitsWithoutAMajority) => replicas >= self.peers.len() / 2,
                Some(Mistake::CommitsOnlyWithEveryServer) => replicas == self.peers.len(),
                _ => self.is_majority(replicas),
            };
            if enough && of_this_term {
                self.commit_up_to(state, n);
                // Tell the peers the new commit index.
                state.replication_due = true;
                return;
            }
        }
    }
}

/// The follower's rules.
impl Server {
    /// Figure 2, "AppendEntries RPC".
    pub(crate) fn handle_append_entries(&self, state: &mut State, args: AppendEntriesArgs) -> AppendEntriesReply {
        let ignored = self.ignores_higher_term(state, args.term, Mistake::LeaderIgnoresTheTermOfALeader);
        if !ignored {
            self.adopt_higher_term(state, args.term);
        }
        let term = state.current_term;
        let reject =
            |conflict_term, conflict_index| AppendEntriesReply { term, success: false, conflict_term, conflict_index };
        if args.term < term && self.makes(Mistake::OldLeadersResetItsTimer) {
            self.reset_election_timer(state);
        }
        let old = args.term < term && !self.makes(Mistake::AcceptsEntriesOfAnOlderTerm);
        if ignored || old {
            return reject(None, Index::ZERO);
        }
        if state.role == Role::Candidate && self.makes(Mistake::CandidateIgnoresItsLeader) {
            return reject(None, Index::ZERO);
        }
        self.follow_leader(state);

        let prev = args.prev_log_index;
        if prev > state.log.last_index() && !self.makes(Mistake::IgnoresAGap) {
            return reject(None, state.log.last_index().next());
        }
        // Below the log's base there is no conflict: snapshots cover only committed entries, which all servers share.
        let conflicting = state.log.term_at(prev).filter(|&here| here != args.prev_log_term);
        if let Some(conflicting) = conflicting.filter(|_| !self.makes(Mistake::IgnoresPrevLogTerm)) {
            let (first, _) = state.log.index_range_of(conflicting).expect("the term is in the log");
            return reject(Some(conflicting), first);
        }

        let (last_new, empty) = (Index(prev.0 + args.entries.len() as u64), args.entries.is_empty());
        self.store_entries(state, prev, args.entries);
        let last = state.log.last_index();
        let shared = if self.makes(Mistake::CommitsPastTheLastNewEntry) { last } else { last_new };
        let commit = args.leader_commit.min(shared).min(last);
        if self.makes(Mistake::CommitIndexGoesBack) && commit < state.commit_index {
            state.commit_index = commit.max(state.log.base());
            state.last_applied = state.commit_index.min(state.last_applied);
            report::committed(state.commit_index);
        }
        if !empty || !self.makes(Mistake::IgnoresTheCommitOfAHeartbeat) {
            self.commit_up_to(state, commit);
        }
        // Only a leader with the mistake of that name reads the index.
        AppendEntriesReply { term, success: true, conflict_term: None, conflict_index: last }
    }

    /// Figure 2, AppendEntries, 3 and 4: "If an existing entry conflicts with a new one (same index but different
    /// terms), delete the existing entry and all that follow it. Append any new entries not already in the log."
    fn store_entries(&self, state: &mut State, prev: Index, entries: Vec<Entry>) {
        if self.makes(Mistake::TruncatesOnALateAppendEntries) {
            state.truncate(prev.max(state.log.base()));
        }
        let base = state.log.base();
        let entries = (prev.0 + 1..).map(Index).zip(entries).filter(|(index, _)| *index > base);
        let kept = |index: Index, term| match self.mistake {
            Some(Mistake::AppendsEntriesAgain) => false,
            Some(Mistake::KeepsConflictingEntries) => state.log.term_at(index).is_some(),
            _ => state.log.term_at(index) == Some(term),
        };
        let mut new = entries.skip_while(|(index, entry)| kept(*index, entry.term)).peekable();
        if let Some(&(first, _)) = new.peek() {
            let mut new: Vec<Entry> = new.map(|(_, entry)| entry).collect();
            if self.makes(Mistake::KeepsEntriesAfterAConflict) {
                let last_new = Index(first.0 + new.len() as u64 - 1);
                new.extend(if last_new < state.log.last_index() { state.log.entries_after(last_new) } else { vec![] });
            }
            if !self.makes(Mistake::AppendsEntriesAgain) {
                self.truncate(state, first.prev());
            }
            state.append(new);
        }
    }
}

impl Server {
    /// Figure 2, Candidates: "If AppendEntries RPC received from new leader: convert to follower".
    pub(crate) fn follow_leader(&self, state: &mut State) {
        state.become_role(Role::Follower);
        if !self.makes(Mistake::HeartbeatsDoNotResetItsTimer) {
            self.reset_election_timer(state);
        }
        if self.makes(Mistake::ForgetsItsVoteForALeader) && state.voted_for.take().is_some() {
            state.unsaved = true;
        }
    }

    /// Removes all entries after `last`, which conflict with those of the leader.
    fn truncate(&self, state: &mut State, last: Index) {
        if self.makes(Mistake::RemovedEntriesComeBack) {
            state.remember_removed(last);
        }
        state.truncate(last);
    }

    fn commit_up_to(&self, state: &mut State, index: Index) {
        if index > state.commit_index {
            state.commit_index = index;
            report::committed(index);
            self.to_apply.notify_all();
        }
    }
}

/// Returns the next index to send to a peer whose log does not match. It follows the leader's own last entry of the
/// conflicting term. If the leader has none, it is the first index of that term in the peer's log.
fn next_index_after_conflict(state: &State, reply: &AppendEntriesReply) -> Index {
    let last_of_term = reply.conflict_term.and_then(|term| state.log.index_range_of(term)).map(|(_, last)| last);
    last_of_term.map_or(reply.conflict_index, Index::next)
}

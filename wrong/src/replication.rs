//! Log replication: sections 5.3 and 5.4.2 of the paper.

use labstd::sync::Arc;
use labstd::time::{Duration, Instant};
use raftapi::{Index, Role, ServerId, Term, report};

use crate::Mistake;
use crate::log::Entry;
use crate::messages::{AppendEntriesArgs, AppendEntriesReply};
use crate::server::Server;
use crate::state::State;

/// A leader that has nothing to say says so this often.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// What the leader has to remember of an AppendEntries until its reply comes.
#[derive(Clone, Copy)]
struct Sent {
    to: ServerId,
    term: Term,
    prev: Index,
    last: Index,
}

/// As leader.
impl Server {
    /// Figure 2, Leaders: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server".
    pub(crate) fn start_leading(self: &Arc<Server>, state: &mut State) {
        state.become_role(Role::Leader);
        if self.makes(Mistake::LosesAnEntry) {
            state.truncate(state.commit_index);
        }
        let last = state.log.last_index();
        state.next_index = vec![last.next(); self.peers.len()];
        state.match_index = vec![Index::ZERO; self.peers.len()];
        state.sent_index = vec![last; self.peers.len()];
        state.next_heartbeat = Instant::now();
        self.send_to_all(state);
    }

    /// Sends to each peer what it lacks, if anything: Figure 2, Leaders.
    ///
    /// Entries and snapshots that are under way are not sent again before the next heartbeat. A message in between
    /// carries the commit index alone.
    pub(crate) fn send_to_all(self: &Arc<Server>, state: &mut State) {
        let heartbeat = Instant::now() >= state.next_heartbeat;
        if heartbeat {
            state.next_heartbeat = Instant::now() + HEARTBEAT;
        }
        state.news = false;
        self.save(state);
        let last = state.log.last_index();
        for peer in self.others() {
            let prev = state.next_index[peer.0].prev();
            let due = heartbeat || state.sent_index[peer.0] < last;
            state.sent_index[peer.0] = last;
            if prev >= state.log.base() {
                self.send_entries(state, peer, prev, due);
            } else if heartbeat {
                self.send_snapshot(state, peer);
            }
        }
    }

    fn send_entries(self: &Arc<Server>, state: &mut State, to: ServerId, prev: Index, all: bool) {
        let args = AppendEntriesArgs {
            term: state.current_term,
            prev_log_index: prev,
            prev_log_term: state.log.entry(prev).term,
            entries: if all { state.log.entries_behind(prev) } else { Vec::new() },
            leader_commit: state.commit_index,
        };
        let sent = Sent { to, term: args.term, prev, last: Index(prev.0 + args.entries.len() as u64) };
        if self.makes(Mistake::HoldsItsLockOverAnRpc) {
            let reply = self.peers[to.0].call("Raft.AppendEntries", &args);
            self.on_appended(state, sent, reply.as_ref());
            return;
        }
        let me = Arc::clone(self);
        self.peers[to.0].call_async("Raft.AppendEntries", &args, move |reply| {
            me.change(|state| me.on_appended(state, sent, reply.as_ref()));
        });
    }

    /// A peer has answered an AppendEntries, or the network has lost it; then the next heartbeat tries again.
    fn on_appended(&self, state: &mut State, sent: Sent, reply: Option<&AppendEntriesReply>) {
        let Some(reply) = reply else { return };
        self.heed_reply(state, reply.term);
        let of_this_term = state.current_term == sent.term || self.makes(Mistake::TakesOldRepliesForNew);
        if !of_this_term || state.role != Role::Leader {
            return;
        }
        let peer = sent.to.0;
        if reply.success {
            self.matches(state, sent.to, sent.last);
        } else if state.next_index[peer] == sent.prev.next() {
            let back = where_to_try_next(state, reply).min(sent.prev);
            state.next_index[peer] = back.max(state.match_index[peer].next());
        }
    }

    /// The log of `peer` is the same up to `index`.
    pub(crate) fn matches(&self, state: &mut State, peer: ServerId, index: Index) {
        let peer = peer.0;
        // Replies overtake each other: one that comes late says less than is known.
        let matched = state.match_index[peer].max(index);
        state.match_index[peer] = matched;
        state.next_index[peer] = state.next_index[peer].max(matched.next());
        self.advance_commit_index(state);
    }

    /// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    fn advance_commit_index(&self, state: &mut State) {
        for n in (state.commit_index.0 + 1..=state.log.last_index().0).rev().map(Index) {
            let holders = 1 + self.others().filter(|peer| state.match_index[peer.0] >= n).count();
            let of_this_term = state.log.entry(n).term == state.current_term
                || self.makes(Mistake::CommitsAnEntryOfAnOlderTermByCounting);
            if self.is_majority(holders) && of_this_term {
                self.commit(state, n);
                // The peers want to know.
                state.news = true;
                return;
            }
        }
    }
}

/// As follower.
impl Server {
    /// Figure 2, "AppendEntries RPC".
    pub(crate) fn append_entries(&self, state: &mut State, args: AppendEntriesArgs) -> AppendEntriesReply {
        self.step_down_if_behind(state, args.term);
        let term = state.current_term;
        let refusal =
            |conflict_term, conflict_index| AppendEntriesReply { term, success: false, conflict_term, conflict_index };
        if args.term < term {
            return refusal(None, Index::ZERO);
        }
        if state.role == Role::Candidate && self.makes(Mistake::CandidateIgnoresItsLeader) {
            return refusal(None, Index::ZERO);
        }
        state.become_role(Role::Follower);
        state.reset_election_timer();

        let prev = args.prev_log_index;
        if prev > state.log.last_index() {
            return refusal(None, state.log.last_index().next());
        }
        // What a snapshot covers is committed, and the same everywhere.
        if let Some(theirs) = state.log.term_at(prev).filter(|&theirs| theirs != args.prev_log_term) {
            let (first, _) = state.log.span_of(theirs).expect("it is in the log");
            return refusal(Some(theirs), first);
        }

        let last_new = Index(prev.0 + args.entries.len() as u64);
        if self.makes(Mistake::TruncatesOnALateAppendEntries) {
            state.truncate(prev.max(state.log.base()));
        }
        let base = state.log.base();
        let entries = (prev.0 + 1..).map(Index).zip(args.entries).filter(|(index, _)| *index > base);
        let mut new = entries.skip_while(|(index, entry)| state.log.term_at(*index) == Some(entry.term)).peekable();
        if let Some(&(first, _)) = new.peek() {
            let new: Vec<Entry> = new.map(|(_, entry)| entry).collect();
            state.truncate(first.prev());
            state.append(new);
        }
        let shared = if self.makes(Mistake::CommitsPastTheLastNewEntry) { state.log.last_index() } else { last_new };
        self.commit(state, args.leader_commit.min(shared));
        AppendEntriesReply { term, success: true, conflict_term: None, conflict_index: Index::ZERO }
    }
}

impl Server {
    fn commit(&self, state: &mut State, index: Index) {
        if index > state.commit_index {
            state.commit_index = index;
            report::committed(index);
            self.to_apply.notify_all();
        }
    }
}

/// From which index to send next to a peer whose log does not match: behind the leader's own last entry of the term in
/// the way, or, if it has none, from where that term begins.
fn where_to_try_next(state: &State, reply: &AppendEntriesReply) -> Index {
    let last_of_term = reply.conflict_term.and_then(|term| state.log.span_of(term)).map(|(_, last)| last);
    last_of_term.map_or(reply.conflict_index, Index::next)
}

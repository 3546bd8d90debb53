//! A plain Raft after Figure 2 of the paper: one lock over one struct. Each `self.makes(...)` is a place where it can be
//! told to be wrong; read without them, it is right.

use std::collections::BTreeSet;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::rng::{self, RngExt};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, ServerId, Started, Term};
use record::{EventKind, Role};
use serde::{Deserialize, Serialize};

use crate::Mistake;

/// How often the ticker looks whether something is due.
const LOOK: Duration = Duration::from_millis(10);
/// A leader that has nothing to say says so this often.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// An election timeout is at least this long, so that two heartbeats may be late, ...
const ELECTION_MS_MIN: u64 = 300;
/// ... and shorter than this.
const ELECTION_MS_MAX: u64 = 600;

/// A Raft server.
pub struct Raft(Arc<Server>);

/// What the threads and the handlers of a server share.
struct Server {
    me: ServerId,
    peers: Vec<ClientEnd>,
    persister: Arc<Persister>,
    mistake: Option<Mistake>,
    state: Mutex<State>,
    /// Signalled when the commit index grows, and at the end.
    to_apply: Condvar,
}

/// Figure 2, "State", and what the rules for servers need beside it.
struct State {
    current_term: Term,
    voted_for: Option<ServerId>,
    /// The entry of index i is `log[i]`; the one of index 0 is there so that every real one has a predecessor.
    log: Vec<Entry>,
    commit_index: Index,
    last_applied: Index,

    role: Role,
    /// As candidate: who votes for this server.
    votes: BTreeSet<ServerId>,
    /// As leader, for each peer: the next index to send, and the highest known to be in its log.
    next_index: Vec<Index>,
    match_index: Vec<Index>,
    /// As leader: there is something that the peers have not been sent.
    news: bool,
    /// As leader: when it has to be heard of again.
    next_heartbeat: Instant,
    /// Otherwise: when it loses its patience.
    election_deadline: Instant,
    rng: rng::Stream,
    killed: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    term: Term,
    command: Bytes,
}

#[derive(Serialize, Deserialize)]
struct RequestVoteArgs {
    term: Term,
    candidate_id: ServerId,
    last_log_index: Index,
    last_log_term: Term,
}

#[derive(Serialize, Deserialize)]
struct RequestVoteReply {
    term: Term,
    vote_granted: bool,
}

#[derive(Serialize, Deserialize)]
struct AppendEntriesArgs {
    term: Term,
    prev_log_index: Index,
    prev_log_term: Term,
    entries: Vec<Entry>,
    leader_commit: Index,
}

#[derive(Serialize, Deserialize)]
struct AppendEntriesReply {
    term: Term,
    success: bool,
    /// If the logs do not match: the term of the entry in the way, if there is one, ...
    conflict_term: Option<Term>,
    /// ... and the first index of that term, or else the first index without an entry.
    conflict_index: Index,
}

/// What the leader has to remember of an AppendEntries until its reply comes.
#[derive(Clone, Copy)]
struct Sent {
    to: ServerId,
    term: Term,
    prev: Index,
    last: Index,
}

impl Raft {
    /// A maker of servers that make `mistake`, or none.
    pub fn making(
        mistake: Option<Mistake>,
    ) -> impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> Raft + Send + Sync + 'static {
        move |peers, me, persister, apply_ch| Raft::start_server(peers, me, persister, apply_ch, mistake)
    }

    fn start_server(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
        mistake: Option<Mistake>,
    ) -> Raft {
        let mut state = State {
            current_term: Term::ZERO,
            voted_for: None,
            log: vec![Entry { term: Term::ZERO, command: Bytes::new() }],
            commit_index: Index::ZERO,
            last_applied: Index::ZERO,
            role: Role::Follower,
            votes: BTreeSet::new(),
            next_index: Vec::new(),
            match_index: Vec::new(),
            news: false,
            next_heartbeat: Instant::now(),
            election_deadline: Instant::now(),
            rng: rng::local("election"),
            killed: false,
        };
        state.reset_election_timer();
        let state = Mutex::new(state);
        let server = Arc::new(Server { me, peers, persister, mistake, state, to_apply: Condvar::new() });
        let (ticking, applying) = (Arc::clone(&server), Arc::clone(&server));
        thread::spawn(format!("ticker-{me}"), move || ticking.tick());
        thread::spawn(format!("applier-{me}"), move || applying.apply(&apply_ch));
        Raft(server)
    }
}

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        Raft::start_server(peers, me, persister, apply_ch, None)
    }

    fn services(&self) -> Vec<Service> {
        let (voting, appending) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let service = Service::new("Raft")
            .method("RequestVote", move |args| voting.request_vote(&args))
            .method("AppendEntries", move |args| appending.append_entries(args));
        vec![service]
    }

    fn start(&self, command: Bytes) -> Option<Started> {
        let mut state = self.0.state.lock();
        if state.role != Role::Leader {
            return None;
        }
        let term = state.current_term;
        state.log.push(Entry { term, command });
        let index = state.last_log_index();
        record::emit(EventKind::LogAppended { term, first: index, last: index });
        state.news = true;
        Some(Started { index, term })
    }

    fn get_state(&self) -> (Term, bool) {
        let state = self.0.state.lock();
        (state.current_term, state.role == Role::Leader)
    }

    fn snapshot(&self, index: Index, _snapshot: Bytes) {
        panic!("the plain Raft knows no snapshots yet, and was given one of everything up to index {index}");
    }

    fn persist_bytes(&self) -> usize {
        self.0.persister.raft_state_size()
    }

    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.to_apply.notify_all();
    }
}

/// What happens by itself.
impl Server {
    /// The ticker: sleeps and looks.
    fn tick(self: &Arc<Server>) {
        loop {
            thread::sleep(LOOK);
            let mut state = self.state.lock();
            if state.killed {
                return;
            }
            let now = Instant::now();
            if state.role == Role::Leader {
                if state.news || now >= state.next_heartbeat || self.makes(Mistake::SendsRpcsInATightLoop) {
                    self.send_append_entries(&mut state);
                }
            } else if now >= state.election_deadline && !self.makes(Mistake::NeverElects) {
                self.start_election(&mut state);
            }
        }
    }

    /// The applier: delivers what is committed.
    fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let mut state = self.state.lock();
            self.to_apply.wait_while(&mut state, |state| state.last_applied >= state.commit_index && !state.killed);
            if state.killed {
                return;
            }
            let messages = state.take_committed();
            if !self.makes(Mistake::HoldsItsLockWhileDelivering) {
                drop(state);
            }
            for message in messages {
                if self.makes(Mistake::AppliesOutOfOrder) {
                    let apply_ch = apply_ch.clone();
                    thread::spawn(format!("deliverer-{}", self.me), move || apply_ch.send(message));
                } else if apply_ch.send(message).is_err() {
                    return;
                }
            }
        }
    }

    /// Figure 2, Candidates: "On conversion to candidate, start election".
    fn start_election(self: &Arc<Server>, state: &mut State) {
        state.enter_term(state.current_term.next());
        state.vote_for(self.me);
        state.votes = BTreeSet::from([self.me]);
        state.become_role(Role::Candidate);
        state.reset_election_timer();
        let term = state.current_term;
        let args = RequestVoteArgs {
            term,
            candidate_id: self.me,
            last_log_index: state.last_log_index(),
            last_log_term: state.last_log_term(),
        };
        for peer in self.others() {
            let me = Arc::clone(self);
            self.peers[peer.0].call_async("Raft.RequestVote", &args, move |reply| {
                if let Some(reply) = reply {
                    me.on_vote(peer, term, &reply);
                }
            });
        }
    }

    /// Sends to each peer what it lacks, if anything: Figure 2, Leaders.
    fn send_append_entries(self: &Arc<Server>, state: &mut State) {
        state.news = false;
        state.next_heartbeat = Instant::now() + HEARTBEAT;
        for peer in self.others() {
            let prev = state.next_index[peer.0].prev();
            let args = AppendEntriesArgs {
                term: state.current_term,
                prev_log_index: prev,
                prev_log_term: state.term_at(prev),
                entries: state.log[prev.0 as usize + 1..].to_vec(),
                leader_commit: state.commit_index,
            };
            let sent = Sent { to: peer, term: args.term, prev, last: state.last_log_index() };
            if self.makes(Mistake::HoldsItsLockOverAnRpc) {
                let reply = self.peers[peer.0].call("Raft.AppendEntries", &args);
                self.on_appended(state, sent, reply.as_ref());
                continue;
            }
            let me = Arc::clone(self);
            self.peers[peer.0].call_async("Raft.AppendEntries", &args, move |reply| {
                me.on_appended(&mut me.state.lock(), sent, reply.as_ref());
            });
        }
    }
}

/// What others ask.
impl Server {
    /// Figure 2, "RequestVote RPC".
    fn request_vote(&self, args: &RequestVoteArgs) -> RequestVoteReply {
        let mut state = self.state.lock();
        state.step_down_if_behind(args.term);
        let free = state.voted_for.is_none_or(|voted| voted == args.candidate_id);
        let may_vote = free || self.makes(Mistake::VotesTwiceInATerm);
        let up_to_date = (args.last_log_term, args.last_log_index) >= (state.last_log_term(), state.last_log_index());
        let vote_granted = args.term == state.current_term && may_vote && up_to_date;
        if vote_granted {
            state.vote_for(args.candidate_id);
            if !self.makes(Mistake::DoesNotResetTheTimerOnGrantingAVote) {
                state.reset_election_timer();
            }
        }
        RequestVoteReply { term: state.current_term, vote_granted }
    }

    /// Figure 2, "AppendEntries RPC".
    fn append_entries(&self, args: AppendEntriesArgs) -> AppendEntriesReply {
        let mut state = self.state.lock();
        state.step_down_if_behind(args.term);
        let term = state.current_term;
        let refusal =
            |conflict_term, conflict_index| AppendEntriesReply { term, success: false, conflict_term, conflict_index };
        if args.term < term {
            return refusal(None, Index::ZERO);
        }
        state.become_role(Role::Follower);
        state.reset_election_timer();

        let prev = args.prev_log_index;
        if prev > state.last_log_index() {
            return refusal(None, state.last_log_index().next());
        }
        if state.term_at(prev) != args.prev_log_term {
            let theirs = state.term_at(prev);
            let first = state.log.iter().position(|entry| entry.term == theirs).expect("it is in the log");
            return refusal(Some(theirs), Index(first as u64));
        }

        let last_new = Index(prev.0 + args.entries.len() as u64);
        if self.makes(Mistake::LosesAnEntry) {
            state.truncate(prev);
        }
        for (index, entry) in (prev.0 + 1..).map(Index).zip(args.entries) {
            if index <= state.last_log_index() && state.term_at(index) != entry.term {
                state.truncate(index.prev());
            }
            if index > state.last_log_index() {
                record::emit(EventKind::LogAppended { term: entry.term, first: index, last: index });
                state.log.push(entry);
            }
        }
        if args.leader_commit > state.commit_index {
            self.commit(&mut state, args.leader_commit.min(last_new));
        }
        AppendEntriesReply { term, success: true, conflict_term: None, conflict_index: Index::ZERO }
    }
}

/// What others answer.
impl Server {
    /// `voter` has answered the RequestVote of `term`.
    fn on_vote(self: &Arc<Server>, voter: ServerId, term: Term, reply: &RequestVoteReply) {
        let mut state = self.state.lock();
        state.step_down_if_behind(reply.term);
        if state.current_term != term || state.role != Role::Candidate || !reply.vote_granted {
            return;
        }
        state.votes.insert(voter);
        if self.is_majority(state.votes.len()) {
            state.become_role(Role::Leader);
            state.next_index = vec![state.last_log_index().next(); self.peers.len()];
            state.match_index = vec![Index::ZERO; self.peers.len()];
            self.send_append_entries(&mut state);
        }
    }

    /// A peer has answered an AppendEntries, or the network has lost it; then the next heartbeat tries again.
    fn on_appended(&self, state: &mut State, sent: Sent, reply: Option<&AppendEntriesReply>) {
        let Some(reply) = reply else { return };
        state.step_down_if_behind(reply.term);
        if state.current_term != sent.term || state.role != Role::Leader {
            return;
        }
        let peer = sent.to.0;
        if reply.success {
            // Replies overtake each other: one that comes late says less than is known.
            let matched = state.match_index[peer].max(sent.last);
            state.match_index[peer] = matched;
            state.next_index[peer] = state.next_index[peer].max(matched.next());
            self.advance_commit_index(state);
        } else if state.next_index[peer] == sent.prev.next() {
            let back = state.where_to_try_next(reply).min(sent.prev);
            state.next_index[peer] = back.max(state.match_index[peer].next());
        }
    }

    /// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    fn advance_commit_index(&self, state: &mut State) {
        for n in (state.commit_index.0 + 1..=state.last_log_index().0).rev().map(Index) {
            let holders = 1 + self.others().filter(|peer| state.match_index[peer.0] >= n).count();
            if self.is_majority(holders) && state.term_at(n) == state.current_term {
                self.commit(state, n);
                // The peers want to know.
                state.news = true;
                return;
            }
        }
    }

    fn commit(&self, state: &mut State, index: Index) {
        if index > state.commit_index {
            state.commit_index = index;
            record::emit(EventKind::Committed { index });
            self.to_apply.notify_all();
        }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId).filter(move |&peer| peer != me)
    }

    fn is_majority(&self, servers: usize) -> bool {
        servers > self.peers.len() / 2
    }
}

impl State {
    /// Figure 2, All Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
    /// to follower".
    fn step_down_if_behind(&mut self, term: Term) {
        if term > self.current_term {
            self.enter_term(term);
            self.become_role(Role::Follower);
        }
    }

    fn enter_term(&mut self, term: Term) {
        self.current_term = term;
        self.voted_for = None;
        record::emit(EventKind::TermChanged { term });
    }

    fn become_role(&mut self, role: Role) {
        if role != self.role {
            // One that led has not looked at its timer.
            if self.role == Role::Leader {
                self.reset_election_timer();
            }
            self.role = role;
            record::emit(EventKind::RoleChanged { role, term: self.current_term });
        }
    }

    fn vote_for(&mut self, candidate: ServerId) {
        self.voted_for = Some(candidate);
        record::emit(EventKind::VoteGranted { term: self.current_term, to: candidate });
    }

    fn reset_election_timer(&mut self) {
        let timeout = self.rng.random_range(ELECTION_MS_MIN..ELECTION_MS_MAX);
        self.election_deadline = Instant::now() + Duration::from_millis(timeout);
    }

    /// From which index to send next to a peer whose log does not match: behind the leader's own last entry of the
    /// term in the way, or, if it has none, from where that term begins.
    fn where_to_try_next(&self, reply: &AppendEntriesReply) -> Index {
        let last_of_term = reply.conflict_term.and_then(|term| self.log.iter().rposition(|entry| entry.term == term));
        last_of_term.map_or(reply.conflict_index, |last| Index(last as u64 + 1))
    }

    /// Everything that is committed and not yet delivered, which counts as applied from now on.
    fn take_committed(&mut self) -> Vec<ApplyMsg> {
        let committed = (self.last_applied.0 + 1..=self.commit_index.0).map(Index);
        let messages = committed.map(|index| {
            let Entry { term, command } = self.log[index.0 as usize].clone();
            ApplyMsg::Command { index, term, command }
        });
        let messages = messages.collect();
        self.last_applied = self.commit_index;
        messages
    }

    /// Removes everything behind `last`.
    fn truncate(&mut self, last: Index) {
        if last < self.last_log_index() {
            self.log.truncate(last.0 as usize + 1);
            record::emit(EventKind::LogTruncated { last });
        }
    }

    fn term_at(&self, index: Index) -> Term {
        self.log[index.0 as usize].term
    }

    fn last_log_index(&self) -> Index {
        Index(self.log.len() as u64 - 1)
    }

    fn last_log_term(&self) -> Term {
        self.term_at(self.last_log_index())
    }
}

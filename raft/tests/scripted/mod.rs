//! A cluster of cores and the messages between them, for golden scripts. It carries out effects as the threads around a
//! core do, writes down what happens, and decides nothing: which timer runs out and which message arrives is said by
//! the script. How things are written is in `trace.rs`.

mod trace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use bytes::Bytes;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, HardState, Log, RequestVoteArgs, RequestVoteReply,
    SentAppend,
};
use raftapi::{Index, ServerId, Term};

/// A quiet cluster has said all it has to say after this many messages. More would be a loop.
const MESSAGES_TO_REST_MAX: usize = 1_000;

/// The servers, what they have saved, and what is under way between them.
pub(crate) struct Cluster {
    cores: Vec<Core>,
    disks: Vec<Disk>,
    /// Under way, in the order of sending.
    pool: VecDeque<Message>,
    /// Held back until released.
    held: VecDeque<Message>,
    /// The last batch of entries from a leader to a peer.
    last_batch: BTreeMap<(ServerId, ServerId), SentAppend>,
    /// These servers are cut off from the others, and the others from them.
    pub(crate) cut_off: BTreeSet<ServerId>,
    /// What happened since it was last taken.
    trace: String,
}

/// What a server has saved.
#[derive(Clone, Default)]
struct Disk {
    hard_state: HardState,
    entries: Vec<Entry>,
}

/// A message under way.
#[derive(Clone)]
struct Message {
    from: ServerId,
    to: ServerId,
    content: Content,
}

/// Requests, and replies with what the caller remembers of the request.
#[derive(Clone)]
enum Content {
    RequestVote(RequestVoteArgs),
    RequestVoteReply(Term, RequestVoteReply),
    AppendEntries(AppendEntriesArgs, SentAppend),
    AppendEntriesReply(SentAppend, AppendEntriesReply),
}

/// Picks messages; what is `None` does not matter.
pub(crate) struct Filter {
    pub(crate) from: Option<ServerId>,
    pub(crate) to: Option<ServerId>,
    pub(crate) what: Option<String>,
}

impl Filter {
    fn picks(&self, message: &Message) -> bool {
        self.from.is_none_or(|from| from == message.from)
            && self.to.is_none_or(|to| to == message.to)
            && self.what.as_ref().is_none_or(|what| message.name().starts_with(what))
    }
}

impl Cluster {
    /// A cluster of `servers` that have never run.
    pub(crate) fn new(servers: usize) -> Cluster {
        Cluster {
            cores: (0..servers).map(|me| Core::new(ServerId(me), servers)).collect(),
            disks: vec![Disk::default(); servers],
            pool: VecDeque::new(),
            held: VecDeque::new(),
            last_batch: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            trace: String::new(),
        }
    }

    /// Makes `server` one that has just started with a log of these terms.
    pub(crate) fn set_log(&mut self, server: ServerId, terms: &[Term], term: Option<Term>) {
        let entries: Vec<Entry> = terms.iter().map(|&term| Entry { term, command: Bytes::new() }).collect();
        let term = term.unwrap_or(terms.last().copied().unwrap_or_default());
        self.disks[server.0] = Disk { hard_state: HardState { term, voted_for: None }, entries };
        self.start(server);
    }

    /// Starts `server` again with what it has saved.
    pub(crate) fn restart(&mut self, server: ServerId) {
        self.start(server);
        self.show_status(Some(server));
    }

    pub(crate) fn election_timeout(&mut self, server: ServerId) {
        let effects = self.cores[server.0].election_timeout();
        self.carry_out(server, effects);
    }

    pub(crate) fn propose(&mut self, server: ServerId, command: Bytes) {
        match self.cores[server.0].propose(command) {
            Some((_, effects)) => self.carry_out(server, effects),
            None => self.say(format!("{} is not the leader", trace::name(server))),
        }
    }

    pub(crate) fn heartbeat(&mut self, leader: ServerId, to: Option<ServerId>) {
        for peer in self.cores[leader.0].peers().filter(|&peer| to.is_none_or(|to| to == peer)) {
            match self.cores[leader.0].heartbeat(peer) {
                Some((args, sent)) => self.send(leader, peer, Content::AppendEntries(args, sent)),
                None => self.say(format!("{} is not the leader", trace::name(leader))),
            }
        }
    }

    pub(crate) fn expire(&mut self, leader: ServerId, peer: ServerId) {
        let sent = self.last_batch[&(leader, peer)];
        self.cores[leader.0].append_timed_out(peer, &sent);
    }

    pub(crate) fn fail(&mut self, leader: ServerId, peer: ServerId) {
        let sent = self.last_batch[&(leader, peer)];
        let effects = self.cores[leader.0].append_failed(peer, &sent);
        self.carry_out(leader, effects);
    }

    /// Delivers what is under way now and picked, each `times` times.
    pub(crate) fn deliver(&mut self, filter: &Filter, times: usize) {
        for message in self.take(filter) {
            for _ in 0..times {
                self.deliver_one(message.clone());
            }
        }
    }

    /// Delivers messages until there are none, then tells followers what is committed, until nobody has to be told.
    ///
    /// # Panics
    ///
    /// If that does not end.
    pub(crate) fn stabilize(&mut self) {
        let mut delivered = 0;
        loop {
            while let Some(message) = self.pool.pop_front() {
                delivered += 1;
                assert!(delivered <= MESSAGES_TO_REST_MAX, "a quiet cluster sends and sends");
                self.deliver_one(message);
            }
            for leader in (0..self.cores.len()).map(ServerId) {
                for peer in self.cores[leader.0].peers() {
                    if self.cores[leader.0].needs_commit_notice(peer) {
                        self.heartbeat(leader, Some(peer));
                    }
                }
            }
            if self.pool.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn lose(&mut self, filter: &Filter) {
        for message in self.take(filter) {
            self.say(format!("lost: {message}"));
        }
    }

    pub(crate) fn hold(&mut self, filter: &Filter) {
        let messages = self.take(filter);
        self.held.extend(messages);
    }

    pub(crate) fn release(&mut self) {
        self.pool.append(&mut self.held);
    }

    pub(crate) fn show_status(&mut self, server: Option<ServerId>) {
        let shown = self.cores.iter().filter(|core| server.is_none_or(|server| server == core.me()));
        let lines: String = shown.map(trace::status).collect();
        self.trace.push_str(&lines);
    }

    pub(crate) fn take_trace(&mut self) -> String {
        std::mem::take(&mut self.trace)
    }

    fn start(&mut self, server: ServerId) {
        let Disk { hard_state, entries } = self.disks[server.0].clone();
        self.cores[server.0] = Core::restore(server, self.cores.len(), hard_state, Log::new(entries));
    }

    fn take(&mut self, filter: &Filter) -> VecDeque<Message> {
        let (picked, rest) = self.pool.drain(..).partition(|message| filter.picks(message));
        self.pool = rest;
        picked
    }

    /// Gives a message to its receiver. A reply goes under way in its turn.
    fn deliver_one(&mut self, message: Message) {
        if self.cut_off.contains(&message.from) != self.cut_off.contains(&message.to) {
            self.say(format!("lost: {message}"));
            return;
        }
        self.say(message.to_string());
        let Message { from, to, content } = message;
        let core = &mut self.cores[to.0];
        match content {
            Content::RequestVote(args) => {
                let (reply, effects) = core.handle_request_vote(args);
                self.carry_out(to, effects);
                self.send(to, from, Content::RequestVoteReply(args.term, reply));
            }
            Content::RequestVoteReply(sent_term, reply) => {
                let effects = core.handle_request_vote_reply(from, sent_term, reply);
                self.carry_out(to, effects);
            }
            Content::AppendEntries(args, sent) => {
                let (reply, effects) = core.handle_append_entries(args);
                self.carry_out(to, effects);
                self.send(to, from, Content::AppendEntriesReply(sent, reply));
            }
            Content::AppendEntriesReply(sent, reply) => {
                let effects = core.handle_append_entries_reply(from, &sent, reply);
                self.carry_out(to, effects);
            }
        }
    }

    /// Does what a server asks for, in the order of the fields.
    fn carry_out(&mut self, server: ServerId, effects: Effects) {
        let core = &mut self.cores[server.0];
        self.disks[server.0].save(core, &effects);
        let applied = core.take_committed();
        self.trace.push_str(&trace::effects(server, &effects, &applied));

        for (peer, args) in effects.request_votes {
            self.send(server, peer, Content::RequestVote(args));
        }
        if effects.send_heartbeats {
            self.heartbeat(server, None);
        }
        for peer in effects.wake_replicators {
            // A peer that only has to be told the commit index waits for a heartbeat.
            if let Some((args, sent)) = self.cores[server.0].append_entries(peer) {
                self.last_batch.insert((server, peer), sent);
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
        }
    }

    fn send(&mut self, from: ServerId, to: ServerId, content: Content) {
        let message = Message { from, to, content };
        self.say(format!("    {message}"));
        self.pool.push_back(message);
    }

    fn say(&mut self, line: String) {
        writeln!(self.trace, "{line}").expect("a string takes every line");
    }
}

impl Disk {
    fn save(&mut self, core: &Core, effects: &Effects) {
        if let Some(hard_state) = effects.persist.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(change) = effects.persist.log {
            self.entries.truncate(change.first.prev().0 as usize);
            self.entries.extend_from_slice(core.log().entries(change.first, change.last));
        }
        assert_eq!(self.hard_state.term, core.current_term(), "the saved term is the server's");
        assert_eq!(self.hard_state.voted_for, core.voted_for(), "the saved vote is the server's");
        let log = core.log().entries(Index(1), core.log().last_index());
        assert_eq!(self.entries, log, "the saved log is the server's");
    }
}

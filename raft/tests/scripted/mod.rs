//! A cluster of cores and the messages between them, for golden scripts. It carries out effects as the threads around a
//! core do, including saving, and writes down what happens. It decides nothing: the script says which timer fires and
//! which message arrives. `trace.rs` defines the form of the trace.

mod trace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use bytes::Bytes;
use labstd::sync::Arc;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, HardState, InstallSnapshotArgs, InstallSnapshotReply,
    Log, NewSnapshot, Persist, Read, ReadOutcome, RequestVoteArgs, RequestVoteReply, Saved, SentRequest,
};
use raft::storage::Storage;
use raftapi::{Index, Persister, ServerId, Term};

/// Limit of the messages after which a quiet cluster must have stopped sending. More would be a loop.
const QUIET_AFTER_MESSAGES_MAX: usize = 1_000;

/// The servers, their saved states, and the messages in flight between them.
pub(crate) struct Cluster {
    cores: Vec<Core>,
    disks: Vec<Disk>,
    /// Messages in flight, in the order of sending.
    pool: VecDeque<Message>,
    /// Messages that are held back until released.
    held: VecDeque<Message>,
    /// The last entries or snapshot from a leader to a peer.
    last_sent: BTreeMap<(ServerId, ServerId), SentRequest>,
    /// Pending reads.
    reads: Vec<(ServerId, Read)>,
    /// Servers that are cut off from the others.
    pub(crate) cut_off: BTreeSet<ServerId>,
    /// The trace since it was last taken.
    trace: String,
}

/// The saved state of a server.
struct Disk {
    persister: Arc<Persister>,
    storage: Storage,
}

/// A message in flight.
#[derive(Clone)]
struct Message {
    from: ServerId,
    to: ServerId,
    content: Content,
}

/// A request, or a reply with the caller's record of the request.
#[derive(Clone)]
enum Content {
    RequestVote(RequestVoteArgs),
    RequestVoteReply(Term, RequestVoteReply),
    AppendEntries(AppendEntriesArgs, SentRequest),
    AppendEntriesReply(SentRequest, AppendEntriesReply),
    InstallSnapshot(InstallSnapshotArgs, SentRequest),
    InstallSnapshotReply(SentRequest, InstallSnapshotReply),
}

/// A selection of messages. A field that is `None` matches everything.
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
    /// Creates a cluster of `servers` that have never run.
    pub(crate) fn new(servers: usize) -> Cluster {
        Cluster {
            cores: (0..servers).map(|me| Core::new(ServerId(me), servers)).collect(),
            disks: (0..servers).map(|_| Disk::open(Persister::new()).0).collect(),
            pool: VecDeque::new(),
            held: VecDeque::new(),
            last_sent: BTreeMap::new(),
            reads: Vec::new(),
            cut_off: BTreeSet::new(),
            trace: String::new(),
        }
    }

    /// Restarts `server` with a log of these terms, of which a snapshot covers the first `base`.
    pub(crate) fn set_log(&mut self, server: ServerId, terms: &[Term], term: Option<Term>, base: Index) {
        let (covered, rest) = terms.split_at(base.0 as usize);
        let entries: Vec<Entry> = rest.iter().map(|&term| Entry { term, command: Bytes::new() }).collect();
        let base_term = covered.last().copied().unwrap_or_default();
        let term = term.unwrap_or(terms.last().copied().unwrap_or_default());
        let snapshot = if covered.is_empty() { Bytes::new() } else { snapshot_up_to(base) };
        let saved = Saved {
            hard_state: HardState { term, voted_for: None },
            log: Log::after(base, base_term, entries),
            snapshot,
        };
        self.cores[server.0] = Core::restore(server, self.cores.len(), saved);
        // All of it is saved in one step, as after a snapshot.
        self.disks[server.0] = Disk::open(Persister::new()).0;
        let everything = Persist { snapshot: Some(NewSnapshot::Taken), ..Persist::default() };
        self.disks[server.0].save(&everything, &self.cores[server.0]);
    }

    /// Restarts `server` with its saved state.
    pub(crate) fn restart(&mut self, server: ServerId) {
        let (disk, saved) = Disk::open(self.disks[server.0].persister.copy());
        self.cores[server.0] = Core::restore(server, self.cores.len(), saved);
        self.disks[server.0] = disk;
        self.show_status(Some(server));
    }

    /// Hands `server` a snapshot of its service up to `index`.
    pub(crate) fn snapshot(&mut self, server: ServerId, index: Index) {
        let effects = self.cores[server.0].snapshot_taken(index, snapshot_up_to(index));
        self.carry_out(server, effects);
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

    pub(crate) fn read(&mut self, server: ServerId) {
        match self.cores[server.0].begin_read() {
            Some((read, effects)) => {
                self.say(format!("    {} {}", trace::name(server), trace::read(&read, "begins")));
                self.reads.push((server, read));
                self.carry_out(server, effects);
            }
            None => self.say(format!("{} cannot read without its log", trace::name(server))),
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
        let sent = self.last_sent[&(leader, peer)];
        self.cores[leader.0].request_timed_out(peer, &sent);
    }

    pub(crate) fn fail(&mut self, leader: ServerId, peer: ServerId) {
        let sent = self.last_sent[&(leader, peer)];
        let effects = self.cores[leader.0].request_failed(peer, &sent);
        self.carry_out(leader, effects);
    }

    /// Delivers the selected messages that are in flight now, each `times` times.
    pub(crate) fn deliver(&mut self, filter: &Filter, times: usize) {
        for message in self.take(filter) {
            for _ in 0..times {
                self.deliver_one(message.clone());
            }
        }
    }

    /// Delivers messages until there are none, then sends commit notices, and repeats this until no server has anything
    /// to send.
    ///
    /// # Panics
    ///
    /// If that does not end.
    pub(crate) fn stabilize(&mut self) {
        let mut delivered = 0;
        loop {
            while let Some(message) = self.pool.pop_front() {
                delivered += 1;
                assert!(delivered <= QUIET_AFTER_MESSAGES_MAX, "a quiet cluster does not stop sending");
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

    fn take(&mut self, filter: &Filter) -> VecDeque<Message> {
        let (picked, rest) = self.pool.drain(..).partition(|message| filter.picks(message));
        self.pool = rest;
        picked
    }

    /// Delivers a message. The reply goes in flight.
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
            Content::InstallSnapshot(args, sent) => {
                let (reply, effects) = core.handle_install_snapshot(args);
                self.carry_out(to, effects);
                self.send(to, from, Content::InstallSnapshotReply(sent, reply));
            }
            Content::InstallSnapshotReply(sent, reply) => {
                let effects = core.handle_install_snapshot_reply(from, &sent, reply);
                self.carry_out(to, effects);
            }
        }
    }

    /// Carries out a server's effects, in the order of the fields.
    fn carry_out(&mut self, server: ServerId, effects: Effects) {
        let core = &mut self.cores[server.0];
        self.disks[server.0].save(&effects.persist, core);
        let applied = core.take_committed();
        self.trace.push_str(&trace::effects(core, &effects, &applied));

        self.settle_reads(server, effects.reads_settled);
        for (peer, args) in effects.request_votes {
            self.send(server, peer, Content::RequestVote(args));
        }
        if effects.send_heartbeats {
            self.heartbeat(server, None);
        }
        for peer in effects.confirm_leadership_with.iter() {
            self.heartbeat(server, Some(peer));
        }
        for peer in effects.replicate_to.iter() {
            // A peer that needs only a commit notice waits for a heartbeat.
            if let Some((args, sent)) = self.cores[server.0].append_entries(peer) {
                self.last_sent.insert((server, peer), sent);
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
            if let Some((args, sent)) = self.cores[server.0].install_snapshot(peer) {
                self.last_sent.insert((server, peer), sent);
                self.send(server, peer, Content::InstallSnapshot(args, sent));
            }
        }
    }

    /// Settles the reads of `server`. Waiting clients check only when they are woken.
    fn settle_reads(&mut self, server: ServerId, woken: bool) {
        let core = &self.cores[server.0];
        let outcome = |&(reader, read): &(ServerId, Read)| match core.read_outcome(&read) {
            _ if reader != server => None,
            ReadOutcome::Waiting => None,
            ReadOutcome::Confirmed => Some("is confirmed"),
            ReadOutcome::Lost => Some("is lost"),
        };
        let lines: Vec<String> = (self.reads.iter())
            .filter_map(|read| {
                outcome(read).map(|what| format!("    {} {}", trace::name(server), trace::read(&read.1, what)))
            })
            .collect();
        assert_eq!(!lines.is_empty(), woken, "clients are woken exactly when a read is settled");
        self.reads.retain(|read| outcome(read).is_none());
        lines.into_iter().for_each(|line| self.say(line));
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
    fn open(persister: Persister) -> (Disk, Saved) {
        let persister = Arc::new(persister);
        let (storage, saved) = Storage::open(Arc::clone(&persister)).expect("an undamaged state");
        (Disk { persister, storage }, saved)
    }

    fn save(&mut self, change: &Persist, core: &Core) {
        self.storage.save(change, core);
        let (_, saved) = Disk::open(self.persister.copy());
        assert_eq!(saved.hard_state, core.hard_state(), "the saved term and vote are the server's");
        assert_eq!(saved.log, *core.log(), "the saved log is the server's");
        assert_eq!(saved.snapshot, *core.snapshot(), "the saved snapshot is the server's");
    }
}

/// Returns a snapshot as the services of scripts make it.
fn snapshot_up_to(index: Index) -> Bytes {
    Bytes::from(format!("the service up to {index}"))
}

//! A cluster of cores and the messages between them, for golden scripts. It writes down what happens and decides
//! nothing: the script says which timer fires and which message arrives. `trace.rs` defines the form of the trace.

mod trace;

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use bytes::Bytes;
use raft::core::{Core, Effects, Entry, HardState, Log, NewSnapshot, Persist, Read, ReadOutcome, Saved};
use raftapi::{Index, Persister, ServerId, Term};

use crate::cores::{Message, Server};

/// Limit of the messages after which a quiet cluster must have stopped sending. More would be a loop.
const QUIET_AFTER_MESSAGES_MAX: usize = 1_000;

/// The servers and the messages in flight between them.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    /// Messages in flight, in the order of sending.
    pool: VecDeque<Message>,
    /// Messages that are held back until released.
    held: VecDeque<Message>,
    /// Pending reads.
    reads: Vec<(ServerId, Read)>,
    /// Servers that are cut off from the others.
    pub(crate) cut_off: BTreeSet<ServerId>,
    /// The trace since it was last taken.
    trace: String,
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
            servers: Server::cluster(servers),
            pool: VecDeque::new(),
            held: VecDeque::new(),
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
        let mut restarted = Server::start(server, self.servers.len(), Persister::new());
        restarted.core = Core::restore(server, self.servers.len(), saved);
        // All of it is saved in one step, as after a snapshot.
        let everything = Persist { snapshot: Some(NewSnapshot::Taken), ..Persist::default() };
        restarted.save(&Effects { persist: everything, ..Effects::default() });
        restarted.assert_saved();
        self.servers[server.0] = restarted;
    }

    /// Restarts `server` with its saved state.
    pub(crate) fn restart(&mut self, server: ServerId) {
        self.servers[server.0].restart();
        self.show_status(Some(server));
    }

    /// Hands `server` a snapshot of its service up to `index`.
    pub(crate) fn snapshot(&mut self, server: ServerId, index: Index) {
        let effects = self.servers[server.0].core.snapshot_taken(index, snapshot_up_to(index));
        self.carry_out(server, effects);
    }

    pub(crate) fn election_timeout(&mut self, server: ServerId) {
        let effects = self.servers[server.0].core.election_timeout();
        self.carry_out(server, effects);
    }

    pub(crate) fn propose(&mut self, server: ServerId, command: Bytes) {
        match self.servers[server.0].core.propose(command) {
            Some((_, effects)) => self.carry_out(server, effects),
            None => self.say(format!("{} is not the leader", trace::name(server))),
        }
    }

    pub(crate) fn read(&mut self, server: ServerId) {
        match self.servers[server.0].core.begin_read() {
            Some((read, effects)) => {
                self.say(format!("    {} {}", trace::name(server), trace::read(&read, "begins")));
                self.reads.push((server, read));
                self.carry_out(server, effects);
            }
            None => self.say(format!("{} cannot read without its log", trace::name(server))),
        }
    }

    pub(crate) fn heartbeat(&mut self, leader: ServerId, to: Option<ServerId>) {
        for peer in self.servers[leader.0].core.peers().filter(|&peer| to.is_none_or(|to| to == peer)) {
            match self.servers[leader.0].heartbeat(peer) {
                Some(message) => self.send(message),
                None => self.say(format!("{} is not the leader", trace::name(leader))),
            }
        }
    }

    pub(crate) fn expire(&mut self, leader: ServerId, peer: ServerId) {
        let sent = self.servers[leader.0].last_sent[&peer];
        self.servers[leader.0].core.request_timed_out(peer, &sent);
    }

    pub(crate) fn fail(&mut self, leader: ServerId, peer: ServerId) {
        let sent = self.servers[leader.0].last_sent[&peer];
        let effects = self.servers[leader.0].core.request_failed(peer, &sent);
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
            for leader in (0..self.servers.len()).map(ServerId) {
                for peer in self.servers[leader.0].core.peers() {
                    if self.servers[leader.0].core.needs_commit_notice(peer) {
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
        let cores = self.servers.iter().map(|server| &server.core);
        let shown = cores.filter(|core| server.is_none_or(|server| server == core.me()));
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
        let to = message.to;
        let (effects, reply) = self.servers[to.0].handle(message);
        self.carry_out(to, effects);
        reply.into_iter().for_each(|reply| self.send(reply));
    }

    /// Carries out a server's effects, in the order of the fields.
    fn carry_out(&mut self, server: ServerId, effects: Effects) {
        let this = &mut self.servers[server.0];
        this.save(&effects);
        this.assert_saved();
        let applied = this.core.take_committed();
        self.trace.push_str(&trace::effects(&this.core, &effects, &applied));
        self.settle_reads(server, effects.reads_settled);
        let messages = self.servers[server.0].messages(&effects);
        messages.into_iter().for_each(|message| self.send(message));
    }

    /// Settles the reads of `server`. Waiting clients check only when they are woken.
    fn settle_reads(&mut self, server: ServerId, woken: bool) {
        let core = &self.servers[server.0].core;
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

    fn send(&mut self, message: Message) {
        self.say(format!("    {message}"));
        self.pool.push_back(message);
    }

    fn say(&mut self, line: String) {
        writeln!(self.trace, "{line}").expect("a string takes every line");
    }
}

/// Returns a snapshot as the services of scripts make it.
fn snapshot_up_to(index: Index) -> Bytes {
    Bytes::from(format!("the service up to {index}"))
}

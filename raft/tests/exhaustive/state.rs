//! A moment of a small cluster: what each server has in memory and on disk, every message that was ever sent, and what has
//! been seen so far that a server alone does not show.
//!
//! States are compared by a hash of 64 bits, which is put together from hashes of the parts, so that an action costs as much
//! as what it changes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use raft::core::{Core, RequestVoteArgs};
use raft::rawnode::{Body, Message, RawNode};
use raftapi::{Index, ServerId, Term};
use xxhash_rust::xxh3::Xxh3;

use crate::history::{History, Rule};
use crate::owner::Disk;

/// How many servers there are.
pub(crate) const SERVERS: usize = 3;

/// A value that knows its hash, shared by all states that have it.
#[derive(Clone)]
pub(crate) struct Hashed<T> {
    value: Arc<T>,
    hash: u64,
}

/// A node and its owner's disk.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Server {
    pub(crate) raw: RawNode,
    pub(crate) disk: Disk,
}

/// A state of the model.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) servers: [Hashed<Server>; SERVERS],
    /// Every message that may still make a difference, in the order of their hashes. None is ever taken out by being
    /// delivered: so each may arrive at any moment, any number of times, after any other, or never.
    pub(crate) sent: Vec<Hashed<Message>>,
    pub(crate) history: Hashed<History>,
    pub(crate) used: Used,
    /// What the last step did. This is no part of the state, but of the way to it.
    pub(crate) last: LastStep,
}

/// What is bounded, as far as it has happened.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Used {
    pub(crate) proposals: u8,
    pub(crate) crashes: u8,
    pub(crate) compactions: u8,
    pub(crate) reads: u8,
    /// For each server, whether anything has happened to it.
    pub(crate) touched: [bool; SERVERS],
}

/// What the last step did, to show that such things happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastStep {
    pub(crate) log_truncated: bool,
    pub(crate) voter_restarted: bool,
    pub(crate) snapshot_installed: bool,
    pub(crate) read_confirmed: bool,
    pub(crate) read_lost: bool,
}

impl State {
    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.0]
    }

    /// Whether a rule was never broken on the way here.
    pub(crate) fn holds(&self, rule: Rule) -> bool {
        !self.history.broken.contains(&rule)
    }

    pub(crate) fn cores(&self) -> impl Iterator<Item = &Core> {
        self.servers.iter().map(|server| server.raw.core())
    }

    /// The server `of` has sent messages, and perhaps changed: what can make no difference any more is forgotten.
    pub(crate) fn send(&mut self, of: ServerId, messages: &[Hashed<Message>]) {
        let before = std::mem::take(&mut self.sent);
        let is_for_it = |message: &&Hashed<Message>| message.to == of;
        let changed = before.iter().filter(is_for_it).chain(messages);
        let mut sent: Vec<Hashed<Message>> = changed.filter_map(|message| self.reduced(message)).collect();
        sent.extend(before.iter().filter(|message| message.to != of).cloned());
        sent.sort_unstable_by_key(|message| message.hash);
        sent.dedup();
        self.sent = sent;
    }

    /// Whether to send this would change nothing.
    pub(crate) fn has_sent(&self, message: &Hashed<Message>) -> bool {
        let is_there =
            |message: &Hashed<Message>| self.sent.binary_search_by_key(&message.hash, |sent| sent.hash).is_ok();
        is_there(message) || self.reduced(message).is_none_or(|message| is_there(&message))
    }

    fn reduced(&self, message: &Hashed<Message>) -> Option<Hashed<Message>> {
        match reduce(message, &self.servers[message.to.0].raw) {
            Reduced::Unchanged => Some(message.clone()),
            Reduced::TermOnly(request) => Some(Hashed::new(request)),
            Reduced::Dropped => None,
        }
    }
}

/// What remains of a message for the future. Terms never fall, not even in a crash: what this looks at is saved.
enum Reduced {
    Unchanged,
    /// It is a request of a term that its receiver has left behind, which is refused, whatever it is; and all that its sender
    /// can learn from that is the receiver's term. This other request says as much, and there is only one of it.
    TermOnly(Message),
    Dropped,
}

fn reduce(message: &Message, receiver: &RawNode) -> Reduced {
    let core = receiver.core();
    let term = core.current_term();
    let dead = match &message.body {
        Body::RequestVote(_) | Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            if message.term() >= term || message.term() == Term::ZERO {
                return Reduced::Unchanged;
            }
            return Reduced::TermOnly(term_only_request(message, receiver));
        }
        // An answer that grants nothing.
        Body::RequestVoteReply { reply, .. } if !reply.vote_granted => reply.term <= term,
        // A vote that is not needed, or needed no longer.
        Body::RequestVoteReply { request_term, .. } => *request_term < term || !core.needs_vote_of(message.from, term),
        // An answer to a leadership that is over, which brings no news.
        Body::AppendEntriesReply { sent, .. } | Body::InstallSnapshotReply { sent, .. } => {
            sent.term < term && message.term() <= term
        }
    };
    if dead { Reduced::Dropped } else { Reduced::Unchanged }
}

/// A request of term 0, in the place of `request`, which is out of date. That the receiver does no more about `request` than
/// about this one is tried out.
fn term_only_request(request: &Message, receiver: &RawNode) -> Message {
    let mut tried = receiver.clone();
    tried.step(request.clone()).expect("a node's message");
    let ready = tried.ready();
    let [reply] = &ready.messages[..] else { panic!("a request is answered once: {ready:?}") };
    assert_eq!(reply.term(), receiver.core().current_term(), "the answer tells the term");
    tried.advance();
    assert_eq!(Hashed::new(tried).hash, Hashed::new(receiver.clone()).hash, "a request of an old term changes nothing");

    let (from, to) = (request.from, request.to);
    let args = RequestVoteArgs {
        term: Term::ZERO,
        candidate_id: from,
        last_log_index: Index::ZERO,
        last_log_term: Term::ZERO,
    };
    Message { from, to, body: Body::RequestVote(args) }
}

impl<T: Hash> Hashed<T> {
    pub(crate) fn new(value: T) -> Hashed<T> {
        Hashed { hash: Hashed::<()>::hash_of(&value), value: Arc::new(value) }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.hash
    }
}

impl Hashed<()> {
    /// The hash that a part with this value would have.
    pub(crate) fn hash_of(value: &impl Hash) -> u64 {
        let mut hasher = Xxh3::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> PartialEq for Hashed<T> {
    fn eq(&self, other: &Hashed<T>) -> bool {
        self.hash == other.hash
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.servers.hash(hasher);
        self.sent.hash(hasher);
        self.history.hash(hasher);
        self.used.hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        Hashed::hash_of(self) == Hashed::hash_of(other)
    }
}

/// Short, for paths: the messages are in the actions.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for core in self.cores() {
            let log: Vec<u64> = core
                .log()
                .entries(core.log().base_index().next(), core.log().last_index())
                .iter()
                .map(|entry| entry.term.0)
                .collect();
            let standing = core.soft_state();
            write!(
                f,
                "[{} {} t{} voted {:?} log {log:?} commit {}] ",
                core.me(),
                standing.role,
                standing.term,
                core.voted_for(),
                core.commit_index()
            )?;
        }
        write!(f, "{} messages, {:?}", self.sent.len(), self.used)
    }
}

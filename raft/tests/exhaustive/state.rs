//! A state of a small cluster: the memory and the disk of each server, every message that was ever sent, and the
//! history that no single server shows.
//!
//! States are compared by a 64-bit hash, which is combined from the hashes of the parts. So the cost of an action is
//! proportional to what it changes.

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

/// Most servers of a cluster.
pub(crate) const SERVERS_MAX: usize = 5;

/// A value with its hash, shared by all states that contain it.
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
    /// The answers that a server has received which replaces one without data; `None` for any other server.
    pub(crate) answers: Option<Answers>,
}

/// The answers to a server that replaces one without data (`replacement.rs`).
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Answers {
    /// For each server, whether it has answered.
    pub(crate) from: [bool; SERVERS_MAX],
    /// The highest term.
    pub(crate) term: Term,
    /// The highest commit index.
    pub(crate) commit: Index,
}

/// A state of the model.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) servers: Vec<Hashed<Server>>,
    /// Every message that may still have an effect, ordered by hash. Delivery removes none of them, so each may arrive
    /// at any moment, any number of times, after any other, or never.
    pub(crate) sent: Vec<Hashed<Message>>,
    pub(crate) history: Hashed<History>,
    pub(crate) used: Used,
    /// Pairs of servers of which the first does not know yet that the second was replaced. No message between them
    /// arrives: each discards the messages of a server that it does not know.
    pub(crate) unaware: [[bool; SERVERS_MAX]; SERVERS_MAX],
    /// The effects of the last step. They are not part of the state, but of the path to it.
    pub(crate) last: LastStep,
}

/// The amount of each bounded action used so far.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Used {
    pub(crate) elections: u8,
    pub(crate) ticks: u8,
    pub(crate) proposals: u8,
    pub(crate) crashes: u8,
    pub(crate) compactions: u8,
    pub(crate) reads: u8,
    /// Number of servers that lost their data.
    pub(crate) losses: u8,
    /// For each server, whether anything has happened to it.
    pub(crate) touched: [bool; SERVERS_MAX],
}

/// Effects of the last step, to show that such events occur.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastStep {
    pub(crate) log_truncated: bool,
    pub(crate) voter_restarted: bool,
    pub(crate) snapshot_installed: bool,
    pub(crate) read_confirmed: bool,
    pub(crate) read_lost: bool,
    pub(crate) caught_up: bool,
}

impl State {
    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.0]
    }

    /// Returns whether a rule was never broken on the path to this state.
    pub(crate) fn holds(&self, rule: Rule) -> bool {
        !self.history.broken.contains(&rule)
    }

    pub(crate) fn cores(&self) -> impl Iterator<Item = &Core> {
        self.servers.iter().map(|server| server.raw.core())
    }

    /// Adds messages that the server `of` sent; the server itself may have changed. Removes messages that can no longer
    /// have an effect.
    pub(crate) fn send(&mut self, of: ServerId, messages: &[Hashed<Message>]) {
        let before = std::mem::take(&mut self.sent);
        let is_for_it = |message: &&Hashed<Message>| message.to == of;
        let arriving = messages.iter().filter(|message| self.knows_both(message.from, message.to));
        let changed = before.iter().filter(is_for_it).chain(arriving);
        let mut sent: Vec<Hashed<Message>> = changed.filter_map(|message| self.reduced(message)).collect();
        sent.extend(before.iter().filter(|message| message.to != of).cloned());
        sent.sort_unstable_by_key(|message| message.hash);
        sent.dedup();
        self.sent = sent;
    }

    /// Returns whether `id` has acted before and takes part, so that it receives messages in every order.
    pub(crate) fn may_receive(&self, id: ServerId) -> bool {
        self.used.touched[id.0] && self.server(id).answers.is_none()
    }

    /// Returns whether this very message is there.
    pub(crate) fn contains(&self, message: &Hashed<Message>) -> bool {
        self.sent.binary_search_by_key(&message.hash, |sent| sent.hash).is_ok()
    }

    /// Returns whether the two servers know each other's present incarnation.
    fn knows_both(&self, one: ServerId, other: ServerId) -> bool {
        !self.unaware[one.0][other.0] && !self.unaware[other.0][one.0]
    }

    /// Returns whether sending this message would change nothing.
    pub(crate) fn has_sent(&self, message: &Hashed<Message>) -> bool {
        !self.knows_both(message.from, message.to)
            || self.contains(message)
            || self.reduced(message).is_none_or(|message| self.contains(&message))
    }

    fn reduced(&self, message: &Hashed<Message>) -> Option<Hashed<Message>> {
        match reduce(message, &self.servers[message.to.0].raw) {
            Reduced::Unchanged => Some(message.clone()),
            Reduced::TermOnly(request) => Some(Hashed::new(request)),
            Reduced::Dropped => None,
        }
    }
}

/// The remaining effect of a message. It is determined by saved state: terms never decrease, not even in a crash.
enum Reduced {
    Unchanged,
    /// A request of a term that its receiver has left behind. The receiver refuses it whatever it contains, and its
    /// sender can learn only the receiver's term from the reply. This equivalent request replaces it, and all such
    /// requests have the same one.
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
        // A reply that grants nothing.
        Body::RequestVoteReply { reply, .. } if !reply.vote_granted => reply.term <= term,
        // A vote that is not needed, or no longer needed.
        Body::RequestVoteReply { request_term, .. } => *request_term < term || !core.needs_vote_of(message.from, term),
        // A reply to an earlier leadership that contains no higher term.
        Body::AppendEntriesReply { sent, .. } | Body::InstallSnapshotReply { sent, .. } => {
            sent.term < term && message.term() <= term
        }
    };
    if dead { Reduced::Dropped } else { Reduced::Unchanged }
}

/// Returns a request of term 0 in place of `request`, which is out of date. It first tries `request` on a copy of the
/// receiver, to check that both have the same effect.
fn term_only_request(request: &Message, receiver: &RawNode) -> Message {
    let mut tried = receiver.clone();
    tried.step(request.clone()).expect("a node's message");
    let ready = tried.ready();
    let [reply] = &ready.messages[..] else { panic!("a request gets one reply: {ready:?}") };
    assert_eq!(reply.term(), receiver.core().current_term(), "the reply contains the term");
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
    /// Returns the hash of a [`Hashed`] with this value.
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
        self.unaware.hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        Hashed::hash_of(self) == Hashed::hash_of(other)
    }
}

/// A short form for paths; the messages are in the actions.
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

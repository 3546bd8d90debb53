//! The reductions of the search ([`Explorer`](crate::explorer::Explorer)), and why they are sound.
//!
//! # Servers are symmetric, and dead messages are dropped
//!
//! `model.rs` explains the first and `state.rs` the second. The full search uses both as well.
//!
//! # A dominated state is dropped
//!
//! Delivery does not remove a message, and no message is ever required to arrive. An action changes one server, and its
//! outcome depends only on that server and the action. So let two states have equal servers, and let the first one have
//! all messages of the second and have used at most as many crashes, elections and ticks. Every action that is possible
//! in the second is then possible in the first. It changes the same server in the same way and adds the same messages,
//! so the relation holds between the successors too. By induction, all sequences of actions after the second are
//! possible after the first. The history only checks rules. If it records at least as much in the first state,
//! each broken rule is found there as well ([`History::covers`]). So the second state need not be expanded.
//!
//! The commands used are not compared in this way, because their number names the next command. Bounds on messages
//! concern each message alone, so they keep the relation.
//!
//! # A message that only informs is delivered at once
//!
//! Such a message lets a follower know its leader or a higher commit index, and changes nothing else in it: neither
//! term, vote, log nor role. Its delivery is independent of the deliveries to other servers. Of all orders, only the
//! one in which it comes first is explored. Let one state differ from another only in that some followers are better
//! informed, and that some messages contain a higher `leader_commit`. Then:
//!
//! - An action is possible in both or in neither. Votes depend on term, vote and log. The entries that a follower
//!   stores depend on the request's previous entry. The messages of a leader depend on its log and on `match_index`,
//!   except for `leader_commit`. None depends on a follower's commit index.
//! - The relation holds between the successors. A receiver of a higher `leader_commit` is better informed. A crash
//!   erases the leader and keeps the applied index, so the order of two applied indexes stays.
//! - A rule that breaks in the less informed state breaks in the other one, where the same or more entries are known
//!   to be committed, and no later.
//!
//! A read, a compaction and the replacement of a server depend on the commit index. So this reduction is refused within
//! bounds that contain them.
//!
//! # Tests
//!
//! `reduced.rs` compares the reduced search with a full one within small bounds: the same configurations of the
//! servers, and for each full state a kept one that dominates it. It also searches for mistakes.

use raft::core::{Core, RoleName, SoftState};
use raft::rawnode::Message;
use raftapi::ServerId;
use stateright::Model;

use crate::action::Action;
use crate::history::History;
use crate::model::Cluster;
use crate::state::{Hashed, State, Used};

/// The reductions in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reductions {
    /// Whether a message that only informs its receiver is delivered at once.
    pub(crate) inform_at_once: bool,
    /// Whether a state is dropped if another one dominates it. Otherwise it is dropped only if it is equal to another.
    pub(crate) drop_dominated: bool,
}

/// The part of a state that is compared by dominance.
pub(crate) struct Summary {
    /// The hashes of the messages, in order.
    sent: Box<[u64]>,
    crashes: u8,
    elections: u8,
    ticks: u8,
    history: Hashed<History>,
}

impl Reductions {
    pub(crate) const NONE: Reductions = Reductions { inform_at_once: false, drop_dominated: false };
    pub(crate) const DOMINANCE: Reductions = Reductions { inform_at_once: false, drop_dominated: true };
    pub(crate) const ALL: Reductions = Reductions { inform_at_once: true, drop_dominated: true };
}

impl Summary {
    pub(crate) fn of(state: &State) -> Summary {
        let sent = state.sent.iter().map(Hashed::digest).collect();
        let Used { crashes, elections, ticks, .. } = state.used;
        Summary { sent, crashes, elections, ticks, history: state.history.clone() }
    }

    /// Returns whether everything that can happen after `other` can happen after this state, if both have one key.
    pub(crate) fn covers(&self, other: &Summary, reductions: Reductions) -> bool {
        if !reductions.drop_dominated {
            let used = |summary: &Summary| (summary.crashes, summary.elections, summary.ticks);
            return self.sent == other.sent && used(self) == used(other) && self.history == other.history;
        }
        self.crashes <= other.crashes
            && self.elections <= other.elections
            && self.ticks <= other.ticks
            && (self.history == other.history || self.history.covers(&other.history))
            && includes(&self.sent, &other.sent)
    }
}

/// Returns the hash of those parts of a state that two states must share for one of them to dominate the other.
pub(crate) fn key(state: &State) -> u64 {
    Hashed::hash_of(&(&state.servers, state.unaware, Used { crashes: 0, elections: 0, ticks: 0, ..state.used }))
}

/// Returns the hash of all that the servers promise or count: terms, votes, logs, roles and replicated indexes.
pub(crate) fn configuration(state: &State) -> u64 {
    let of_core = |core: &Core| {
        let SoftState { role, .. } = core.soft_state();
        let progress = core.peers().filter_map(|peer| core.progress(peer));
        let replicated: Vec<_> = progress.map(|progress| (progress.match_index(), progress.next_index())).collect();
        Hashed::hash_of(&(core.hard_state().term, core.hard_state().voted_for, core.log(), role, replicated))
    };
    Hashed::hash_of(&state.cores().map(of_core).collect::<Vec<_>>())
}

/// Returns the place of a state in the search. Most steps lead to a higher rank. So a state is expanded after most of
/// those that could lead to one that dominates it. The order has no other effect.
pub(crate) fn rank(state: &State) -> u64 {
    let of_server = |id: usize| {
        let core = state.servers[id].raw.core();
        let role = match core.soft_state().role {
            RoleName::Follower => u64::from(core.soft_state().leader.is_some()),
            RoleName::Candidate => 1,
            RoleName::Leader => {
                let peers = core.peers().filter_map(|peer| core.progress(peer));
                10 + peers.map(|progress| 2 * progress.match_index().0 + progress.next_index().0).sum::<u64>()
            }
        };
        let (first, last) = (core.log().base_index().next(), core.log().last_index());
        let log: u64 = core.log().entries(first, last).iter().map(|entry| 1 + 20 * entry.term.0).sum();
        1000 * core.current_term().0 + role + 4 * core.commit_index().0 + core.last_applied().0 + log
    };
    let used = &state.used;
    (0..state.servers.len()).map(of_server).sum::<u64>()
        + 100 * u64::from(used.crashes)
        + 10 * u64::from(used.proposals + used.reads + used.compactions + used.losses)
}

impl Cluster {
    /// Delivers every message of `state` that only informs its receiver, as long as there are any.
    pub(crate) fn inform_all(&self, state: State) -> State {
        let messages = state.sent.clone();
        self.inform(state, messages)
    }

    /// Like [`inform_all`](Cluster::inform_all), if `before` had no such messages and `of` has acted since.
    pub(crate) fn inform_after(&self, before: &State, state: State, of: ServerId) -> State {
        let may_inform = |message: &&Hashed<Message>| message.to == of || !before.contains(message);
        let messages = state.sent.iter().filter(may_inform).cloned().collect();
        self.inform(state, messages)
    }

    /// Delivers those of the `messages` that only inform, and those that are sent in reply.
    fn inform(&self, mut state: State, mut messages: Vec<Hashed<Message>>) -> State {
        while let Some(message) = messages.pop() {
            let to = message.to;
            // Another delivery may have removed the message.
            if !state.history.broken.is_empty() || !state.contains(&message) || !state.may_receive(to) {
                continue;
            }
            let action = Action::Deliver(message);
            let outcome = self.outcomes.get_or_compute(self.behavior(), &state.servers[to.0], &action);
            if !outcome.is_some_and(|outcome| outcome.only_informs) {
                continue;
            }
            if let Some(after) = self.next_state(&state, action).filter(|after| self.within_boundary(after)) {
                let may_inform = |message: &&Hashed<Message>| message.to == to || !state.contains(message);
                messages = messages.into_iter().chain(after.sent.iter().filter(may_inform).cloned()).collect();
                state = after;
            }
        }
        state
    }
}

/// Returns whether `all` has every element of `some`; both are ordered.
fn includes(all: &[u64], some: &[u64]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.by_ref().find(|&other| other >= one) == Some(one))
}

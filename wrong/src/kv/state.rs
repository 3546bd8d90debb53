//! What a server knows. All servers that have applied the same entries have the same [`Store`], and that is what a
//! snapshot consists of.

use std::collections::BTreeMap;

use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

use super::messages::{Operation, Reply, Request};

/// What a snapshot consists of.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The last entry whose effect is in here.
    pub(crate) last_applied: Index,
    pub(crate) values: BTreeMap<String, String>,
    /// For each client the number of the last write that was done for it. A client has one operation at a time, so all
    /// before it are done as well. A write has nothing to reply, and so there is no reply to remember.
    pub(crate) done: BTreeMap<u64, u64>,
}

impl Store {
    pub(crate) fn get(&self, key: &str) -> Reply {
        self.values.get(key).map_or(Reply::ErrNoKey, |value| Reply::Ok { value: value.clone() })
    }

    /// Whether this was done for the client, or something that it has asked later.
    pub(crate) fn has_done(&self, request: &Request) -> bool {
        self.done.get(&request.client).is_some_and(|&last| request.number <= last)
    }

    /// Does what is asked, also if it was done before.
    pub(crate) fn execute(&mut self, Request { client, number, operation }: Request) -> Reply {
        match operation {
            Operation::Get { key } => return self.get(&key),
            Operation::Put { key, value } => drop(self.values.insert(key, value)),
            Operation::Append { key, value } => self.values.entry(key).or_default().push_str(&value),
        }
        self.done.insert(client, number);
        Reply::done()
    }
}

pub(crate) struct State {
    pub(crate) store: Store,
    /// What became of the last entries that were applied, for the handlers that wait for it or are about to: the
    /// entry's term, and what to reply.
    outcomes: BTreeMap<Index, (Term, Reply)>,
    pub(crate) killed: bool,
}

impl State {
    /// Of so many entries it is known what became of them. A handler that comes later than that has to tell its clerk
    /// to ask again.
    const OUTCOMES: usize = 100;

    pub(crate) fn new(store: Store) -> State {
        State { store, outcomes: BTreeMap::new(), killed: false }
    }

    /// What became of the entry at `index`, and its term.
    pub(crate) fn outcome(&self, index: Index) -> Option<&(Term, Reply)> {
        self.outcomes.get(&index)
    }

    pub(crate) fn keep_outcome(&mut self, index: Index, term: Term, reply: Reply) {
        self.outcomes.insert(index, (term, reply));
        if self.outcomes.len() > State::OUTCOMES {
            self.outcomes.pop_first();
        }
    }

    /// Whether nobody will ever know what became of the entry at `index`.
    pub(crate) fn is_forgotten(&self, index: Index) -> bool {
        self.outcomes.first_key_value().is_some_and(|(first, _)| index < *first)
    }
}

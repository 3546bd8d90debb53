//! The state of a server. All servers that have applied the same entries have the same [`Store`], and a snapshot
//! contains exactly the store.

use std::collections::BTreeMap;

use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

use super::messages::{Operation, Reply, Request};

/// The replicated state, which is the content of a snapshot.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The index of the last applied entry.
    pub(crate) last_applied: Index,
    pub(crate) values: BTreeMap<String, String>,
    /// For each client, the serial number of its last executed write. A client has one operation at a time, so all
    /// earlier ones are executed as well. The reply to a write is empty, so replies need not be stored.
    pub(crate) newest_serials: BTreeMap<u64, u64>,
    /// Empty, except for the mistake that keeps what nobody needs.
    pub(crate) all_serials: Vec<u64>,
}

impl Store {
    pub(crate) fn get(&self, key: &str) -> Reply {
        self.values.get(key).map_or(Reply::ErrNoKey, |value| Reply::Ok { value: value.clone() })
    }

    /// Reports whether this request was executed, or a later one of the same client.
    pub(crate) fn has_executed(&self, request: &Request) -> bool {
        self.newest_serials.get(&request.client).is_some_and(|&newest| request.serial <= newest)
    }

    /// Executes a request, even if it was executed before.
    pub(crate) fn execute(&mut self, Request { client, serial, operation }: Request) -> Reply {
        match operation {
            Operation::Get { key } => return self.get(&key),
            Operation::Put { key, value } => drop(self.values.insert(key, value)),
            Operation::Append { key, value } => self.values.entry(key).or_default().push_str(&value),
        }
        self.newest_serials.insert(client, serial);
        Reply::written()
    }
}

pub(crate) struct State {
    pub(crate) store: Store,
    /// The term and the reply of each recently applied entry, for the handlers that wait for it or are about to.
    outcomes: BTreeMap<Index, (Term, Reply)>,
    pub(crate) killed: bool,
}

impl State {
    /// Number of entries whose outcomes are kept. A handler that looks too late has to tell its clerk to retry.
    const OUTCOMES_KEPT: usize = 100;

    pub(crate) fn new(store: Store) -> State {
        State { store, outcomes: BTreeMap::new(), killed: false }
    }

    /// Returns the term and the reply of the applied entry at `index`.
    pub(crate) fn outcome(&self, index: Index) -> Option<&(Term, Reply)> {
        self.outcomes.get(&index)
    }

    pub(crate) fn store_outcome(&mut self, index: Index, term: Term, reply: Reply) {
        self.outcomes.insert(index, (term, reply));
        if self.outcomes.len() > State::OUTCOMES_KEPT {
            self.outcomes.pop_first();
        }
    }

    /// Returns the term of the last applied entry whose outcome is kept.
    pub(crate) fn latest_term(&self) -> Option<Term> {
        self.outcomes.last_key_value().map(|(_, (term, _))| *term)
    }

    /// Reports whether the outcome of the entry at `index` is no longer kept.
    pub(crate) fn is_evicted(&self, index: Index) -> bool {
        self.outcomes.first_key_value().is_some_and(|(first, _)| index < *first)
    }
}

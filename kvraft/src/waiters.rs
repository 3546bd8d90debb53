//! The requests that wait for the result of an operation. All of this is under the server's lock. A request that is
//! settled here is answered after the lock is released.
//!
//! A handler registers its request *before* it gives the operation to Raft, because the entry may be applied before
//! `start` returns. The request is found again by the identity of the operation. The index of the entry alone is not
//! enough, because another leader may put its own entry at that index. Every settled request is removed, whatever its
//! result, so none is left behind.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use raftapi::{Index, Started, Term};

use crate::messages::{OperationId, Reply};

/// All waiting requests of one server. An `A` is the means to answer one of them.
pub(crate) struct Waiters<A> {
    /// The waiting requests. An operation whose request arrived twice has two.
    waiters: BTreeMap<WaiterId, Waiter<A>>,
    /// Number of requests that were ever registered.
    registered: u64,
    /// Entries of earlier terms are refused, because the leadership that accepted them is over.
    min_term: Term,
    /// Requests that no longer wait, with their replies.
    settled: Vec<(A, Reply)>,
}

/// Identifies one waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId {
    id: OperationId,
    number: u64,
}

struct Waiter<A> {
    /// Index and term of the entry, once Raft has accepted it.
    started: Option<Started>,
    answer: A,
}

impl<A> Waiters<A> {
    /// Registers a request that waits for the result of operation `id`.
    pub(crate) fn register(&mut self, id: OperationId, answer: A) -> WaiterId {
        self.registered += 1;
        let waiter = WaiterId { id, number: self.registered };
        self.waiters.insert(waiter, Waiter { started: None, answer });
        waiter
    }

    /// Records where Raft has put the operation in its log. The leadership of that term may be over by now, and the
    /// request may be settled already.
    pub(crate) fn set_started(&mut self, waiter: WaiterId, started: Started) {
        if started.term < self.min_term {
            self.refuse(waiter);
        } else if let Some(waiter) = self.waiters.get_mut(&waiter) {
            waiter.started = Some(started);
        }
    }

    /// Refuses one request. Raft did not accept its operation, or its entry is lost.
    pub(crate) fn refuse(&mut self, waiter: WaiterId) {
        if let Some(waiter) = self.waiters.remove(&waiter) {
            self.settled.push((waiter.answer, Reply::WrongLeader));
        }
    }

    /// Settles all requests that wait for operation `id`, which was executed with this result.
    pub(crate) fn resolve(&mut self, id: OperationId, reply: &Reply) {
        // On most servers no request waits.
        if self.waiters.is_empty() {
            return;
        }
        while let Some((&waiter, _)) = self.waiters.range(WaiterId::all_of(id)).next() {
            let waiter = self.waiters.remove(&waiter).expect("the range has just returned it");
            self.settled.push((waiter.answer, reply.clone()));
        }
    }

    /// Refuses the requests whose entry is at or before `applied`. Another entry was applied at that index, or the
    /// index is covered by a snapshot.
    pub(crate) fn refuse_up_to(&mut self, applied: Index) {
        self.refuse_where(|started| started.index <= applied);
    }

    /// Refuses the requests whose entry has a term before `term`, because `term` has begun. This includes requests
    /// whose entry becomes known only later.
    pub(crate) fn refuse_before(&mut self, term: Term) {
        self.min_term = self.min_term.max(term);
        self.refuse_where(|started| started.term < term);
    }

    /// Refuses the requests whose entry is of `term`, because this server's leadership in `term` is over.
    pub(crate) fn refuse_term(&mut self, term: Term) {
        self.refuse_where(|started| started.term == term);
    }

    /// Refuses all requests, because the server is stopping.
    pub(crate) fn refuse_all(&mut self) {
        let all = std::mem::take(&mut self.waiters).into_values();
        self.settled.extend(all.map(|waiter| (waiter.answer, Reply::WrongLeader)));
    }

    // fast: reads begin
    /// Settles a request that was not registered.
    #[cfg(feature = "fast")]
    pub(crate) fn settle(&mut self, answer: A, reply: Reply) {
        self.settled.push((answer, reply));
    }
    // fast: reads end

    /// Removes the settled requests and returns them with their replies, in the order in which they were settled.
    pub(crate) fn take_settled(&mut self) -> Vec<(A, Reply)> {
        std::mem::take(&mut self.settled)
    }

    /// Returns the number of waiting requests.
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Refuses the requests whose entry is `lost`. A request whose operation Raft has not accepted yet keeps waiting.
    fn refuse_where(&mut self, lost: impl Fn(Started) -> bool) {
        let is_lost = |waiter: &Waiter<A>| waiter.started.is_some_and(&lost);
        let refused: Vec<WaiterId> =
            self.waiters.iter().filter(|(_, waiter)| is_lost(waiter)).map(|(&id, _)| id).collect();
        refused.into_iter().for_each(|waiter| self.refuse(waiter));
    }
}

impl<A> Default for Waiters<A> {
    fn default() -> Waiters<A> {
        Waiters { waiters: BTreeMap::new(), registered: 0, min_term: Term::ZERO, settled: Vec::new() }
    }
}

impl WaiterId {
    fn all_of(id: OperationId) -> RangeInclusive<WaiterId> {
        WaiterId { id, number: 0 }..=WaiterId { id, number: u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: OperationId = OperationId { client: 1, seq: 1 };
    const B: OperationId = OperationId { client: 1, seq: 2 };

    fn started(index: u64, term: u64) -> Started {
        Started { index: Index(index), term: Term(term) }
    }

    /// Registers a request with this name that waits for operation `id` at this entry.
    fn wait(waiters: &mut Waiters<&'static str>, name: &'static str, id: OperationId, at: Started) {
        let waiter = waiters.register(id, name);
        waiters.set_started(waiter, at);
    }

    #[test]
    fn a_result_settles_all_requests_of_its_operation_only() {
        let mut waiters = Waiters::default();
        for (name, id) in [("one", A), ("two", B), ("three", A)] {
            wait(&mut waiters, name, id, started(5, 1));
        }
        waiters.resolve(A, &Reply::Written);
        assert_eq!(waiters.take_settled(), [("one", Reply::Written), ("three", Reply::Written)]);
        assert_eq!(waiters.len(), 1, "a settled request is removed");
    }

    #[test]
    fn a_result_that_arrives_before_start_returns_is_not_lost() {
        let mut waiters = Waiters::default();
        let waiter = waiters.register(A, "early");
        waiters.resolve(A, &Reply::Written);
        waiters.set_started(waiter, started(5, 1));
        assert_eq!(waiters.take_settled(), [("early", Reply::Written)]);
        assert!(waiters.len() == 0);
    }

    #[test]
    fn only_the_first_result_counts() {
        let mut waiters = Waiters::default();
        wait(&mut waiters, "one", A, started(5, 1));
        waiters.resolve(A, &Reply::Written);
        waiters.refuse_all();
        assert_eq!(waiters.take_settled(), [("one", Reply::Written)]);
        assert_eq!(waiters.take_settled(), [], "no request is answered twice");
    }

    #[test]
    fn only_requests_whose_entry_is_lost_are_refused() {
        let refused = |refuse: fn(&mut Waiters<&'static str>)| {
            let mut waiters = Waiters::default();
            for (name, at) in [("5 of 1", started(5, 1)), ("6 of 1", started(6, 1)), ("7 of 2", started(7, 2))] {
                wait(&mut waiters, name, A, at);
            }
            waiters.register(B, "Raft has not accepted this one yet");
            refuse(&mut waiters);
            let settled = waiters.take_settled();
            assert!(settled.iter().all(|(_, reply)| *reply == Reply::WrongLeader));
            settled.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(refused(|waiters| waiters.refuse_up_to(Index(6))), ["5 of 1", "6 of 1"]);
        assert_eq!(refused(|waiters| waiters.refuse_before(Term(2))), ["5 of 1", "6 of 1"]);
        assert_eq!(refused(|waiters| waiters.refuse_term(Term(2))), ["7 of 2"]);
    }

    #[test]
    fn a_request_that_waits_after_its_leadership_is_refused() {
        let mut waiters = Waiters::default();
        let late = waiters.register(A, "late");
        waiters.refuse_before(Term(2));
        assert_eq!(waiters.take_settled(), [], "Raft has not accepted it yet, and may do so in a later term");
        waiters.set_started(late, started(5, 1));
        assert_eq!(waiters.take_settled(), [("late", Reply::WrongLeader)]);
        wait(&mut waiters, "in time", B, started(6, 2));
        assert_eq!(waiters.take_settled(), []);
    }

    #[test]
    fn a_request_that_raft_does_not_accept_is_refused() {
        let mut waiters = Waiters::default();
        let waiter = waiters.register(A, "one");
        wait(&mut waiters, "two", A, started(6, 1));
        waiters.refuse(waiter);
        assert_eq!(waiters.take_settled(), [("one", Reply::WrongLeader)]);
        assert_eq!(waiters.len(), 1);
        waiters.resolve(A, &Reply::Written);
        assert!(waiters.len() == 0);
        assert_eq!(waiters.take_settled().len(), 1);
        waiters.resolve(A, &Reply::Written);
        assert_eq!(waiters.take_settled(), [], "a result without a waiting request settles nothing");
    }
}

//! The requests that wait: a write waits until its entry is applied, a read until it is confirmed.
//!
//! A write waits here until the loop proposes it, and then at the index of its entry. The entry that is applied at this
//! index decides the reply: if it has the same term, it is the proposed entry; otherwise the proposed entry is lost
//! (5.3, Log Matching). A read waits until a majority confirms that this server still leads, and then until its index
//! is applied (ReadIndex).

use std::collections::{BTreeMap, VecDeque};

use raftapi::{Index, ServerId, Started, Term};

use super::command::{Command, Write};
use crate::wire::{ClientReply, ReplyTo};

/// Most bytes of writes in one entry. A single larger write gets an entry of its own.
const ENTRY_BYTES: usize = 1 << 20;

/// The waiting requests of all clients, by the event that each waits for.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    /// Writes that are not proposed yet.
    writes: Vec<(Write, ReplyTo)>,
    /// Proposed writes, in the order of their indexes.
    proposed: VecDeque<Proposed>,
    /// Reads that no ReadIndex round includes yet.
    reads: Vec<Read>,
    /// Reads that wait for their ReadIndex round, by the number of the round.
    confirming: BTreeMap<u64, Vec<Read>>,
    /// Reads that a majority has confirmed, by the index that must be applied before the reply.
    confirmed: BTreeMap<Index, Vec<Read>>,
    /// The number of the last ReadIndex round.
    last_round: u64,
}

/// One client's read of a key.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) key: String,
    pub(super) reply: ReplyTo,
}

/// An entry that this leader proposed, and the clients that wait for it.
#[derive(Debug)]
struct Proposed {
    index: Index,
    term: Term,
    replies: Vec<ReplyTo>,
}

impl PendingRequests {
    /// Adds a client's write.
    pub(super) fn add_write(&mut self, write: Write, reply: ReplyTo) {
        self.writes.push((write, reply));
    }

    /// Adds a client's read.
    pub(super) fn add_read(&mut self, key: String, reply: ReplyTo) {
        self.reads.push(Read { key, reply });
    }

    /// Returns the number of waiting requests of all kinds.
    pub(super) fn count(&self) -> usize {
        let proposed: usize = self.proposed.iter().map(|proposed| proposed.replies.len()).sum();
        let confirming = self.confirming.values().chain(self.confirmed.values()).map(Vec::len).sum::<usize>();
        self.writes.len() + proposed + self.reads.len() + confirming
    }

    /// Takes the writes that are not proposed yet. Returns as few entries as the writes fit into, each with the clients
    /// that wait for it.
    pub(super) fn take_writes(&mut self) -> Vec<(Command, Vec<ReplyTo>)> {
        let mut entries = Vec::new();
        let (mut writes, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (write, reply) in self.writes.drain(..) {
            if !writes.is_empty() && bytes + write.bytes() > ENTRY_BYTES {
                entries.push((Command::Writes(std::mem::take(&mut writes)), std::mem::take(&mut replies)));
                bytes = 0;
            }
            bytes += write.bytes();
            writes.push(write);
            replies.push(reply);
        }
        if !writes.is_empty() {
            entries.push((Command::Writes(writes), replies));
        }
        entries
    }

    /// Adds the clients that wait for proposed entries. The first entry is at `first`, and the others follow it.
    pub(super) fn add_proposed(&mut self, first: Started, waiting: impl IntoIterator<Item = Vec<ReplyTo>>) {
        let Started { index, term } = first;
        let entries = (index.0..).zip(waiting);
        self.proposed.extend(entries.map(|(index, replies)| Proposed { index: Index(index), term, replies }));
    }

    /// Replies to the clients of all proposed entries up to `index`, of which the entry at `index`, of `term`, is now
    /// applied. Clients whose entry was lost receive [`ClientReply::OutcomeUnknown`].
    pub(super) fn complete_entry(&mut self, index: Index, term: Term) {
        while self.proposed.front().is_some_and(|proposed| proposed.index <= index) {
            let Some(proposed) = self.proposed.pop_front() else { break };
            let ours = proposed.index == index && proposed.term == term;
            let reply = if ours { ClientReply::Written } else { ClientReply::OutcomeUnknown };
            proposed.replies.into_iter().for_each(|waiting| waiting.send(reply.clone()));
        }
    }

    /// Replies to all clients after this server lost its leadership, or before it has one. A client whose entry was
    /// proposed must send the request again, because the entry may be lost; the others are redirected to the leader.
    pub(super) fn redirect(&mut self, leader: Option<ServerId>, leader_addr: Option<&str>) {
        // A dropped `ReplyTo` sends `OutcomeUnknown`.
        self.proposed.clear();
        let not_leader = || ClientReply::NotLeader { leader, leader_addr: leader_addr.map(str::to_string) };
        let confirming = std::mem::take(&mut self.confirming).into_values().flatten();
        let reads = self.reads.drain(..).chain(confirming).map(|read| read.reply);
        for reply in self.writes.drain(..).map(|(_, reply)| reply).chain(reads) {
            reply.send(not_leader());
        }
    }

    /// Returns whether some reads are in no ReadIndex round yet.
    pub(super) fn has_new_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Returns the number for a new ReadIndex round.
    pub(super) fn next_round(&mut self) -> u64 {
        self.last_round += 1;
        self.last_round
    }

    /// Starts round `round`, which includes all new reads.
    pub(super) fn start_round(&mut self, round: u64) {
        self.confirming.insert(round, std::mem::take(&mut self.reads));
    }

    /// Ends a round. `index` is the index that must be applied before the reads; `None` means that this server no
    /// longer led.
    pub(super) fn finish_round(&mut self, round: u64, index: Option<Index>) {
        let reads = self.confirming.remove(&round).unwrap_or_default();
        match index {
            Some(index) => self.confirmed.entry(index).or_default().extend(reads),
            None => reads.into_iter().for_each(|read| {
                read.reply.send(ClientReply::NotLeader { leader: None, leader_addr: None });
            }),
        }
    }

    /// Takes the reads that may be answered when everything up to `applied` is applied.
    pub(super) fn take_readable(&mut self, applied: Index) -> Vec<Read> {
        let later = self.confirmed.split_off(&applied.next());
        std::mem::replace(&mut self.confirmed, later).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::WriteOp;
    use crate::wire::messages::ServerMessage;
    use crate::wire::outbox::Outbox;

    /// Clients by number, and the replies that they receive.
    struct TestClients(Arc<Outbox>);

    impl TestClients {
        fn new() -> TestClients {
            TestClients(Arc::new(Outbox::new(100)))
        }

        fn reply_to(&self, number: u64) -> ReplyTo {
            ReplyTo::new(Arc::clone(&self.0), number)
        }

        /// Takes all replies sent so far.
        fn replies(&self) -> Vec<(u64, ClientReply)> {
            // Without a reply in the outbox, `take` would block.
            self.0.reply(u64::MAX, ClientReply::Busy);
            let replies = self.0.take().expect("the outbox is open").into_iter().map(|reply| match reply {
                ServerMessage::Reply { id, reply } => (id, reply),
                ServerMessage::Closing(reason) => panic!("{reason}"),
            });
            replies.filter(|(id, _)| *id != u64::MAX).collect()
        }
    }

    fn write(number: u64, bytes: usize) -> Write {
        let value = vec![b'x'; bytes].into();
        Write { client: number, seq: 1, key: "k".to_string(), op: WriteOp::Put, value }
    }

    fn at(index: u64, term: u64) -> Started {
        Started { index: Index(index), term: Term(term) }
    }

    #[test]
    fn waiting_writes_share_one_entry_up_to_the_size_limit() {
        let (test_clients, mut pending) = (TestClients::new(), PendingRequests::default());
        for (number, bytes) in [10, 10, ENTRY_BYTES, 10, ENTRY_BYTES / 2, ENTRY_BYTES / 2].into_iter().enumerate() {
            pending.add_write(write(number as u64, bytes), test_clients.reply_to(number as u64));
        }
        let entries: Vec<Vec<u64>> = pending
            .take_writes()
            .into_iter()
            .map(|(command, replies)| {
                let Command::Writes(writes) = command else { panic!("{command:?}") };
                assert_eq!(writes.len(), replies.len());
                writes.iter().map(|write| write.client).collect()
            })
            .collect();
        assert_eq!(entries, [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
        assert!(pending.take_writes().is_empty());
    }

    #[test]
    fn a_client_learns_whether_its_entry_was_applied() {
        let (test_clients, mut pending) = (TestClients::new(), PendingRequests::default());
        pending.add_proposed(
            at(5, 2),
            [
                vec![test_clients.reply_to(1), test_clients.reply_to(2)],
                vec![test_clients.reply_to(3)],
                vec![test_clients.reply_to(4)],
            ],
        );
        pending.complete_entry(Index(4), Term(1));
        assert_eq!(test_clients.replies(), [], "no client waits for entry 4");
        pending.complete_entry(Index(5), Term(2));
        assert_eq!(test_clients.replies(), [(1, ClientReply::Written), (2, ClientReply::Written)]);
        // Another leader's entry is applied at the next index.
        pending.complete_entry(Index(6), Term(3));
        assert_eq!(test_clients.replies(), [(3, ClientReply::OutcomeUnknown)]);
        assert_eq!(pending.count(), 1);
        pending.redirect(None, None);
        assert_eq!(test_clients.replies(), [(4, ClientReply::OutcomeUnknown)], "the entry may or may not be applied");
    }

    #[test]
    fn a_follower_redirects_requests_that_were_not_proposed() {
        let (test_clients, mut pending) = (TestClients::new(), PendingRequests::default());
        pending.add_write(write(1, 1), test_clients.reply_to(1));
        pending.add_read("k".to_string(), test_clients.reply_to(2));
        pending.redirect(Some(ServerId(1)), Some("there"));
        let elsewhere = ClientReply::NotLeader { leader: Some(ServerId(1)), leader_addr: Some("there".to_string()) };
        assert_eq!(test_clients.replies(), [(1, elsewhere.clone()), (2, elsewhere)]);
        assert_eq!(pending.count(), 0);
    }

    #[test]
    fn a_read_waits_for_a_majority_and_then_for_its_index() {
        let (test_clients, mut pending) = (TestClients::new(), PendingRequests::default());
        pending.add_read("a".to_string(), test_clients.reply_to(1));
        let first = pending.next_round();
        pending.start_round(first);
        pending.add_read("b".to_string(), test_clients.reply_to(2));
        let second = pending.next_round();
        pending.start_round(second);
        assert!(pending.take_readable(Index(100)).is_empty(), "no majority has confirmed the round");
        pending.finish_round(first, Some(Index(7)));
        assert!(pending.take_readable(Index(6)).is_empty(), "the index of the read is not applied");
        let keys: Vec<String> = pending.take_readable(Index(7)).into_iter().map(|read| read.key).collect();
        assert_eq!(keys, ["a"]);
        assert_eq!(
            test_clients.replies(),
            [(1, ClientReply::OutcomeUnknown)],
            "the loop replies to reads; here the request was dropped"
        );
        pending.finish_round(second, None);
        assert_eq!(test_clients.replies(), [(2, ClientReply::NotLeader { leader: None, leader_addr: None })]);
    }
}

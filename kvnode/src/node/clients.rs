//! The clients that wait: for a write to be executed, for a read to be confirmed.
//!
//! A write waits here until the loop proposes it, then at its place in the log. What is executed there decides: the entry
//! that was proposed has the same term, and any other means that ours is lost (5.3, Log Matching). A read waits for a majority to
//! confirm that this server still leads, then for its index to be applied (ReadIndex).

use std::collections::{BTreeMap, VecDeque};

use raftapi::{Index, ServerId, Started, Term};

use super::command::{Command, Write};
use crate::wire::{ClientReply, ReplyTo};

/// How many bytes of writes go into one entry, at most, unless a single one has more.
const ENTRY_BYTES: usize = 1 << 20;

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// Writes that nobody has proposed yet.
    writes: Vec<(Write, ReplyTo)>,
    /// Those that were proposed, in the order of their indexes.
    proposed: VecDeque<Proposed>,
    /// Reads that nobody has asked a majority about yet.
    reads: Vec<Read>,
    /// Reads that a majority is asked about, by the number of the question.
    asked: BTreeMap<u64, Vec<Read>>,
    /// Reads that may be answered when the index is applied.
    confirmed: BTreeMap<Index, Vec<Read>>,
    /// The number of the last question.
    questions: u64,
}

/// A client that wants to read a key.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) key: String,
    pub(super) reply: ReplyTo,
}

/// An entry of this leader's, and who waits for it.
#[derive(Debug)]
struct Proposed {
    index: Index,
    term: Term,
    replies: Vec<ReplyTo>,
}

impl Clients {
    /// A client wants to write.
    pub(super) fn write(&mut self, write: Write, reply: ReplyTo) {
        self.writes.push((write, reply));
    }

    /// A client wants to read.
    pub(super) fn read(&mut self, key: String, reply: ReplyTo) {
        self.reads.push(Read { key, reply });
    }

    /// How many wait, for anything.
    pub(super) fn waiting(&self) -> usize {
        let proposed: usize = self.proposed.iter().map(|proposed| proposed.replies.len()).sum();
        let asked = self.asked.values().chain(self.confirmed.values()).map(Vec::len).sum::<usize>();
        self.writes.len() + proposed + self.reads.len() + asked
    }

    /// The writes that wait to be proposed, as few entries as they fit into, and who waits for each entry.
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

    /// These wait for entries that were proposed, the first of them at `first`.
    pub(super) fn proposed(&mut self, first: Started, waiting: impl IntoIterator<Item = Vec<ReplyTo>>) {
        let Started { index, term } = first;
        let entries = (index.0..).zip(waiting);
        self.proposed.extend(entries.map(|(index, replies)| Proposed { index: Index(index), term, replies }));
    }

    /// The entry at `index`, of `term`, was executed: tells those who wait for it, and those who waited in vain.
    pub(super) fn executed(&mut self, index: Index, term: Term) {
        while self.proposed.front().is_some_and(|proposed| proposed.index <= index) {
            let Some(proposed) = self.proposed.pop_front() else { break };
            let ours = proposed.index == index && proposed.term == term;
            let reply = if ours { ClientReply::Written } else { ClientReply::Unanswered };
            proposed.replies.into_iter().for_each(|waiting| waiting.send(reply.clone()));
        }
    }

    /// This server does not lead any more, or not yet: those whose entries may be lost have to ask again, and the others to ask
    /// somebody else.
    pub(super) fn send_away(&mut self, leader: Option<ServerId>, leader_addr: Option<&str>) {
        // Dropped, they are told that nobody knows.
        self.proposed.clear();
        let elsewhere = || ClientReply::NotLeader { leader, leader_addr: leader_addr.map(str::to_string) };
        let asked = std::mem::take(&mut self.asked).into_values().flatten();
        let reads = self.reads.drain(..).chain(asked).map(|read| read.reply);
        for reply in self.writes.drain(..).map(|(_, reply)| reply).chain(reads) {
            reply.send(elsewhere());
        }
    }

    /// Whether there are reads that nobody has asked a majority about.
    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// The number of a question about all reads that have come.
    pub(super) fn next_question(&mut self) -> u64 {
        self.questions += 1;
        self.questions
    }

    /// A majority is asked this question, about all reads that have come.
    pub(super) fn asked(&mut self, question: u64) {
        self.asked.insert(question, std::mem::take(&mut self.reads));
    }

    /// The answer to a question: the index that has to be applied, or that this server led no longer.
    pub(super) fn confirmed(&mut self, question: u64, index: Option<Index>) {
        let reads = self.asked.remove(&question).unwrap_or_default();
        match index {
            Some(index) => self.confirmed.entry(index).or_default().extend(reads),
            None => reads.into_iter().for_each(|read| {
                read.reply.send(ClientReply::NotLeader { leader: None, leader_addr: None });
            }),
        }
    }

    /// The reads that may be answered, now that everything up to `applied` is.
    pub(super) fn readable(&mut self, applied: Index) -> Vec<Read> {
        let later = self.confirmed.split_off(&applied.next());
        std::mem::replace(&mut self.confirmed, later).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::WriteOp;
    use crate::wire::messages::FromServer;
    use crate::wire::outbox::Outbox;

    /// What clients ask, by number, and what they are told.
    struct Asking(Arc<Outbox>);

    impl Asking {
        fn new() -> Asking {
            Asking(Arc::new(Outbox::new(100)))
        }

        fn ask(&self, number: u64) -> ReplyTo {
            ReplyTo::new(Arc::clone(&self.0), number)
        }

        /// All that was told until now.
        fn told(&self) -> Vec<(u64, ClientReply)> {
            // So that there is something to take.
            self.0.reply(u64::MAX, ClientReply::Busy);
            let told = self.0.take().expect("it is open").into_iter().map(|reply| match reply {
                FromServer::Reply { id, reply } => (id, reply),
                FromServer::Bye(reason) => panic!("{reason}"),
            });
            told.filter(|(id, _)| *id != u64::MAX).collect()
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
    fn writes_that_come_together_become_one_entry_as_long_as_it_is_not_too_large() {
        let (asking, mut clients) = (Asking::new(), Clients::default());
        for (number, bytes) in [10, 10, ENTRY_BYTES, 10, ENTRY_BYTES / 2, ENTRY_BYTES / 2].into_iter().enumerate() {
            clients.write(write(number as u64, bytes), asking.ask(number as u64));
        }
        let entries: Vec<Vec<u64>> = clients
            .take_writes()
            .into_iter()
            .map(|(command, replies)| {
                let Command::Writes(writes) = command else { panic!("{command:?}") };
                assert_eq!(writes.len(), replies.len());
                writes.iter().map(|write| write.client).collect()
            })
            .collect();
        assert_eq!(entries, [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
        assert!(clients.take_writes().is_empty());
    }

    #[test]
    fn who_waits_is_told_what_became_of_its_entry() {
        let (asking, mut clients) = (Asking::new(), Clients::default());
        clients.proposed(at(5, 2), [vec![asking.ask(1), asking.ask(2)], vec![asking.ask(3)], vec![asking.ask(4)]]);
        clients.executed(Index(4), Term(1));
        assert_eq!(asking.told(), [], "nobody waits for that");
        clients.executed(Index(5), Term(2));
        assert_eq!(asking.told(), [(1, ClientReply::Written), (2, ClientReply::Written)]);
        // Another leader's entry is in the place of the next.
        clients.executed(Index(6), Term(3));
        assert_eq!(asking.told(), [(3, ClientReply::Unanswered)]);
        assert_eq!(clients.waiting(), 1);
        clients.send_away(None, None);
        assert_eq!(asking.told(), [(4, ClientReply::Unanswered)], "it may be executed or not");
    }

    #[test]
    fn a_server_that_does_not_lead_sends_away_who_has_asked_for_nothing_yet() {
        let (asking, mut clients) = (Asking::new(), Clients::default());
        clients.write(write(1, 1), asking.ask(1));
        clients.read("k".to_string(), asking.ask(2));
        clients.send_away(Some(ServerId(1)), Some("there"));
        let there = ClientReply::NotLeader { leader: Some(ServerId(1)), leader_addr: Some("there".to_string()) };
        assert_eq!(asking.told(), [(1, there.clone()), (2, there)]);
        assert_eq!(clients.waiting(), 0);
    }

    #[test]
    fn a_read_waits_for_a_majority_and_then_for_its_index() {
        let (asking, mut clients) = (Asking::new(), Clients::default());
        clients.read("a".to_string(), asking.ask(1));
        let first = clients.next_question();
        clients.asked(first);
        clients.read("b".to_string(), asking.ask(2));
        let second = clients.next_question();
        clients.asked(second);
        assert!(clients.readable(Index(100)).is_empty(), "no majority has answered");
        clients.confirmed(first, Some(Index(7)));
        assert!(clients.readable(Index(6)).is_empty(), "what it has to see is not applied");
        let keys: Vec<String> = clients.readable(Index(7)).into_iter().map(|read| read.key).collect();
        assert_eq!(keys, ["a"]);
        assert_eq!(asking.told(), [(1, ClientReply::Unanswered)], "who answers a read is the loop; here nobody has");
        clients.confirmed(second, None);
        assert_eq!(asking.told(), [(2, ClientReply::NotLeader { leader: None, leader_addr: None })]);
    }
}

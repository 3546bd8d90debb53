//! Arbitrary messages on arbitrary states of a `RawNode`: each message is refused, and then nothing has changed, or it
//! is handled, and then the state is one that a correct server can have. In particular no message removes a committed
//! entry, takes back a vote, or makes the saved state unusable.
//!
//! `ARBITRARY_CASES=n cargo test --release -p raft --test arbitrary_messages` tries n states. The test prints how many
//! messages were handled and refused.

#[path = "owner/mod.rs"]
mod owner;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use owner::Disk;
use proptest::prelude::*;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Entry, HardState, InstallSnapshotArgs, InstallSnapshotReply, Log,
    RequestVoteArgs, RequestVoteReply, SentRequest,
};
use raft::rawnode::{Body, Config, Message, NewEntries, RawNode, Ready, RequestId, Snapshot, TransferOutcome};
use raftapi::{Index, ServerId, Term};

/// Number of states that the test tries by default.
const CASES: u32 = 1_500;
/// Most messages on one state.
const MESSAGES_MAX: usize = 12;

/// A saved state, and the role that the node takes before the messages arrive.
#[derive(Clone, Debug)]
struct Start {
    servers: usize,
    base: (u64, u64),
    /// By how much the term of each entry exceeds that of the one before.
    steps: Vec<u64>,
    applied: u64,
    term_step: u64,
    voted_for: Option<usize>,
    role: u8,
}

fn start() -> impl Strategy<Value = Start> {
    let log = (0..3_u64, 0..3_u64, prop::collection::vec(0..2_u64, 0..6));
    let state = (1..=5_usize, any::<u64>(), 0..3_u64, prop::option::of(0..5_usize), 0..3_u8);
    (log, state).prop_map(|((base, base_term, steps), (servers, applied, term_step, voted_for, role))| {
        let base = (base, if base == 0 { 0 } else { base_term + 1 });
        let applied = base.0 + applied % (steps.len() as u64 + 1);
        Start { servers, base, steps, applied, term_step, voted_for: voted_for.filter(|&id| id < servers), role }
    })
}

/// A number that is mostly small, so that it often fits to the state, and sometimes extreme.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![30 => 0..9_u64, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(1 << 62)]
}

fn index() -> impl Strategy<Value = Index> {
    number().prop_map(Index)
}

fn term() -> impl Strategy<Value = Term> {
    number().prop_map(Term)
}

fn server() -> impl Strategy<Value = ServerId> {
    prop_oneof![20 => 0..5_usize, 1 => Just(64), 1 => any::<usize>()].prop_map(ServerId)
}

fn sent() -> impl Strategy<Value = SentRequest> {
    let few = prop_oneof![9 => Just(0), 1 => number()];
    (term(), index(), 0..4_u64, prop::option::of(0..4_u64), few, index()).prop_map(
        |(term, prev_log_index, more, number, reads, match_index)| SentRequest {
            term,
            prev_log_index,
            last_index: Index(prev_log_index.0.saturating_add(more)),
            number,
            reads,
            match_index,
        },
    )
}

fn request_id() -> impl Strategy<Value = RequestId> {
    (prop::option::of(0..4_u64), number(), index()).prop_map(|(number, reads, match_index)| RequestId {
        number,
        reads,
        match_index,
    })
}

fn body() -> impl Strategy<Value = Body> {
    let vote = (term(), server(), index(), term()).prop_map(|(term, candidate_id, last_log_index, last_log_term)| {
        Body::RequestVote(RequestVoteArgs { term, candidate_id, last_log_index, last_log_term })
    });
    let vote_reply = (term(), term(), any::<bool>()).prop_map(|(request_term, term, vote_granted)| {
        Body::RequestVoteReply { request_term, reply: RequestVoteReply { term, vote_granted } }
    });
    let entry = (term(), 0..4_u8).prop_map(|(term, command)| Entry { term, command: Bytes::from(vec![command]) });
    let entries = (prop::collection::vec(entry, 0..4), prop::bool::weighted(0.8)).prop_map(|(mut entries, sorted)| {
        if sorted {
            entries.sort_by_key(|entry| entry.term);
        }
        entries
    });
    let append = (term(), server(), index(), term(), entries, index(), request_id()).prop_map(
        |(term, leader_id, prev_log_index, prev_log_term, entries, leader_commit, request_id)| {
            let args = AppendEntriesArgs { term, leader_id, prev_log_index, prev_log_term, entries, leader_commit };
            Body::AppendEntries { args, request_id }
        },
    );
    let append_reply = (sent(), term(), any::<bool>(), prop::option::of(term()), index()).prop_map(
        |(sent, term, success, conflict_term, conflict_index)| {
            let reply = AppendEntriesReply { term, success, conflict_term, conflict_index };
            Body::AppendEntriesReply { sent, reply }
        },
    );
    let install = (term(), server(), index(), term(), request_id()).prop_map(
        |(term, leader_id, last_included_index, last_included_term, request_id)| {
            let data = Bytes::new();
            let args = InstallSnapshotArgs { term, leader_id, last_included_index, last_included_term, data };
            Body::InstallSnapshot { args, request_id }
        },
    );
    let install_reply = (sent(), term(), index()).prop_map(|(sent, term, committed)| Body::InstallSnapshotReply {
        sent,
        reply: InstallSnapshotReply { term },
        committed,
    });
    prop_oneof![2 => vote, 2 => vote_reply, 6 => append, 3 => append_reply, 2 => install, 1 => install_reply]
}

/// A message whose sender is mostly the one that it names, whose receiver is mostly S0, and whose term is mostly near
/// the node's.
fn message() -> impl Strategy<Value = (Message, bool)> {
    (server(), prop_oneof![20 => Just(ServerId(0)), 1 => server()], body(), prop::bool::weighted(0.7))
        .prop_map(|(from, to, body, fitting)| (Message { from, to, body }, fitting))
}

/// Makes the message name its sender, and gives it the term of the node and its entries terms up to that one.
fn fit(message: Message, node: &RawNode) -> Message {
    let Message { from, to, mut body } = message;
    let now = node.core().current_term().max(Term(1));
    match &mut body {
        Body::RequestVote(args) => {
            (args.candidate_id, args.term) = (from, Term(now.0.saturating_add(args.term.0 % 2)));
            args.last_log_term = args.last_log_term.min(now);
        }
        Body::RequestVoteReply { request_term, reply } => (*request_term, reply.term) = (now, now),
        Body::AppendEntries { args, .. } => {
            (args.leader_id, args.term) = (from, Term(now.0.saturating_add(args.term.0 % 2)));
            args.entries.iter_mut().for_each(|entry| entry.term = entry.term.min(args.term));
            args.prev_log_term = node.core().log().term(args.prev_log_index).unwrap_or(args.prev_log_term.min(now));
        }
        Body::AppendEntriesReply { sent, reply } => (sent.term, reply.term) = (now, now),
        Body::InstallSnapshot { args, .. } => {
            (args.leader_id, args.term) = (from, now);
            args.last_included_term = args.last_included_term.min(now);
        }
        Body::InstallSnapshotReply { sent, reply, .. } => (sent.term, reply.term) = (now, now),
    }
    Message { from, to, body }
}

/// The node S0 with its disk.
struct Owner {
    raw: RawNode,
    disk: Disk,
}

impl Owner {
    fn start(start: &Start) -> Owner {
        let mut term = start.base.1.max(1);
        let entries: Vec<Entry> = start
            .steps
            .iter()
            .map(|step| {
                term += step;
                Entry { term: Term(term), command: Bytes::new() }
            })
            .collect();
        let hard_state = HardState { term: Term(term + start.term_step), voted_for: start.voted_for.map(ServerId) };
        let mut disk = Disk::default();
        if start.base.0 > 0 {
            let (index, term) = (Index(start.base.0), Term(start.base.1));
            let snapshot = Some(Snapshot { index, term, descriptor: Bytes::new() });
            disk.save(&Ready { snapshot, ..Ready::default() });
        }
        let entries =
            (!entries.is_empty()).then_some(NewEntries { truncates: false, first: Index(start.base.0 + 1), entries });
        disk.save(&Ready { hard_state: Some(hard_state), entries, ..Ready::default() });
        disk.applied = Index(start.applied);
        let raw = RawNode::new(disk.config(ServerId(0), start.servers)).expect("a possible state");
        let mut owner = Owner { raw, disk };
        if start.role > 0 {
            owner.raw.campaign();
        }
        if start.role > 1 {
            let term = owner.raw.core().current_term();
            let reply = RequestVoteReply { term, vote_granted: true };
            for from in (1..start.servers).map(ServerId) {
                let body = Body::RequestVoteReply { request_term: term, reply };
                owner.raw.step(Message { from, to: ServerId(0), body }).expect("a vote");
            }
            let _ = owner.raw.propose(Bytes::from("own"));
        }
        owner.carry_out();
        owner
    }

    fn carry_out(&mut self) {
        while self.raw.has_ready() {
            let ready = self.raw.ready();
            self.disk.save(&ready);
            if let Some(last) = ready.committed.last() {
                self.disk.applied = last.index;
            }
            for task in &ready.snapshot_tasks {
                self.raw.report_snapshot(task, TransferOutcome::Arrived);
            }
            self.raw.advance();
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.raw.hash(&mut hasher);
        hasher.finish()
    }
}

/// Checks that a correct server can get from the state `before` to the state `after`.
fn check_step(before: &Core, after: &Core) {
    assert!(before.commit_index() <= after.commit_index(), "the commit index never decreases");
    assert!(after.last_applied() <= after.commit_index(), "only committed entries are applied");
    assert!(after.commit_index() <= after.log().last_index(), "committed entries are in the log");
    let base = before.log().base_index().max(after.log().base_index());
    if base < before.commit_index() {
        let (first, last) = (base.next(), before.commit_index());
        assert_eq!(before.log().entries(first, last), after.log().entries(first, last), "a committed entry remains");
    }
    let (old, new) = (before.hard_state(), after.hard_state());
    assert!(old.term <= new.term, "a term never decreases");
    assert!(
        old.term < new.term || old.voted_for.is_none() || old.voted_for == new.voted_for,
        "a vote is never taken back: {old:?}, {new:?}"
    );
    let log = after.log();
    let mut last = log.base_term();
    for entry in log.entries(log.base_index().next(), log.last_index()) {
        assert!(last <= entry.term && entry.term <= new.term, "terms rise up to the server's own: {log:?}");
        last = entry.term;
    }
    if before.is_leader() && old.term == new.term {
        assert!(after.is_leader(), "a leader leads until it sees a higher term");
        let (first, last) = (before.log().base_index().next(), before.log().last_index());
        assert_eq!(before.log().entries(first, last), log.entries(first, last), "a leader only appends");
    }
}

#[test]
fn no_message_brings_a_node_into_an_impossible_state() {
    let cases = std::env::var("ARBITRARY_CASES").ok().map(|cases| cases.parse().expect("ARBITRARY_CASES is a number"));
    let config = ProptestConfig { cases: cases.unwrap_or(CASES), failure_persistence: None, ..Default::default() };
    let (handled, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    proptest!(config, |(start in start(), messages in prop::collection::vec(message(), 1..MESSAGES_MAX))| {
        let mut owner = Owner::start(&start);
        for (message, fitting) in messages {
            let message = if fitting { fit(message, &owner.raw) } else { message };
            let (before, hash) = (owner.raw.core().clone(), owner.hash());
            match owner.raw.step(message) {
                Ok(()) => {
                    handled.fetch_add(1, Relaxed);
                    check_step(&before, owner.raw.core());
                    owner.carry_out();
                    check_step(&before, owner.raw.core());
                    let log = owner.raw.core().log();
                    let saved = (owner.disk.last_index(), owner.disk.term(owner.disk.last_index()));
                    prop_assert_eq!(saved, (log.last_index(), Some(log.last_term())), "all of the log is saved");
                    let restarted = RawNode::new(owner.disk.config(ServerId(0), start.servers));
                    prop_assert!(restarted.is_ok(), "the saved state is usable: {:?}", restarted.err());
                }
                Err(error) => {
                    refused.fetch_add(1, Relaxed);
                    prop_assert_eq!(owner.hash(), hash, "a refused message changes nothing: {}", error);
                }
            }
        }
    });
    let (handled, refused) = (handled.into_inner(), refused.into_inner());
    println!("{handled} messages handled, {refused} refused");
    assert!(handled > 2 * u64::from(CASES) / 3 && refused > u64::from(CASES) / 2, "{handled}, {refused}");
}

#[test]
fn a_cluster_of_more_servers_than_a_set_holds_is_refused() {
    assert!(RawNode::new(Config::new(ServerId(0), 64)).is_ok());
    let error = RawNode::new(Config::new(ServerId(0), 65)).expect_err("65 servers are too many");
    assert!(error.to_string().contains("at most 64"), "{error}");
}

#[test]
fn a_saved_state_near_the_end_of_its_range_is_refused() {
    for (base, term) in [(u64::MAX, 1), (1, u64::MAX)] {
        let hard_state = HardState { term: Term(term), voted_for: None };
        let log = Log::after(Index(base), Term(1), Vec::new());
        let config = Config { hard_state, log, applied: Index(base), ..Config::new(ServerId(0), 3) };
        let error = RawNode::new(config).expect_err("no node has saved it");
        assert!(error.to_string().contains("near the end of their range"), "{error}");
    }
}

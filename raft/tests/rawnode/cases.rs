//! The guarantees of a `RawNode` to its owner, one case at a time.

use bytes::Bytes;
use raft::core::{AppendEntriesArgs, Entry, HardState, InstallSnapshotArgs, Log, LostEntry, RequestVoteArgs, RoleName};
use raft::rawnode::{
    Body, Config, Message, NotLeader, RawNode, ReadRefused, ReadState, Ready, RequestId, TransferOutcome,
};
use raftapi::{FollowerState, Index, ServerId, Term};

use crate::owner::Disk;

const S0: ServerId = ServerId(0);
const S1: ServerId = ServerId(1);
const S2: ServerId = ServerId(2);

/// A node with its disk, and the committed entries and reads that it has handed out.
struct Owner {
    raw: RawNode,
    disk: Disk,
}

impl Owner {
    fn new(me: ServerId, servers: usize) -> Owner {
        let config = Config { heartbeat_ticks: 1, reply_timeout_ticks: 2, ..Config::new(me, servers) };
        Owner { raw: RawNode::new(config).expect("a node that has never run"), disk: Disk::default() }
    }

    /// Carries out one Ready.
    fn carry_out(&mut self) -> Ready {
        assert!(self.raw.has_ready(), "there is work to do");
        let ready = self.raw.ready();
        self.disk.save(&ready);
        if let Some(last) = ready.committed.last() {
            self.disk.applied = last.index;
        }
        self.raw.advance();
        ready
    }

    /// Carries out every Ready. Returns the messages sent.
    fn carry_out_all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.raw.has_ready() {
            messages.extend(self.carry_out().messages);
        }
        messages
    }

    fn step(&mut self, message: Message) {
        self.raw.step(message).expect("a node's message");
    }

    fn restart(&mut self) {
        let me = self.raw.core().me();
        let config = Config { heartbeat_ticks: 1, reply_timeout_ticks: 2, ..self.disk.config(me, 3) };
        self.raw = RawNode::new(config).expect("the saved state is complete");
    }
}

/// Delivers messages between the owners until there are none. No message to or from `silent` arrives.
fn exchange(owners: &mut [Owner], silent: Option<ServerId>) {
    for _ in 0..1_000 {
        let mut messages: Vec<Message> = owners.iter_mut().flat_map(Owner::carry_out_all).collect();
        messages.retain(|message| silent != Some(message.from) && silent != Some(message.to));
        if messages.is_empty() {
            return;
        }
        messages.into_iter().for_each(|message| owners[message.to.0].step(message));
    }
    panic!("the nodes never stop sending");
}

/// Creates three servers, of which S0 leads term 1.
fn cluster_led_by_s0() -> Vec<Owner> {
    let mut owners: Vec<Owner> = [S0, S1, S2].map(|me| Owner::new(me, 3)).into();
    owners[0].raw.campaign();
    exchange(&mut owners, None);
    assert!(owners[0].raw.core().is_leader(), "the only candidate wins");
    owners
}

fn command(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn append(prev: (u64, u64), term: u64, terms: &[u64], commit: u64) -> Message {
    let args = AppendEntriesArgs {
        term: Term(term),
        leader_id: S1,
        prev_log_index: Index(prev.0),
        prev_log_term: Term(prev.1),
        entries: terms.iter().map(|&term| Entry { term: Term(term), command: command("x") }).collect(),
        leader_commit: Index(commit),
    };
    Message {
        from: S1,
        to: S0,
        body: Body::AppendEntries { args, request_id: RequestId { number: Some(1), reads: 0, match_index: Index(0) } },
    }
}

#[test]
fn a_new_node_has_nothing_to_do() {
    let node = RawNode::new(Config::new(S0, 3)).expect("a node that has never run");
    assert!(!node.has_ready(), "nothing has happened");
    assert_eq!(node.soft_state().role, RoleName::Follower);
}

#[test]
fn a_proposal_to_a_follower_is_refused_and_names_the_leader() {
    let mut owners = cluster_led_by_s0();
    assert_eq!(owners[1].raw.propose(command("a")), Err(NotLeader { leader: Some(S0) }));
    assert_eq!(owners[1].raw.read_index(1), Err(ReadRefused::NotLeader(NotLeader { leader: Some(S0) })));
    let mut alone = Owner::new(S0, 3);
    let refused = alone.raw.propose_many([command("a")]).expect_err("there is no leader");
    assert_eq!(refused.to_string(), "this server does not lead and knows no leader");
}

#[test]
fn proposals_made_together_share_one_save_and_one_message() {
    let mut owners = cluster_led_by_s0();
    let started = owners[0].raw.propose_many([command("a"), command("b")]).expect("it leads");
    let _ = owners[0].raw.propose(command("c"));
    assert_eq!((started.index, started.term), (Index(1), Term(1)));
    let ready = owners[0].carry_out();
    let new = ready.entries.expect("entries to be saved");
    assert_eq!((new.first, new.entries.len(), new.truncates), (Index(1), 3, false));
    assert_eq!(ready.messages.len(), 2, "one message per peer: {:?}", ready.messages);
    assert_eq!(ready.committed, [], "no peer has replied");
    assert!(ready.hard_state.is_none() && ready.soft_state.is_none(), "parts without a change are empty");
}

#[test]
fn a_single_server_waits_for_its_own_disk() {
    let mut owner = Owner::new(S0, 1);
    owner.raw.campaign();
    let _ = owner.raw.propose(command("a"));
    let ready = owner.carry_out();
    assert!(ready.entries.is_some() && ready.committed.is_empty(), "an unsaved entry is not handed out: {ready:?}");
    assert_eq!(owner.carry_out().committed.len(), 1, "it is saved now");
}

#[test]
fn committed_entries_are_saved_before_they_are_handed_out() {
    let mut owner = Owner::new(S0, 3);
    owner.step(append((0, 0), 1, &[1, 1], 2));
    let ready = owner.carry_out();
    assert!(ready.entries.is_some() && ready.committed.is_empty(), "the entries are saved first: {ready:?}");
    assert_eq!(owner.carry_out().committed.len(), 2, "then they are handed out");
}

#[test]
fn a_truncated_log_sets_truncates() {
    let mut owner = Owner::new(S0, 3);
    owner.step(append((0, 0), 1, &[1, 1, 1], 0));
    owner.carry_out_all();
    owner.step(append((1, 1), 2, &[2], 0));
    let new = owner.carry_out().entries.expect("entries to be saved");
    assert_eq!((new.truncates, new.first, new.entries.len()), (true, Index(2), 1));
    assert_eq!(owner.disk.last_index(), Index(2));
}

#[test]
fn entries_replaced_during_a_save_are_overwritten_later() {
    let mut owner = Owner::new(S0, 3);
    owner.step(append((0, 0), 1, &[1, 1, 1], 0));
    let first = owner.raw.ready();
    owner.step(append((1, 1), 2, &[2], 2));
    assert!(!owner.raw.has_ready(), "only one Ready at a time");
    owner.disk.save(&first);
    owner.raw.advance();
    let second = owner.carry_out();
    assert!(second.entries.as_ref().is_some_and(|new| new.truncates && new.first == Index(2)), "{second:?}");
    let handed_out: Vec<Index> = second.committed.iter().map(|entry| entry.index).collect();
    assert_eq!(handed_out, [Index(1)], "the entry at 2 is not saved yet");
    assert_eq!(owner.carry_out().committed.len(), 1);
}

#[test]
fn after_a_restart_the_first_entry_follows_the_applied_one() {
    let entries = [1, 1, 1].map(|term| Entry { term: Term(term), command: command("x") });
    let hard_state = HardState { term: Term(1), voted_for: None };
    let config = Config { hard_state, log: Log::new(entries.into()), applied: Index(2), ..Config::new(S0, 3) };
    let mut node = RawNode::new(config).expect("the saved state is complete");
    assert!(!node.has_ready(), "applied entries are not handed out again");
    node.step(append((3, 1), 1, &[], 3)).expect("a node's message");
    let handed_out: Vec<Index> = node.ready().committed.iter().map(|entry| entry.index).collect();
    assert_eq!(handed_out, [Index(3)]);
}

#[test]
fn an_impossible_saved_state_is_refused_in_one_line() {
    let log = Log::new(vec![Entry { term: Term(3), command: command("x") }]);
    let config = Config { log: log.clone(), ..Config::new(S0, 3) };
    let refused = RawNode::new(config).expect_err("the saved term is lost").to_string();
    assert!(refused.contains("ends in term 3, but the saved term is 0"), "{refused}");
    let hard_state = HardState { term: Term(3), voted_for: None };
    let config = Config { hard_state, log, applied: Index(2), ..Config::new(S0, 3) };
    let refused = RawNode::new(config).expect_err("an entry is lost").to_string();
    assert!(refused.contains("entries up to 2 were applied") && !refused.contains('\n'), "{refused}");
    let refused = RawNode::new(Config::new(S2, 2)).expect_err("there is no such server").to_string();
    assert_eq!(refused, "S2 is not one of 2 servers: check the list of servers");
}

#[test]
fn a_vote_is_saved_before_it_is_sent_and_survives() {
    let mut owner = Owner::new(S0, 3);
    let ask = |from, term| {
        let args = RequestVoteArgs {
            term: Term(term),
            candidate_id: from,
            last_log_index: Index::ZERO,
            last_log_term: Term::ZERO,
        };
        Message { from, to: S0, body: Body::RequestVote(args) }
    };
    let granted = |messages: &[Message]| matches!(messages, [Message { body: Body::RequestVoteReply { reply, .. }, .. }] if reply.vote_granted);
    owner.step(ask(S1, 1));
    let ready = owner.raw.ready();
    assert!(ready.hard_state.is_some() && ready.needs_sync() && granted(&ready.messages), "{ready:?}");
    // A crash before the vote is saved: no candidate has received it.
    owner.restart();
    owner.step(ask(S2, 1));
    assert!(granted(&owner.carry_out_all()), "the vote is free");
    // A crash after the vote is saved, whether it was sent or not: the vote is given.
    owner.restart();
    owner.step(ask(S1, 1));
    assert!(!granted(&owner.carry_out_all()), "one vote a term");
    owner.step(ask(S2, 1));
    assert!(granted(&owner.carry_out_all()), "the same reply as before");
}

#[test]
fn a_heartbeat_commits_no_more_than_match_index() {
    let mut owners = cluster_led_by_s0();
    let _ = owners[0].raw.propose(command("a"));
    exchange(&mut owners, Some(S2));
    assert_eq!(owners[0].raw.core().commit_index(), Index(1));
    owners[0].raw.tick(|| 1);
    let commits: Vec<(ServerId, Index)> = owners[0]
        .carry_out_all()
        .iter()
        .map(|message| match &message.body {
            Body::AppendEntries { args, .. } if args.entries.is_empty() => (message.to, args.leader_commit),
            body => panic!("a heartbeat is due, not {body:?}"),
        })
        .collect();
    assert_eq!(commits, [(S1, Index(1)), (S2, Index(0))]);
}

#[test]
fn a_lagging_follower_gets_entries_after_a_heartbeat_reply() {
    let mut owners = cluster_led_by_s0();
    let _ = owners[0].raw.propose(command("a"));
    exchange(&mut owners, Some(S2));
    // Without a reply the request in flight times out, and only heartbeats are sent.
    owners[0].raw.tick(|| 1);
    owners[0].raw.tick(|| 1);
    let lag = owners[0].raw.status().followers[1];
    assert_eq!((lag.server, lag.match_index, lag.state), (S2, Index(0), FollowerState::Silent));
    exchange(&mut owners, None);
    assert_eq!(owners[0].raw.status().followers[1].match_index, Index(1), "it received the missing entries");
}

#[test]
fn a_repeated_or_late_reply_is_harmless() {
    let mut owners = cluster_led_by_s0();
    let _ = owners[0].raw.propose(command("a"));
    let messages = owners[0].carry_out_all();
    messages.into_iter().filter(|message| message.to == S1).for_each(|message| owners[1].step(message));
    let replies = owners[1].carry_out_all();
    let old = replies[0].clone();
    replies.into_iter().for_each(|message| owners[0].step(message));
    let _ = owners[0].raw.propose(command("b"));
    owners[0].carry_out_all();
    owners[0].step(old.clone());
    let sent = owners[0].carry_out_all();
    let entries_to_s1 = sent.iter().filter(|message| {
        message.to == S1 && matches!(&message.body, Body::AppendEntries { args, .. } if !args.entries.is_empty())
    });
    assert_eq!(entries_to_s1.count(), 0, "an old reply does not end the wait for the request in flight: {sent:?}");
    // In another term it says nothing at all.
    owners[0].restart();
    owners[0].raw.campaign();
    let before = owners[0].raw.status();
    owners[0].step(old);
    assert_eq!(owners[0].raw.status(), before);
}

#[test]
fn messages_that_no_node_sends_are_refused() {
    let mut owners = cluster_led_by_s0();
    let stranger = Message { to: S1, ..append((0, 0), 1, &[], 0) };
    let refused = owners[0].raw.step(stranger).expect_err("the message is for another server").to_string();
    assert!(refused.contains("check the addresses") && !refused.contains('\n'), "{refused}");
    let liar = Message { from: S2, ..append((0, 0), 1, &[], 0) };
    assert!(owners[0].raw.step(liar).is_err(), "the arguments name another sender");
    assert!(!owners[0].raw.has_ready(), "nothing has changed");
}

#[test]
fn reads_are_confirmed_by_a_majority_or_lost() {
    let mut owners = cluster_led_by_s0();
    assert_eq!(owners[0].raw.read_index(1), Err(ReadRefused::NothingCommitted));
    let _ = owners[0].raw.propose(command("a"));
    exchange(&mut owners, None);
    owners[0].raw.read_index(7).expect("it leads");
    let heartbeats = owners[0].carry_out();
    assert_eq!((heartbeats.messages.len(), heartbeats.reads.len()), (2, 0), "it asks both peers: {heartbeats:?}");
    heartbeats.messages.into_iter().filter(|message| message.to == S1).for_each(|message| owners[1].step(message));
    owners[1].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    assert_eq!(owners[0].carry_out().reads, [ReadState { context: 7, index: Some(Index(1)) }]);

    owners[0].raw.read_index(8).expect("it leads");
    owners[2].raw.campaign();
    owners[2]
        .carry_out_all()
        .into_iter()
        .filter(|message| message.to == S0)
        .for_each(|message| owners[0].step(message));
    assert_eq!(owners[0].carry_out().reads, [ReadState { context: 8, index: None }]);
}

/// Creates a leader whose log begins after entry 3, and a follower S2 that has none of the entries.
fn with_a_lagging_follower() -> Vec<Owner> {
    let mut owners = cluster_led_by_s0();
    let _ = owners[0].raw.propose_many(["a", "b", "c"].map(command));
    exchange(&mut owners, Some(S2));
    owners[0].raw.compact(Index(3));
    let ready = owners[0].carry_out();
    assert_eq!((ready.base, ready.needs_sync()), (Some((Index(3), Term(1))), false));
    let _ = owners[0].raw.propose(command("d"));
    exchange(&mut owners, Some(S2));
    (0..2).for_each(|_| owners[0].raw.tick(|| 1));
    owners
}

#[test]
fn a_snapshot_task_may_install_a_later_snapshot() {
    let mut owners = with_a_lagging_follower();
    let heartbeats = owners[0].carry_out().messages;
    heartbeats.into_iter().filter(|message| message.to == S2).for_each(|message| owners[2].step(message));
    owners[2].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    let task = owners[0].carry_out().snapshot_tasks.pop().expect("S2 needs a snapshot");
    assert_eq!((task.to(), task.min_index()), (S2, Index(3)));
    assert_eq!(owners[0].raw.status().followers[1].state, FollowerState::ReceivingSnapshot);

    // The snapshot is made later than at the log's base, from the state applied by then.
    owners[2].step(task.message(Index(4), Term(1), command("file 4")).expect("S0 leads term 1"));
    owners[0].raw.report_snapshot(&task, TransferOutcome::Arrived);
    let ready = owners[2].carry_out();
    let snapshot = ready.snapshot.expect("the snapshot must be installed");
    assert_eq!((snapshot.index, snapshot.term, snapshot.descriptor), (Index(4), Term(1), command("file 4")));
    assert_eq!((ready.committed.len(), ready.base), (0, None));
    ready.messages.into_iter().for_each(|message| owners[0].step(message));
    let follower = owners[0].raw.status().followers[1];
    assert_eq!((follower.match_index, follower.state), (Index(4), FollowerState::Replicating));
}

#[test]
fn a_failed_transfer_is_repeated_after_the_next_reply() {
    let mut owners = with_a_lagging_follower();
    let reply_from_s2 = |owners: &mut Vec<Owner>| {
        owners[0].raw.tick(|| 1);
        let messages = owners[0].carry_out_all();
        messages.into_iter().filter(|message| message.to == S2).for_each(|message| owners[2].step(message));
        owners[2].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    };
    reply_from_s2(&mut owners);
    let first = owners[0].carry_out().snapshot_tasks.pop().expect("S2 needs a snapshot");
    // The transfer may take any number of ticks.
    (0..100).for_each(|_| reply_from_s2(&mut owners));
    assert_eq!(owners[0].raw.status().followers[1].state, FollowerState::ReceivingSnapshot);
    owners[0].raw.report_snapshot(&first, TransferOutcome::Failed);
    assert_eq!(owners[0].raw.status().followers[1].state, FollowerState::Silent);
    reply_from_s2(&mut owners);
    let second = owners[0].carry_out().snapshot_tasks.pop().expect("S2 still needs it");
    owners[0].raw.report_snapshot(&first, TransferOutcome::Failed);
    let state = owners[0].raw.status().followers[1].state;
    assert_eq!(state, FollowerState::ReceivingSnapshot, "a late report is not about {second:?}");
}

#[test]
fn a_late_snapshot_is_refused_with_the_commit_index() {
    let mut owner = Owner::new(S0, 3);
    owner.step(append((0, 0), 1, &[1, 1, 1], 3));
    owner.carry_out_all();
    let args = InstallSnapshotArgs {
        term: Term(1),
        leader_id: S1,
        last_included_index: Index(2),
        last_included_term: Term(1),
        data: Bytes::new(),
    };
    let request_id = RequestId { number: Some(2), reads: 0, match_index: Index(0) };
    owner.step(Message { from: S1, to: S0, body: Body::InstallSnapshot { args, request_id } });
    let ready = owner.carry_out();
    assert!(ready.snapshot.is_none(), "it would set the service back");
    let [Message { body: Body::InstallSnapshotReply { committed, sent, .. }, .. }] = ready.messages[..] else {
        panic!("the snapshot gets a reply: {ready:?}")
    };
    assert_eq!((committed, sent.last_index, sent.number), (Index(3), Index(2), Some(2)));
}

#[test]
fn a_refused_snapshot_reports_the_followers_progress() {
    let mut owners = with_a_lagging_follower();
    let heartbeats = owners[0].carry_out().messages;
    heartbeats.into_iter().filter(|message| message.to == S2).for_each(|message| owners[2].step(message));
    owners[2].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    let task = owners[0].carry_out().snapshot_tasks.pop().expect("S2 needs a snapshot");
    // The follower has meanwhile caught up further, for example with an earlier snapshot.
    owners[2].step(task.message(Index(4), Term(1), Bytes::new()).expect("S0 leads term 1"));
    owners[2].carry_out_all();
    owners[2].step(task.message(Index(3), Term(1), Bytes::new()).expect("S0 leads term 1"));
    owners[2].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    assert_eq!(
        owners[0].raw.status().followers[1].match_index,
        Index(4),
        "the follower's committed entries are also the leader's"
    );
    // A snapshot with an entry of a later leader is not the snapshot of this leader.
    assert_eq!(task.message(Index(5), Term(2), Bytes::new()), None);
}

#[test]
fn a_peer_that_refuses_a_confirmed_entry_is_reported_once() {
    let mut owners = cluster_led_by_s0();
    owners[0].raw.propose(command("a")).expect("it leads");
    exchange(&mut owners, None);
    // S1 loses its log, but nobody notices that it is another server.
    owners[1] = Owner::new(S1, 3);
    let mut lost = Vec::new();
    for _ in 0..20 {
        owners[0].raw.tick(|| 10);
        while owners[0].raw.has_ready() {
            let ready = owners[0].carry_out();
            lost.extend(ready.lost_entries);
            ready.messages.into_iter().filter(|message| message.to == S1).for_each(|message| owners[1].step(message));
        }
        owners[1].carry_out_all().into_iter().for_each(|message| owners[0].step(message));
    }
    assert_eq!(lost, [LostEntry { server: S1, index: Index(1) }]);
}

#[test]
fn a_late_refusal_is_no_evidence_of_lost_entries() {
    let mut owners = cluster_led_by_s0();
    // S1 refuses a heartbeat that begins at an entry which it does not have yet. The refusal arrives after S1 has
    // confirmed the entry.
    owners[0].raw.propose(command("a")).expect("it leads");
    exchange(&mut owners, Some(S1));
    for _ in 0..5 {
        owners[0].raw.tick(|| 10);
        exchange(&mut owners, Some(S1));
    }
    owners[2].raw.campaign();
    exchange(&mut owners, Some(S1));
    assert!(owners[2].raw.core().is_leader(), "S2 has every entry");
    owners[2].raw.tick(|| 10);
    let heartbeats = owners[2].carry_out_all();
    heartbeats.into_iter().filter(|message| message.to == S1).for_each(|message| owners[1].step(message));
    let refusals = owners[1].carry_out_all();
    refusals.iter().cloned().for_each(|message| owners[2].step(message));
    exchange(&mut owners, None);
    assert_eq!(owners[2].raw.status().followers[1].match_index, Index(1), "S1 has caught up");
    refusals.into_iter().for_each(|message| owners[2].step(message));
    let mut lost = Vec::new();
    while owners[2].raw.has_ready() {
        lost.extend(owners[2].carry_out().lost_entries);
    }
    assert_eq!(lost, []);
}

#[test]
#[should_panic(expected = "call advance() before the next ready()")]
fn a_second_ready_before_advance_panics() {
    let mut owner = Owner::new(S0, 3);
    owner.raw.campaign();
    let _ = owner.raw.ready();
    let _ = owner.raw.ready();
}

#[test]
fn messages_survive_their_encoding() {
    let mut owners = cluster_led_by_s0();
    let _ = owners[0].raw.propose(command("a"));
    for message in owners[0].carry_out_all() {
        let bytes = labgob::encode(&message);
        assert_eq!(labgob::decode::<Message>(&bytes).expect("an encoded message can be decoded"), message);
    }
}

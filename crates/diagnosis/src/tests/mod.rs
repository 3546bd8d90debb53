//! Handmade records: each detector finds its broken rule, and finds nothing in a record that differs only in the
//! decisive event.

mod campaigns;

use ids::{Index, ServerId, Term};
use labstd::ThreadStatus;
use record::EventKind::{
    Applied, CommandSubmitted, Committed, Fault as Faulted, LogAppended, LogCompacted, LogTruncated, OperationBegun,
    OperationEnded, Persisted, Restored, RoleChanged, RpcDelivered, RpcLost, RpcReplied, RpcSent, RunBegun,
    SnapshotInstalled, VoteGranted,
};
use record::{Event, EventKind, Excerpt, Fault, Loss, OperationKind, Peer, Role};

use super::*;

const S: [ServerId; 3] = [ServerId(0), ServerId(1), ServerId(2)];

/// An event: the time in milliseconds, the server, and the kind.
type TestEvent = (u64, usize, EventKind);

fn events(scenario: &str, test_events: &[TestEvent]) -> Vec<Event> {
    let begun = RunBegun { scenario: scenario.to_string(), seed: 1, servers: 3, simulated: true };
    let mut events = vec![Event { at: 0, server: None, kind: begun }];
    events.extend(test_events.iter().map(|(ms, server, kind)| Event {
        at: ms * 1_000_000,
        server: Some(ServerId(*server)),
        kind: kind.clone(),
    }));
    events
}

fn found(test_events: &[TestEvent]) -> Option<Rule> {
    diagnose_record(events("some_3B", test_events).into_iter(), &[]).found.map(|found| found.rule)
}

fn found_in_kv(test_events: &[TestEvent]) -> Option<Rule> {
    diagnose_record(events("some_4A", test_events).into_iter(), &[]).found.map(|found| found.rule)
}

fn vote(term: u64, to: usize) -> EventKind {
    VoteGranted { term: Term(term), to: S[to] }
}

fn role(role: Role, term: u64) -> EventKind {
    RoleChanged { role, term: Term(term) }
}

fn append(term: u64, first: u64, last: u64) -> EventKind {
    LogAppended { term: Term(term), first: Index(first), last: Index(last) }
}

fn truncate(last: u64) -> EventKind {
    LogTruncated { last: Index(last) }
}

fn commit(index: u64) -> EventKind {
    Committed { index: Index(index) }
}

fn compact(index: u64, term: u64) -> EventKind {
    LogCompacted { index: Index(index), term: Term(term) }
}

fn apply(index: u64) -> EventKind {
    Applied { index: Index(index), term: Term(1) }
}

fn restored(term: u64, vote: Option<usize>) -> EventKind {
    let vote = vote.map(|to| S[to]);
    Restored { term: Term(term), vote, snapshot_index: Index(0), snapshot_term: Term(0) }
}

fn crash(server: usize) -> EventKind {
    Faulted(Fault::Crash(vec![S[server]]))
}

fn restart(server: usize) -> EventKind {
    Faulted(Fault::Restart(vec![S[server]]))
}

fn sent(call: u64, from: Option<usize>, to: usize, method: &'static str) -> EventKind {
    let from = from.map(|from| S[from]);
    RpcSent { call, from, to: Peer::Server(S[to]), method: method.into(), bytes: 40 }
}

fn delivered(call: u64) -> EventKind {
    RpcDelivered { call }
}

fn answered(call: u64) -> EventKind {
    RpcReplied { call, bytes: 10 }
}

/// Returns a record in which S0 leads in term 1 with entries up to index 3, which S1 also has and S2 does not.
fn three_entries() -> Vec<TestEvent> {
    vec![
        (1, 0, vote(1, 0)),
        (1, 0, role(Role::Candidate, 1)),
        (2, 1, vote(1, 0)),
        (3, 0, role(Role::Leader, 1)),
        (4, 0, append(1, 1, 3)),
        (5, 1, append(1, 1, 3)),
    ]
}

fn after_three(more: &[TestEvent]) -> Option<Rule> {
    found(&[&three_entries(), more].concat())
}

#[test]
fn two_votes_in_a_term_are_found_with_their_times() {
    let test_events = [(1234, 1, vote(3, 0)), (1301, 1, vote(3, 2))];
    let diagnosis = diagnose_record(events("some_3A", &test_events).into_iter(), &[Rule::SaveVote]);
    assert_eq!(
        diagnosis.to_string(),
        "rule:    Figure 2, RequestVote RPC, receiver 2: a server votes for at most one candidate in a term\n\
         seen:    S1 voted for S0 at 1.234 s and for S2 at 1.301 s, both in term 3"
    );
    assert_eq!(found(&[(1, 1, vote(3, 0)), (2, 1, vote(3, 0)), (3, 1, vote(4, 2))]), None);
}

#[test]
fn a_vote_for_a_shorter_log_is_found() {
    assert_eq!(after_three(&[(6, 2, vote(2, 2)), (7, 1, vote(2, 2))]), Some(Rule::UpToDateCandidate));
    assert_eq!(after_three(&[(400, 1, vote(2, 1)), (401, 2, vote(2, 1))]), None);
}

#[test]
fn a_leader_without_a_majority_of_votes_is_found() {
    let (other, own) = ((5, 1, vote(1, 0)), (6, 2, vote(2, 2)));
    assert_eq!(found(&[other.clone(), own.clone(), (7, 2, role(Role::Leader, 2))]), Some(Rule::MajorityOfVotes));
    assert_eq!(found(&[other, own, (6, 0, vote(2, 2)), (7, 2, role(Role::Leader, 2))]), None);
    assert_eq!(found(&[(6, 2, vote(2, 2)), (7, 2, role(Role::Leader, 2))]), None, "no server reports votes for others");
}

#[test]
fn a_leader_that_counts_a_stale_reply_is_found() {
    let vote_requests = [(1, 2, vote(2, 2)), (2, 2, sent(1, Some(2), 1, "Raft.RequestVote")), (3, 1, delivered(1))];
    let next = [(4, 1, vote(2, 2)), (400, 2, vote(3, 2))];
    let leads_at = |ms| [&vote_requests[..], &next, &[(500, 2, answered(1)), (ms, 2, role(Role::Leader, 3))]].concat();
    assert_eq!(found(&leads_at(500)), Some(Rule::DropStaleReplies));
    assert_eq!(found(&leads_at(502)), Some(Rule::MajorityOfVotes), "the reply came earlier, and counted for nothing");
    let entries =
        [(6, 0, sent(1, Some(0), 2, "Raft.AppendEntries")), (7, 2, delivered(1)), (8, 0, role(Role::Leader, 2))];
    let counted = [(9, 0, append(2, 4, 4)), (10, 0, answered(1)), (10, 0, commit(4))];
    assert_eq!(after_three(&[&entries[..], &counted].concat()), Some(Rule::DropStaleReplies));
}

#[test]
fn a_term_that_decreases_is_found() {
    assert_eq!(found(&[(1, 1, role(Role::Follower, 3)), (2, 1, role(Role::Follower, 2))]), Some(Rule::TermOnlyGrows));
}

#[test]
fn only_a_leader_that_removes_its_own_entries_is_found() {
    assert_eq!(after_three(&[(9, 0, truncate(1))]), Some(Rule::LeaderAppendOnly));
    assert_eq!(after_three(&[(9, 0, role(Role::Follower, 2)), (9, 0, truncate(1))]), None);
    assert_eq!(after_three(&[(9, 0, truncate(1)), (9, 0, role(Role::Follower, 2))]), None, "in the opposite order");
}

#[test]
fn entries_removed_without_a_conflict_are_found() {
    assert_eq!(after_three(&[(9, 1, truncate(1))]), Some(Rule::TruncateOnConflict));
    // No leader is known, but the server adds the same entry again.
    let alone = [(1, 1, append(1, 1, 3)), (2, 1, truncate(1)), (3, 1, append(1, 2, 2))];
    assert_eq!(found(&alone), Some(Rule::TruncateOnConflict));
    assert_eq!(found(&[(1, 1, append(1, 1, 3)), (2, 1, truncate(1)), (3, 1, append(2, 2, 2))]), None);
}

#[test]
fn an_entry_added_after_a_mismatch_is_found() {
    assert_eq!(
        after_three(&[(6, 2, append(0, 1, 1)), (7, 2, role(Role::Follower, 1)), (8, 2, append(1, 2, 2))]),
        Some(Rule::PrevEntryMatches)
    );
    assert_eq!(after_three(&[(6, 2, append(1, 1, 1)), (7, 2, role(Role::Follower, 1)), (8, 2, append(1, 2, 2))]), None);
}

#[test]
fn a_leader_that_counts_an_older_entry_is_found() {
    let second = [(6, 0, role(Role::Candidate, 2)), (7, 0, role(Role::Leader, 2))];
    assert_eq!(after_three(&[&second[..], &[(8, 0, commit(3))]].concat()), Some(Rule::CommitOwnTerm));
    let own = [(8, 0, append(2, 4, 4)), (9, 1, append(2, 4, 4)), (10, 0, commit(4))];
    assert_eq!(after_three(&[&second[..], &own].concat()), None);
    assert_eq!(after_three(&[(8, 0, commit(3))]), None);
}

#[test]
fn a_leader_that_commits_without_a_majority_is_found() {
    assert_eq!(after_three(&[(8, 0, append(1, 4, 4)), (9, 0, commit(4))]), Some(Rule::CommitMajority));
}

#[test]
fn a_follower_that_commits_a_different_entry_is_found() {
    let other = [(6, 2, append(0, 1, 2)), (7, 2, role(Role::Follower, 1)), (8, 2, commit(2))];
    assert_eq!(after_three(&other), Some(Rule::CommitLastNewEntry));
    let beyond = [(7, 1, role(Role::Follower, 1)), (8, 1, commit(4))];
    assert_eq!(after_three(&beyond), Some(Rule::CommitLastNewEntry));
    assert_eq!(after_three(&[(7, 1, role(Role::Follower, 1)), (8, 1, commit(3))]), None);
}

#[test]
fn a_commit_index_that_decreases_is_found() {
    assert_eq!(after_three(&[(8, 1, commit(3)), (9, 1, commit(2))]), Some(Rule::CommitOnlyGrows));
    let old = [(8, 1, commit(3)), (9, 1, compact(2, 1)), (9, 1, commit(2))];
    assert_eq!(after_three(&old), Some(Rule::IgnoreOldSnapshot));
    assert_eq!(after_three(&[(8, 1, commit(3)), (9, 1, compact(2, 1))]), None, "it is the server's own snapshot");
}

#[test]
fn entries_removed_after_a_snapshot_are_found() {
    let removed = |term| [(8, 1, truncate(2)), (8, 1, compact(2, term))];
    assert_eq!(after_three(&removed(1)), Some(Rule::RetainAfterSnapshot));
    assert_eq!(after_three(&removed(2)), None, "the snapshot ends with another entry");
}

/// Runs a record in which S1 adds entries of an AppendEntries of S0 and replies; then S1 crashes and restarts with
/// `begin`.
fn lost(saved: bool, answers: bool, begin: &[TestEvent]) -> Option<Rule> {
    let mut test_events = three_entries();
    let call = [(6, 0, sent(1, Some(0), 1, "Raft.AppendEntries")), (7, 1, delivered(1)), (7, 1, append(1, 4, 4))];
    test_events.push((6, 0, append(1, 4, 4)));
    test_events.extend(call);
    test_events.extend(saved.then_some((7, 1, Persisted { bytes: 9 })));
    test_events.extend(answers.then_some((8, 0, answered(1))));
    test_events.extend([(9, 1, crash(1)), (10, 1, restart(1))]);
    test_events.extend(begin.iter().cloned());
    found(&test_events)
}

#[test]
fn a_lost_acknowledged_entry_is_found() {
    let without = [(10, 1, restored(1, Some(0))), (10, 1, append(1, 1, 3))];
    assert_eq!(lost(true, true, &without), Some(Rule::SaveLog));
    assert_eq!(lost(false, true, &without), Some(Rule::SaveBeforeReply));
    assert_eq!(lost(false, false, &without), None, "no other server knows of it");
    assert_eq!(lost(true, true, &[(10, 1, restored(1, Some(0))), (10, 1, append(1, 1, 4))]), None);
    // The server reports the entries that it adds, but not the ones that it restores.
    assert_eq!(lost(true, true, &[(10, 1, restored(1, Some(0))), (20, 1, append(1, 5, 5))]), None);
    assert_eq!(lost(true, true, &[(10, 1, append(1, 1, 1))]), None, "its restored state is unknown");
}

#[test]
fn an_entry_that_a_follower_received_and_lost_is_no_broken_rule() {
    // S0 or S1 has the entry first; S1 loses it in a crash, without any message of S1 in between.
    let lost_by_second = |first: usize| {
        let second = 1 - first;
        let mut test_events = vec![(0, 0, restored(1, Some(0))), (0, 1, restored(1, Some(0)))];
        test_events.extend([(1, first, append(1, 1, 1)), (2, second, append(1, 1, 1))]);
        test_events.extend([(3, 1, crash(1)), (4, 1, restart(1)), (4, 1, restored(1, Some(0)))]);
        found(&test_events)
    };
    assert_eq!(lost_by_second(0), None, "S1 received it, crashed before it saved it, and has told nobody");
    assert_eq!(lost_by_second(1), Some(Rule::SaveBeforeReply), "S0 can only have it from S1");
}

#[test]
fn a_lost_vote_is_found() {
    let vote_of = |answers: bool, begin| {
        let mut test_events = vec![
            (1, 0, sent(1, Some(0), 1, "Raft.RequestVote")),
            (2, 1, delivered(1)),
            (2, 1, vote(1, 0)),
            (2, 1, Persisted { bytes: 9 }),
        ];
        test_events.extend(answers.then_some((3, 0, answered(1))));
        test_events.extend([(4, 1, crash(1)), (5, 1, restart(1)), (5, 1, begin)]);
        found(&test_events)
    };
    assert_eq!(vote_of(true, restored(1, None)), Some(Rule::SaveVote));
    assert_eq!(vote_of(true, restored(0, None)), Some(Rule::SaveVote));
    assert_eq!(vote_of(true, restored(1, Some(0))), None);
    assert_eq!(vote_of(false, restored(1, None)), None, "no other server knows of it");
}

#[test]
fn a_campaign_soon_after_a_vote_is_found() {
    assert_eq!(found(&[(1, 1, vote(1, 0)), (50, 1, vote(2, 1))]), Some(Rule::GrantResetsTimer));
    assert_eq!(found(&[(1, 1, vote(1, 0)), (350, 1, vote(2, 1))]), None);
}

#[test]
fn a_campaign_soon_after_a_heartbeat_is_found() {
    let heartbeat = [(6, 0, sent(1, Some(0), 1, "Raft.AppendEntries")), (7, 1, delivered(1)), (8, 0, answered(1))];
    let lost = (200, 0, sent(9, Some(0), 1, "Raft.AppendEntries"));
    let campaign = |ms| [&heartbeat[..], &[lost.clone(), (ms, 1, vote(2, 1))]].concat();
    let late = [(401, 0, sent(2, Some(0), 1, "Raft.AppendEntries")), (402, 1, delivered(2)), (403, 0, answered(2))];
    assert_eq!(after_three(&campaign(410)), None);
    assert_eq!(after_three(&[&late[..], &campaign(410)[4..]].concat()), Some(Rule::HeartbeatResetsTimer));
    let candidate = [(400, 1, role(Role::Candidate, 1))];
    assert_eq!(after_three(&[&candidate, &late[..], &campaign(410)[4..]].concat()), Some(Rule::FollowNewLeader));
}

#[test]
fn a_server_that_never_campaigns_is_found() {
    assert_eq!(found(&[(3500, 0, apply(1))]), Some(Rule::CampaignOnTimeout));
    let request_votes =
        |ms: u64| (0..3).map(move |server| (ms, server, sent(ms, Some(server), (server + 1) % 3, "Raft.RequestVote")));
    let campaigns: Vec<TestEvent> = (1..8).flat_map(|half| request_votes(half * 500)).collect();
    assert_eq!(found(&campaigns), None);
}

#[test]
fn vote_requests_that_silence_a_server_are_found() {
    let vote_requests = (1..40).flat_map(|n| {
        let ms = n * 100;
        [(ms, 0, sent(n, Some(0), 1, "Raft.RequestVote")), (ms, 1, delivered(n)), (ms, 0, answered(n))]
    });
    // S2 hears from no leader either, but it is not running.
    let unreported: Vec<TestEvent> = [(0, 2, crash(2))].into_iter().chain(vote_requests).collect();
    let reported: Vec<TestEvent> = [(0, 0, vote(1, 1))].into_iter().chain(unreported.clone()).collect();
    assert_eq!(found(&reported), Some(Rule::OnlyGrantResetsTimer));
    assert_eq!(found(&unreported), None, "a Raft that reports no votes may have granted these");
}

#[test]
fn too_many_idle_messages_are_found() {
    let beats = |every: u64| -> Vec<TestEvent> {
        let beat = |n: u64| ((n - 100) * every, 0, sent(n, Some(0), 1, "Raft.AppendEntries"));
        (100..100 + 2500 / every).map(beat).collect()
    };
    let idle = |every| found(&[&[(0, 1, crash(1)), (0, 2, crash(2))], &beats(every)[..]].concat());
    assert_eq!(idle(10), Some(Rule::HeartbeatWhenIdle));
    assert_eq!(idle(50), None);
    let mut busy: Vec<TestEvent> = beats(10);
    let command = CommandSubmitted { index: Index(1), term: Term(1), bytes: 3 };
    busy.extend((10..40).map(|n| (n * 100, 0, command.clone())));
    busy.extend([(0, 1, crash(1)), (0, 2, crash(2))]);
    busy.sort_by_key(|(ms, ..)| *ms);
    assert_eq!(found(&busy), None, "there is always something new to send");
}

#[test]
fn entries_applied_out_of_order_are_found() {
    assert_eq!(found(&[(1, 0, apply(1)), (2, 0, apply(3))]), Some(Rule::ApplyInOrder));
    assert_eq!(found(&[(1, 0, apply(1)), (2, 0, apply(1))]), Some(Rule::ApplyInOrder));
    assert_eq!(
        found(&[(1, 0, apply(1)), (2, 0, apply(2)), (3, 0, crash(0)), (4, 0, restart(0)), (5, 0, apply(1))]),
        None
    );
    let installed = |index| SnapshotInstalled { index: Index(index), term: Term(1) };
    assert_eq!(found(&[(1, 0, apply(1)), (2, 0, installed(7)), (3, 0, apply(8))]), None);
    assert_eq!(found(&[(2, 0, installed(7)), (3, 0, installed(5))]), Some(Rule::IgnoreOldSnapshot));
}

#[test]
fn a_service_that_skips_a_snapshot_is_found() {
    let skips = [(1, 0, apply(1)), (2, 0, compact(7, 1)), (3, 0, apply(8))];
    assert_eq!(found_in_kv(&skips), Some(Rule::InstallResetsService));
}

#[test]
fn an_operation_that_ends_with_a_lost_call_is_found() {
    let ended = |how: EventKind| {
        let (what, key, value) = (OperationKind::Append, "x".to_string(), Excerpt::from("1"));
        let client = |ms: u64, kind| Event { at: ms * 1_000_000, server: None, kind };
        let mut events = events("some_4A", &[]);
        events.push(client(1, OperationBegun { operation: 1, client: 3, kind: what, key, value }));
        events.push(client(1, sent(1, None, 2, "KvServer.Append")));
        events.push(client(5, how));
        events.push(client(5, OperationEnded { operation: 1, value: Excerpt::default() }));
        diagnose_record(events.into_iter(), &[]).found
    };
    let found = ended(RpcLost { call: 1, reason: Loss::ReplyDropped }).unwrap();
    assert_eq!(found.rule, Rule::RetryUntilReply);
    assert_eq!(found.seen, "client 3 treated its append of key 'x' as done at 0.005 s, when its call to S2 was lost");
    assert_eq!(ended(answered(1)), None);
}

#[test]
fn a_lock_held_during_delivery_is_found() {
    let thread = |name: &str, doing: &str| ThreadStatus {
        name: name.to_string(),
        group: "S1#1".to_string(),
        activity: doing.to_string(),
    };
    let waits =
        thread("ticker-1", "in Mutex::lock at a.rs:1:1 for 2.000 s, held by applier-1 which took it at a.rs:2:2");
    let rule =
        |doing: &str| locks::diagnose_threads(&[waits.clone(), thread("applier-1", doing)]).map(|found| found.rule);
    assert_eq!(rule("in Sender::send at a.rs:3:3 for 2.000 s"), Some(Rule::NoLockWhileDelivering));
    assert_eq!(rule("in Receiver::recv at x.rs:3:3 (called from a.rs:4:4) for 2.000 s"), Some(Rule::NoLockOverRpc));
    assert_eq!(rule("in thread::sleep at a.rs:3:3 for 2.000 s"), Some(Rule::NoLockWhileWaiting));
    assert_eq!(rule("running (it has not blocked)"), None);
    assert_eq!(rule("it has just taken the lock"), None, "it has just taken it");
}

#[test]
fn the_record_rules_out_impossible_causes() {
    let likely = [Rule::SaveLog, Rule::IgnoreOldSnapshot, Rule::CommitOwnTerm, Rule::UpToDateCandidate];
    let of = |test_events: &[TestEvent]| diagnose_record(events("some_3B", test_events).into_iter(), &likely);
    assert_eq!(of(&[]).likely, [Rule::CommitOwnTerm, Rule::UpToDateCandidate]);
    let restarted = of(&[(1, 0, crash(0)), (2, 0, restart(0))]);
    assert_eq!(restarted.likely, [Rule::SaveLog, Rule::CommitOwnTerm, Rule::UpToDateCandidate]);
    let text = restarted.insert_into("two commands are committed at index 3");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "two commands are committed at index 3");
    assert!(lines[1].starts_with("likely rule: Figure 2, Persistent state"), "{text}");
    assert!(lines[2].starts_with("    or rule: Figure 2, Leaders"), "{text}");
}

//! The rules of the paper, one test for each, in the order of its sections; section 7 is in `section_7/`. Each test
//! drives one core and checks its replies. `scripts/` contains whole stories, and `safety.rs` checks that the rules
//! together are sufficient.

mod section_7;

use bytes::Bytes;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, HardState, Log, Persist, RequestVoteArgs,
    RequestVoteReply, RoleName, Saved, ServerSet,
};
use raftapi::{Index, ServerId, Term};

const ME: ServerId = ServerId(0);
const PEER: ServerId = ServerId(1);
const OTHER: ServerId = ServerId(2);

// 5.1 Raft basics

/// "If one server's current term is smaller than the other's, then it updates its current term to the larger value"
/// (5.1).
#[test]
fn section_5_1_a_server_adopts_a_higher_term_from_a_request() {
    let mut core = follower(3, &[]);
    let (reply, effects) = core.handle_request_vote(vote_request(7, 0, 0));
    assert_eq!((core.current_term(), reply.term), (Term(7), Term(7)), "the server has the term of the request now");
    let saved = effects.persist.hard_state.expect("a new term must be saved");
    assert_eq!(saved.term, Term(7), "the new term is saved");
}

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state" (5.1).
#[test]
fn section_5_1_a_candidate_with_a_stale_term_becomes_a_follower() {
    let mut core = follower(3, &[]);
    let _ = core.election_timeout();
    let effects =
        core.handle_request_vote_reply(PEER, Term(4), RequestVoteReply { term: Term(9), vote_granted: false });
    assert_eq!(core.soft_state().role, RoleName::Follower, "a candidate of an old term becomes a follower");
    assert_eq!(core.current_term(), Term(9), "it adopts the term of the reply");
    assert!(!effects.reset_election_timer, "a refusal does not reset its timer");
}

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state" (5.1).
#[test]
fn section_5_1_a_leader_with_a_stale_term_becomes_a_follower() {
    let mut core = leader(3, &[]);
    let (_, sent) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    let effects = core.handle_append_entries_reply(PEER, &sent, refusal(9));
    assert_eq!(core.soft_state().role, RoleName::Follower, "a leader of an old term steps down");
    assert!(effects.reset_election_timer, "a leader has no timer running, so it starts one when it steps down");
    assert_eq!(core.voted_for(), None, "it has not voted in the new term");
}

/// "If a server receives a request with a stale term number, it rejects the request" (5.1).
#[test]
fn section_5_1_a_request_with_a_stale_term_is_refused() {
    let mut core = follower(3, &[1]);
    let (vote, vote_effects) = core.handle_request_vote(vote_request(2, 9, 2));
    let (append, append_effects) = core.handle_append_entries(append(2, (1, 1), &[2], 0));
    assert!(!vote.vote_granted, "a candidate of an old term gets no vote");
    assert!(!append.success, "a leader of an old term is not followed");
    assert_eq!((vote.term, append.term), (Term(3), Term(3)), "both replies contain the current term");
    assert_eq!((vote_effects, append_effects), (Effects::default(), Effects::default()), "and nothing else happens");
}

// 5.2 Leader election

/// "When servers start up, they begin as followers" (5.2). This also applies to a restart.
#[test]
fn section_5_2_a_server_starts_as_a_follower() {
    let core = follower(3, &[1, 3]);
    assert_eq!(core.soft_state().role, RoleName::Follower, "whatever it was before");
    assert_eq!(core.soft_state().leader, None, "and it knows no leader");
    assert_eq!((core.commit_index(), core.last_applied()), (Index(0), Index(0)), "and knows no committed entry");
}

/// "To begin an election, a follower increments its current term and transitions to candidate state. It then votes for
/// itself and issues RequestVote RPCs in parallel to each of the other servers" (5.2).
#[test]
fn section_5_2_an_election_timeout_starts_an_election() {
    let mut core = follower(3, &[1, 3]);
    let effects = core.election_timeout();
    let request = RequestVoteArgs { candidate_id: ME, ..vote_request(4, 2, 3) };
    assert_eq!(effects.request_votes, [(PEER, request), (OTHER, request)], "every other server gets the request");
    let hard_state = Some(HardState { term: Term(4), voted_for: Some(ME) });
    assert_eq!(effects.persist, Persist { hard_state, ..Persist::default() }, "its own vote is saved");
    assert!(effects.reset_election_timer, "the election may take as long as a random timeout");
}

/// "A candidate wins an election if it receives votes from a majority of the servers in the full cluster for the same
/// term" (5.2).
#[test]
fn section_5_2_a_majority_of_votes_makes_a_leader() {
    let mut core = server_of(5, 3, &[]);
    let _ = core.election_timeout();
    let second = core.handle_request_vote_reply(PEER, Term(4), granted(4));
    assert_eq!((core.is_leader(), second.send_heartbeats), (false, false), "two of five are not a majority");
    let third = core.handle_request_vote_reply(OTHER, Term(4), granted(4));
    assert!(core.is_leader(), "three of five are a majority");
    assert!(third.send_heartbeats, "the others must hear of it before they start elections");
}

/// "... receives votes from a majority of the *servers*" (5.2): a repeated vote counts once.
#[test]
fn section_5_2_a_repeated_vote_counts_once() {
    let mut core = server_of(5, 3, &[]);
    let _ = core.election_timeout();
    for _ in 0..3 {
        let _ = core.handle_request_vote_reply(PEER, Term(4), granted(4));
    }
    assert!(!core.is_leader(), "one peer and the candidate are two of five");
}

/// "... for the same term" (5.2): a vote that arrives in the next term belongs to the previous one.
#[test]
fn section_5_2_a_vote_of_an_earlier_term_does_not_count() {
    let mut core = follower(3, &[]);
    let _ = core.election_timeout();
    let _ = core.election_timeout();
    let effects = core.handle_request_vote_reply(PEER, Term(4), granted(4));
    assert!(!core.is_leader(), "a vote of term 4 does not count in term 5");
    assert_eq!(effects, Effects::default(), "and nothing else happens");
}

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis" (5.2).
#[test]
fn section_5_2_a_server_votes_once_a_term() {
    let mut core = follower(3, &[]);
    let (first, effects) = core.handle_request_vote(vote_request(4, 0, 0));
    let (second, no_effects) =
        core.handle_request_vote(RequestVoteArgs { candidate_id: OTHER, ..vote_request(4, 0, 0) });
    let (again, again_effects) = core.handle_request_vote(vote_request(4, 0, 0));
    assert!(first.vote_granted, "the first candidate gets the vote");
    let saved = effects.persist.hard_state.expect("a vote must be saved");
    assert_eq!(saved.voted_for, Some(PEER), "the vote is saved");
    assert_eq!((second.vote_granted, no_effects), (false, Effects::default()), "the second candidate does not get it");
    assert!(again.vote_granted, "the first candidate may ask again, because the reply may be lost");
    assert!(again_effects.persist.is_empty(), "a repeated vote is not saved again");
}

/// "If the leader's term is at least as large as the candidate's current term, then the candidate recognizes the leader
/// as legitimate and returns to follower state" (5.2).
#[test]
fn section_5_2_a_candidate_follows_the_leader_of_its_own_term() {
    let mut core = follower(3, &[]);
    let _ = core.election_timeout();
    let (reply, effects) = core.handle_append_entries(append(4, (0, 0), &[], 0));
    assert!(reply.success && effects.reset_election_timer, "a heartbeat succeeds and resets the timer");
    assert_eq!(
        (core.soft_state().role, core.soft_state().leader),
        (RoleName::Follower, Some(PEER)),
        "the sender is the leader"
    );
    assert_eq!(core.voted_for(), Some(ME), "the vote of this term remains given");
}

/// A follower starts an election "if election timeout elapses without receiving AppendEntries RPC from current leader
/// or granting vote to candidate" (Figure 2): a refused vote is neither.
#[test]
fn section_5_2_a_refused_vote_does_not_reset_the_election_timer() {
    let mut core = follower(3, &[1, 3]);
    let (reply, effects) = core.handle_request_vote(vote_request(4, 1, 1));
    assert!(!reply.vote_granted && core.current_term() == Term(4), "the term is adopted and the vote is refused");
    assert!(!effects.reset_election_timer, "a candidate that cannot win must not keep others from trying");
}

// 5.3 Log replication

/// "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to each of the
/// other servers" (5.3).
#[test]
fn section_5_3_a_leader_appends_and_sends_to_all() {
    let mut core = leader(3, &[1]);
    let (started, effects) = core.propose(Bytes::from("x")).expect("a leader accepts commands");
    assert_eq!((started.index, started.term), (Index(2), Term(4)), "the command is at the end of the log");
    assert_eq!(effects.replicate_to, ServerSet::from_iter([PEER, OTHER]), "every peer has something to receive");
    let change = effects.persist.log.expect("the entry must be saved before it is sent");
    assert_eq!((change.first, change.last, change.truncates), (Index(2), Index(2), false), "only this entry is saved");
    let (args, _) = core.append_entries(PEER).expect("there is an entry to send");
    assert_eq!(args.entries, [Entry { term: Term(4), command: Bytes::from("x") }], "the new entry");
    assert_eq!((args.prev_log_index, args.prev_log_term), (Index(1), Term(1)), "with the entry that it follows");
}

/// Only a leader accepts commands (5.3).
#[test]
fn section_5_3_a_follower_takes_no_commands() {
    let mut core = follower(3, &[]);
    assert!(core.propose(Bytes::from("x")).is_none(), "it does not lead");
    assert!(core.append_entries(PEER).is_none() && core.heartbeat(PEER).is_none(), "and has nothing to send");
}

/// "Once a follower learns that a log entry is committed, it applies the entry to its local state machine (in log
/// order)" (5.3), and only once.
#[test]
fn section_5_3_committed_entries_are_applied_once_and_in_order() {
    let mut core = follower(3, &[]);
    let (_, first) = core.handle_append_entries(append(3, (0, 0), &[1, 2, 3], 2));
    assert_eq!(first.commit_advanced, Some(Index(2)), "two of the three entries are committed");
    assert_eq!(core.take_committed().len(), 2, "the two committed entries are applied");
    let (_, second) = core.handle_append_entries(append(3, (3, 3), &[], 3));
    assert_eq!(second.commit_advanced, Some(Index(3)), "the third entry is committed next");
    assert_eq!(core.take_committed().len(), 1, "only the third entry is new");
    assert!(core.take_committed().is_empty(), "no entry is handed out twice");
}

/// "If the follower does not find an entry in its log with the same index and term, then it refuses the new entries"
/// (5.3).
#[test]
fn section_5_3_a_follower_refuses_entries_after_a_mismatch() {
    let mut core = follower(3, &[1, 2, 2]);
    let (too_far, _) = core.handle_append_entries(append(3, (5, 3), &[3], 0));
    let (other_term, effects) = core.handle_append_entries(append(3, (3, 3), &[3], 0));
    assert!(!too_far.success && !other_term.success, "neither fits");
    assert_eq!((too_far.conflict_term, too_far.conflict_index), (None, Index(4)), "the log ends before 4");
    let conflict = (other_term.conflict_term, other_term.conflict_index);
    assert_eq!(conflict, (Some(Term(2)), Index(2)), "the conflicting term begins at 2");
    assert!(effects.reset_election_timer, "the message still comes from the current leader");
    assert!(effects.persist.is_empty(), "and nothing has changed");
}

/// "If an existing entry conflicts with a new one, delete the existing entry and all that follow it" (5.3, Figure 2).
#[test]
fn section_5_3_conflicting_entries_are_replaced() {
    let mut core = follower(3, &[1, 2, 2, 2]);
    let (reply, effects) = core.handle_append_entries(append(3, (1, 1), &[2, 3], 0));
    assert!(reply.success, "the entry before the new ones matches");
    assert_eq!(terms(&core), [1, 2, 3], "matching entries remain; the conflicting entry and all after it are deleted");
    let change = effects.persist.log.expect("the change must be saved");
    assert_eq!(
        (change.truncates, change.first, change.last),
        (true, Index(3), Index(3)),
        "the change begins at the conflict"
    );
}

/// Only a conflict deletes entries (5.3, Figure 2). An overtaken request says nothing about entries after its own.
#[test]
fn section_5_3_a_late_request_does_not_truncate() {
    let mut core = follower(3, &[1, 3, 3]);
    let (late, effects) = core.handle_append_entries(append(3, (0, 0), &[1], 0));
    let (heartbeat, _) = core.handle_append_entries(append(3, (1, 1), &[], 0));
    assert!(late.success && heartbeat.success, "both match as far as they go");
    assert_eq!(terms(&core), [1, 3, 3], "entries after them remain");
    assert!(effects.persist.is_empty(), "nothing must be saved");
}

/// "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" (Figure 2). After that
/// entry the log may hold entries that the leader has never seen.
#[test]
fn section_5_3_a_heartbeat_commits_only_verified_entries() {
    let mut core = follower(3, &[1, 2, 2]);
    let (reply, effects) = core.handle_append_entries(append(3, (1, 1), &[], 3));
    assert!(reply.success, "the logs agree up to 1");
    assert_eq!(effects.commit_advanced, Some(Index(1)), "2 and 3 may be others in the leader's log");
}

/// "When rejecting an AppendEntries request, the follower can include the term of the conflicting entry and the first
/// index it stores for that term. With this information, the leader can decrement nextIndex to bypass all of the
/// conflicting entries in that term" (5.3).
#[test]
fn section_5_3_a_leader_backs_up_by_whole_terms() {
    let mut core = leader(5, &[1, 1, 4, 4, 5, 5]);
    let next_after = |core: &mut Core, conflict_term: Option<u64>, conflict_index: u64| {
        let (_, sent) = core.heartbeat(PEER).expect("a leader sends heartbeats");
        let effects = core.handle_append_entries_reply(PEER, &sent, conflict(6, conflict_term, conflict_index));
        assert_eq!(effects.replicate_to, ServerSet::from_iter([PEER]), "there is something to send now");
        core.progress(PEER).expect("a leader knows its peers").next_index()
    };
    assert_eq!(next_after(&mut core, None, 6), Index(6), "a shorter log is continued at its end");
    assert_eq!(
        next_after(&mut core, Some(4), 2),
        Index(5),
        "a term that both have: after the leader's last entry of it"
    );
    assert_eq!(next_after(&mut core, Some(3), 2), Index(2), "a term that the leader does not have is skipped");
    assert_eq!(next_after(&mut core, Some(9), 9), Index(1), "every refusal moves next_index back");
}

/// "... the leader can decrement nextIndex to bypass all of the conflicting entries in that term" (5.3). A follower
/// with several terms above the leader's skips all of them together, and so does a leader with several terms above the
/// follower's.
#[test]
fn section_5_3_terms_missing_on_one_side_are_skipped_together() {
    let mut core = follower(4, &[1, 2, 3, 4, 4]);
    let (reply, _) = core.handle_append_entries(append(5, (4, 1), &[], 0));
    assert_eq!(reply.conflict_index, Index(2), "up to index 4 the leader's terms are at most 1");

    let mut core = leader(5, &[1, 3, 4, 5, 5]);
    let (_, sent) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    let _ = core.handle_append_entries_reply(PEER, &sent, conflict(6, Some(2), 3));
    let next_index = core.progress(PEER).expect("a leader knows its peers").next_index();
    assert_eq!(next_index, Index(2), "up to index 5 the follower's terms are at most 2");
}

/// `matchIndex` is the "highest log entry known to be replicated" (Figure 2), so it never decreases.
#[test]
fn section_5_3_late_replies_do_not_lower_match_or_next_index() {
    let mut core = leader(3, &[1]);
    let (_, early) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    let _ = core.propose(Bytes::from("x"));
    let (_, sent) = core.append_entries(PEER).expect("there is an entry to send");
    let _ = core.handle_append_entries_reply(PEER, &sent, agreement(4));
    let _ = core.handle_append_entries_reply(PEER, &early, agreement(4));
    let _ = core.handle_append_entries_reply(PEER, &early, conflict(4, None, 1));
    let progress = core.progress(PEER).expect("a leader knows its peers");
    assert_eq!((progress.match_index(), progress.next_index()), (Index(2), Index(3)), "as after the latest reply");
}

/// A reply counts only in the term of its request (5.1, 5.3). A server that leads again does not know what its
/// followers did in the meantime.
#[test]
fn section_5_3_a_reply_to_an_earlier_term_does_not_count() {
    let mut core = leader(3, &[1]);
    let _ = core.propose(Bytes::from("x"));
    let (_, sent) = core.append_entries(PEER).expect("there is an entry to send");
    let _ = core.handle_append_entries(AppendEntriesArgs { leader_id: OTHER, ..append(5, (1, 1), &[], 0) });
    elect(&mut core);
    let effects = core.handle_append_entries_reply(PEER, &sent, agreement(4));
    assert_eq!(effects, Effects::default(), "nothing else happens");
    assert_eq!(
        core.progress(PEER).expect("a leader knows its peers").match_index(),
        Index(0),
        "the vote is not recorded"
    );
}

// 5.4 Safety

/// "The voter denies its vote if its own log is more up-to-date than that of the candidate. If the logs have last
/// entries with different terms, then the log with the later term is more up-to-date. If the logs end with the same
/// term, then whichever log is longer is more up-to-date" (5.4.1).
#[test]
fn section_5_4_1_a_vote_requires_an_up_to_date_log() {
    let cases = [
        ("a later last term", 1, 4, true),
        ("an earlier last term, in a longer log", 9, 2, false),
        ("the same last term, in a longer log", 4, 3, true),
        ("the same log", 3, 3, true),
        ("the same last term, in a shorter log", 2, 3, false),
    ];
    for (case, last_log_index, last_log_term, is_granted) in cases {
        let mut core = follower(4, &[1, 3, 3]);
        let (reply, effects) = core.handle_request_vote(vote_request(5, last_log_index, last_log_term));
        assert_eq!(reply.vote_granted, is_granted, "the vote for a candidate with {case}");
        assert_eq!(effects.reset_election_timer, is_granted, "the timer after a candidate with {case}");
    }
}

/// "Raft never commits log entries from previous terms by counting replicas. Only log entries from the leader's current
/// term are committed by counting replicas; once an entry from the current term has been committed in this way, then
/// all prior entries are committed indirectly" (5.4.2).
#[test]
fn section_5_4_2_only_current_term_entries_commit_by_counting() {
    let mut core = leader(3, &[1, 2, 3]);
    let (_, sent) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    let effects = core.handle_append_entries_reply(PEER, &sent, agreement(4));
    assert_eq!(effects.commit_advanced, None, "a majority has index 3, but it has an earlier term");

    let _ = core.propose(Bytes::from("x"));
    let (_, sent) = core.append_entries(PEER).expect("there is an entry to send");
    let effects = core.handle_append_entries_reply(PEER, &sent, agreement(4));
    assert_eq!(effects.commit_advanced, Some(Index(4)), "index 4 has the current term");
    assert_eq!(core.take_committed().len(), 4, "all entries before it are committed with it");
}

/// A new leader appends no entry of its own, because indexes belong to clients. (The paper's section 8 proposes an
/// entry at the start of a term; the lab counts indexes.)
#[test]
fn section_8_a_new_leader_adds_no_entry() {
    let core = leader(3, &[1, 2]);
    assert_eq!(terms(&core), [1, 2], "the log is as it was before the election");
}

// Vocabulary of the tests: servers, and messages from PEER.

fn follower(term: u64, log: &[u64]) -> Core {
    server_of(3, term, log)
}

fn server_of(servers: usize, term: u64, log: &[u64]) -> Core {
    let hard_state = HardState { term: Term(term), voted_for: None };
    Core::restore(ME, servers, Saved { hard_state, log: Log::new(entries(log)), ..Saved::default() })
}

/// Creates a leader of the term after `term`.
fn leader(term: u64, log: &[u64]) -> Core {
    let mut core = follower(term, log);
    elect(&mut core);
    core
}

fn elect(core: &mut Core) {
    let _ = core.election_timeout();
    let term = core.current_term();
    let _ = core.handle_request_vote_reply(PEER, term, granted(term.0));
    assert!(core.is_leader(), "two of three votes elect a leader");
}

fn entries(terms: &[u64]) -> Vec<Entry> {
    terms.iter().map(|&term| Entry { term: Term(term), command: Bytes::new() }).collect()
}

fn terms(core: &Core) -> Vec<u64> {
    core.log()
        .entries(core.log().base_index().next(), core.log().last_index())
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

fn vote_request(term: u64, last_log_index: u64, last_log_term: u64) -> RequestVoteArgs {
    let (last_log_index, last_log_term) = (Index(last_log_index), Term(last_log_term));
    RequestVoteArgs { term: Term(term), candidate_id: PEER, last_log_index, last_log_term }
}

fn granted(term: u64) -> RequestVoteReply {
    RequestVoteReply { term: Term(term), vote_granted: true }
}

/// Creates an AppendEntries with entries of these terms, after the index and term of `prev`.
fn append(term: u64, prev: (u64, u64), terms: &[u64], leader_commit: u64) -> AppendEntriesArgs {
    AppendEntriesArgs {
        term: Term(term),
        leader_id: PEER,
        prev_log_index: Index(prev.0),
        prev_log_term: Term(prev.1),
        entries: entries(terms),
        leader_commit: Index(leader_commit),
    }
}

fn agreement(term: u64) -> AppendEntriesReply {
    AppendEntriesReply { term: Term(term), success: true, conflict_term: None, conflict_index: Index(0) }
}

fn refusal(term: u64) -> AppendEntriesReply {
    AppendEntriesReply { success: false, ..agreement(term) }
}

fn conflict(term: u64, conflict_term: Option<u64>, conflict_index: u64) -> AppendEntriesReply {
    let (conflict_term, conflict_index) = (conflict_term.map(Term), Index(conflict_index));
    AppendEntriesReply { conflict_term, conflict_index, ..refusal(term) }
}

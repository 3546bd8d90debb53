//! Handmade records of campaigns, refused votes, and leaders and followers without progress.

use super::*;
use record::EventKind::TermChanged;

fn term(term: u64) -> EventKind {
    TermChanged { term: Term(term) }
}

#[test]
fn a_second_election_in_a_term_is_found() {
    assert_eq!(found(&[(100, 1, vote(2, 1)), (600, 1, vote(2, 1))]), Some(Rule::CampaignInNewTerm));
    assert_eq!(found(&[(100, 1, vote(2, 0)), (600, 1, vote(2, 1))]), Some(Rule::CampaignInNewTerm));
    assert_eq!(found(&[(100, 1, vote(2, 1)), (600, 1, vote(3, 1))]), None);
    let twice_reported = [(100, 1, vote(2, 1)), (100, 1, role(Role::Candidate, 2)), (600, 1, vote(3, 1))];
    assert_eq!(found(&twice_reported), None);
}

#[test]
fn a_campaign_soon_after_another_is_found() {
    assert_eq!(found(&[(100, 1, vote(2, 1)), (150, 1, vote(3, 1))]), Some(Rule::CampaignResetsTimer));
    let restarted = [(100, 1, vote(2, 1)), (110, 1, crash(1)), (120, 1, restart(1)), (150, 1, vote(3, 1))];
    assert_eq!(found(&restarted), None);
}

#[test]
fn a_vote_of_a_candidate_for_another_is_found() {
    let candidate = (1, 1, role(Role::Candidate, 2));
    assert_eq!(found(&[candidate.clone(), (2, 1, vote(2, 0))]), Some(Rule::OneVotePerTerm));
    assert_eq!(found(&[candidate, (2, 1, vote(3, 0))]), None);
}

#[test]
fn equal_election_timeouts_are_found() {
    let campaigns = |longer: u64| -> Vec<TestEvent> {
        (1..6).flat_map(|n| [(n * 450, 1, vote(n, 1)), (n * (450 + longer) + 5, 2, vote(n, 2))]).collect()
    };
    assert_eq!(found(&campaigns(0)), Some(Rule::RandomTimeouts));
    assert_eq!(found(&campaigns(60)), None);
}

#[test]
fn a_candidate_that_ignores_its_majority_is_found() {
    let campaign = |answer: EventKind, leads: bool| {
        let mut test_events = vec![(1, 1, vote(2, 1)), (2, 1, sent(1, Some(1), 0, "Raft.RequestVote"))];
        test_events.extend([(3, 0, delivered(1)), (3, 0, vote(2, 1)), (4, 1, answer)]);
        test_events.extend(leads.then_some((4, 1, role(Role::Leader, 2))));
        test_events.push((600, 1, vote(3, 1)));
        found(&test_events)
    };
    assert_eq!(campaign(answered(1), false), Some(Rule::MajorityOfVotes));
    assert_eq!(campaign(answered(1), true), None);
    assert_eq!(campaign(RpcLost { call: 1, reason: Loss::ReplyDropped }, false), None, "the vote has not arrived");
}

#[test]
fn a_silent_leader_is_found() {
    let first = (10, 0, sent(1, Some(0), 2, "Raft.AppendEntries"));
    let heartbeat = (250, 0, sent(2, Some(0), 2, "Raft.AppendEntries"));
    let (ends, campaign) = (|call| (300, 0, RpcLost { call, reason: Loss::ReplyDropped }), (400, 2, vote(2, 2)));
    assert_eq!(after_three(&[first.clone(), ends(1), campaign.clone()]), Some(Rule::SendHeartbeats));
    assert_eq!(after_three(&[first.clone(), heartbeat, ends(1), campaign.clone()]), None);
    assert_eq!(after_three(&[first, campaign.clone()]), None, "the leader waits for a reply");
    assert_eq!(after_three(&[campaign]), None, "the record has none of its messages");
}

#[test]
fn a_leader_that_goes_on_in_a_higher_term_is_found() {
    assert_eq!(after_three(&[(9, 0, term(2)), (9, 0, append(2, 4, 4))]), Some(Rule::StepDown));
    assert_eq!(after_three(&[(9, 0, term(2)), (9, 0, role(Role::Follower, 2))]), None);
}

#[test]
fn a_vote_refused_without_a_reason_is_found() {
    let refused = |before: &[TestEvent], adopts: bool, votes: bool| {
        let mut test_events = before.to_vec();
        test_events.extend([(401, 2, vote(2, 2)), (402, 2, sent(7, Some(2), 1, "Raft.RequestVote"))]);
        test_events.push((403, 1, delivered(7)));
        test_events.extend(adopts.then_some((403, 1, term(2))));
        test_events.extend(votes.then_some((403, 1, vote(2, 2))));
        test_events.push((404, 2, answered(7)));
        found(&test_events)
    };
    assert_eq!(refused(&[], true, false), Some(Rule::UpToDateCandidate));
    assert_eq!(refused(&[(1, 1, vote(1, 0))], true, false), Some(Rule::VoteInNewTerm));
    assert_eq!(refused(&[], true, true), None);
    assert_eq!(refused(&[], false, false), None, "it may still hear from a leader");
    assert_eq!(refused(&[(1, 1, append(1, 1, 1))], true, false), None, "its log is ahead");
}

/// Returns a record in which S0 and S1 have the same entries, and S1 replies to heartbeats of S0 for some time.
fn heartbeats(more: &[TestEvent]) -> Option<Rule> {
    let mut test_events = more.to_vec();
    for call in 0..10 {
        let at = 1700 + call * 100;
        test_events.push((at, 0, sent(call, Some(0), 1, "Raft.AppendEntries")));
        test_events.extend([(at + 1, 1, delivered(call)), (at + 2, 0, answered(call))]);
    }
    after_three(&test_events)
}

#[test]
fn an_entry_that_a_majority_has_and_nobody_commits_is_found() {
    assert_eq!(heartbeats(&[]), Some(Rule::CommitMajority));
    assert_eq!(heartbeats(&[(8, 0, commit(3)), (9, 1, commit(3))]), None);
}

#[test]
fn a_follower_that_does_not_adopt_a_commit_index_is_found() {
    assert_eq!(heartbeats(&[(8, 0, commit(3))]), Some(Rule::FollowLeaderCommit));
}

#[test]
fn removed_entries_that_are_back_after_a_restart_are_found() {
    let restarted = |entries: &[TestEvent]| {
        let mut test_events = vec![(1, 1, append(1, 1, 3)), (2, 1, truncate(1)), (2, 1, append(2, 2, 2))];
        test_events.extend([(3, 1, crash(1)), (4, 1, restart(1)), (4, 1, restored(2, None))]);
        test_events.extend(entries.iter().cloned());
        found(&test_events)
    };
    let log = [(4, 1, append(1, 1, 1)), (4, 1, append(2, 2, 2))];
    assert_eq!(restarted(&[&log[..], &[(4, 1, append(1, 3, 3))]].concat()), Some(Rule::SaveLog));
    assert_eq!(restarted(&log), None);
    assert_eq!(restarted(&[&log[..], &[(4, 1, append(2, 3, 3))]].concat()), None, "its leader has sent a new entry");
}

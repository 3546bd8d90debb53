//! Each mistake is caught by a scenario of the lab, surely, in words that tell a learner what is wrong, and with the rule
//! that it breaks.

use tester::{Rule, Subject, raft_scenarios};
use wrong::{Mistake, Raft};

mod search;
use search::{Caught, SEEDS};

const TABLE: [Caught<Mistake>; 24] = [
    Caught {
        mistake: Mistake::NeverElects,
        rule: Rule::ElectionTimeoutElapses,
        by: "initial_election_3A",
        saying: &["no leader after 10 looks"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::VotesTwiceInATerm,
        rule: Rule::OneVoteATerm,
        by: "one_leader_a_term_3A",
        saying: &["2 servers lead in term", "voted for both"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::DoesNotResetTheTimerOnGrantingAVote,
        rule: Rule::GrantResetsTimer,
        by: "time_to_lead_3A",
        saying: &["did not begin a new election timeout when it granted its vote"],
        seeds: 197,
    },
    Caught {
        mistake: Mistake::AppliesOutOfOrder,
        rule: Rule::ApplyInOrder,
        by: "concurrent_starts_3B",
        saying: &["applied index", "out of order: the last one before it was"],
        seeds: 192,
    },
    Caught {
        mistake: Mistake::LosesAnEntry,
        rule: Rule::LeaderAppendOnly,
        by: "new_leader_3B",
        saying: &["a new leader must keep what is in its log"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::SendsRpcsInATightLoop,
        rule: Rule::HeartbeatWhenIdle,
        by: "count_3B",
        saying: &[" RPCs "],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::HoldsItsLockWhileDelivering,
        rule: Rule::NoLockWhileDelivering,
        by: "asking_service_3B",
        saying: &["a lock is held too long", "its holder is applier-", "in Sender::send at wrong/src/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::HoldsItsLockOverAnRpc,
        rule: Rule::NoLockOverRpc,
        by: "re_election_3A",
        saying: &["a lock is held too long", "taken at wrong/src/server.rs", "called from wrong/src/replication.rs"],
        seeds: 195,
    },
    Caught {
        mistake: Mistake::NoVotePersistence,
        rule: Rule::SaveVote,
        by: "vote_once_3C",
        saying: &["2 servers lead in term", "it had not saved its vote"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::NoLogPersistence,
        rule: Rule::SaveLog,
        by: "persist_1_3C",
        saying: &["two commands are committed at index"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ActsBeforeItPersists,
        rule: Rule::SaveBeforeAnswering,
        by: "acknowledged_3C",
        saying: &["acknowledged the entry at index", "had not saved the entry when it acknowledged it"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CommitsAnEntryOfAnOlderTermByCounting,
        rule: Rule::CommitOwnTerm,
        by: "older_term_3C",
        saying: &["a leader may count only entries of its own term"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::TruncatesOnALateAppendEntries,
        rule: Rule::TruncateOnConflict,
        by: "late_entries_3B",
        saying: &["a message that came late has removed entries from the logs"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::GoesBackOnAnOldSnapshot,
        rule: Rule::OldSnapshot,
        by: "old_snapshot_3D",
        saying: &["delivered an old snapshot", "its service would go back"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ResetsTheTimerOnEveryRequestVote,
        rule: Rule::OnlyGrantResetsTimer,
        by: "old_candidates_3A",
        saying: &["and did not campaign", "none of which it could grant"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ForgetsTheSnapshotOnTheNextSave,
        rule: Rule::SaveSnapshot,
        by: "snapshot_init_3D",
        saying: &["out of order: it had applied nothing since its restart, and had no snapshot saved"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CommitsPastTheLastNewEntry,
        rule: Rule::CommitLastNewEntry,
        by: "commit_index_3B",
        saying: &["two commands are committed at index", "does not make that of"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::GrantsAVoteToAShorterLog,
        rule: Rule::UpToDateCandidate,
        by: "shorter_log_3B",
        saying: &["whose log is longer", "will overwrite it"],
        seeds: 199,
    },
    Caught {
        mistake: Mistake::IgnoresTheTermOfAReply,
        rule: Rule::StepDown,
        by: "higher_term_3A",
        saying: &["still leads in term", "a higher term in a reply ends a leader's time"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CountsOldVotes,
        rule: Rule::DropOldReplies,
        by: "old_votes_3A",
        saying: &["though nobody can have voted for it in that term", "only in the election for which it was asked"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::VotesForAnOlderTerm,
        rule: Rule::RefuseOlderTerm,
        by: "older_candidate_3A",
        saying: &["which was of an earlier term", "that one must get no vote"],
        seeds: 186,
    },
    Caught {
        mistake: Mistake::TakesOldRepliesForNew,
        rule: Rule::DropOldReplies,
        by: "old_replies_3B",
        saying: &["what came late was the answer of", "says nothing about the entries of now"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CandidateIgnoresItsLeader,
        rule: Rule::FollowNewLeader,
        by: "same_term_3A",
        saying: &["it began another election", "leader of its own term must follow it"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::DoesNotSaveAnAdoptedTerm,
        rule: Rule::SaveBeforeAnswering,
        by: "adopted_term_3C",
        saying: &["it had not saved the term when it answered"],
        seeds: 200,
    },
];

#[test]
fn every_mistake_is_in_the_table_once() {
    assert_eq!(TABLE.map(|row| row.mistake), Mistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    search::expect_all_caught(TABLE, SEEDS, |mistake| raft_scenarios(&Subject::made_by(Raft::making(Some(mistake)))));
}

//! Each mistake of a Raft is reliably caught by a scenario of the lab. The failure must explain the mistake to a
//! learner and name the broken rule.

use diagnosis::Rule;
use mistakes::{Mistake, Raft};
use tester::{Subject, raft_scenarios};

mod search;
use search::{Caught, SEEDS};

const TABLE: [Caught<Mistake>; 24] = [
    Caught {
        mistake: Mistake::NeverElects,
        rule: Rule::CampaignOnTimeout,
        scenario: "initial_election_3A",
        words: &["no leader after 10 looks"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::VotesTwiceInATerm,
        rule: Rule::OneVotePerTerm,
        scenario: "one_leader_a_term_3A",
        words: &["2 servers lead in term", "voted for both"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::DoesNotResetTheTimerOnGrantingAVote,
        rule: Rule::GrantResetsTimer,
        scenario: "time_to_lead_3A",
        words: &["it did not reset its election timer when it granted its vote"],
        seeds: 197,
    },
    Caught {
        mistake: Mistake::AppliesOutOfOrder,
        rule: Rule::ApplyInOrder,
        scenario: "concurrent_starts_3B",
        words: &["applied index", "out of order: the last one before it was"],
        seeds: 192,
    },
    Caught {
        mistake: Mistake::LeaderTruncatesItsLog,
        rule: Rule::LeaderAppendOnly,
        scenario: "new_leader_3B",
        words: &["a new leader must keep the entries in its log"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::SendsRpcsInATightLoop,
        rule: Rule::HeartbeatWhenIdle,
        scenario: "count_3B",
        words: &[" RPCs; "],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::HoldsItsLockWhileDelivering,
        rule: Rule::NoLockWhileDelivering,
        scenario: "asking_service_3B",
        words: &[
            "a lock is held too long",
            "its holder is applier-",
            "in Sender::send at crates/mistakes/src/server.rs",
        ],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::HoldsItsLockOverAnRpc,
        rule: Rule::NoLockOverRpc,
        scenario: "re_election_3A",
        words: &[
            "a lock is held too long",
            "taken at crates/mistakes/src/server.rs",
            "called from crates/mistakes/src/replication.rs",
        ],
        seeds: 195,
    },
    Caught {
        mistake: Mistake::NoVotePersistence,
        rule: Rule::SaveVote,
        scenario: "vote_once_3C",
        words: &["2 servers lead in term", "it had not saved its vote"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::NoLogPersistence,
        rule: Rule::SaveLog,
        scenario: "persist_1_3C",
        words: &["two commands are committed at index"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ActsBeforeItPersists,
        rule: Rule::SaveBeforeReply,
        scenario: "acknowledged_3C",
        words: &["acknowledged the entry at index", "had not saved the entry when it acknowledged it"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CommitsAnEntryOfAnOlderTermByCounting,
        rule: Rule::CommitOwnTerm,
        scenario: "older_term_3C",
        words: &["a leader may count replicas only for entries of its own term"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::TruncatesOnALateAppendEntries,
        rule: Rule::TruncateOnConflict,
        scenario: "late_entries_3B",
        words: &["a late message has removed entries from the logs"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::InstallsAnOldSnapshot,
        rule: Rule::IgnoreOldSnapshot,
        scenario: "old_snapshot_3D",
        words: &["delivered an old snapshot", "its service would go back"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ResetsTheTimerOnEveryRequestVote,
        rule: Rule::OnlyGrantResetsTimer,
        scenario: "old_candidates_3A",
        words: &["and did not campaign", "it could grant none of them"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::ForgetsTheSnapshotOnTheNextSave,
        rule: Rule::SaveSnapshot,
        scenario: "snapshot_init_3D",
        words: &["out of order: it had applied nothing since its restart, and had no snapshot saved"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CommitsPastTheLastNewEntry,
        rule: Rule::CommitLastNewEntry,
        scenario: "commit_index_3B",
        words: &["two commands are committed at index", "which does not make the entry of"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::GrantsAVoteToAShorterLog,
        rule: Rule::UpToDateCandidate,
        scenario: "shorter_log_3B",
        words: &["whose log is longer", "will overwrite it"],
        seeds: 199,
    },
    Caught {
        mistake: Mistake::IgnoresTheTermOfAReply,
        rule: Rule::StepDown,
        scenario: "higher_term_3A",
        words: &["still leads in term", "a leader must step down when it sees a higher term in a reply"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CountsOldVotes,
        rule: Rule::DropStaleReplies,
        scenario: "old_votes_3A",
        words: &[
            "though no other server can have voted for it in that term",
            "only in the election for which it was requested",
        ],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::VotesForAnOlderTerm,
        rule: Rule::RefuseOlderTerm,
        scenario: "older_candidate_3A",
        words: &["with an earlier term", "must get no vote"],
        seeds: 186,
    },
    Caught {
        mistake: Mistake::TreatsOldRepliesAsNew,
        rule: Rule::DropStaleReplies,
        scenario: "old_replies_3B",
        words: &["The late reply of", "says nothing about the current entries"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::CandidateIgnoresItsLeader,
        rule: Rule::FollowNewLeader,
        scenario: "same_term_3A",
        words: &["it started another election", "leader of its own term must become its follower"],
        seeds: 200,
    },
    Caught {
        mistake: Mistake::DoesNotSaveAnAdoptedTerm,
        rule: Rule::SaveBeforeReply,
        scenario: "adopted_term_3C",
        words: &["it had not saved the term when it replied"],
        seeds: 200,
    },
];

#[test]
fn every_mistake_is_in_the_table_once() {
    assert_eq!(TABLE.map(|row| row.mistake), Mistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    search::expect_all_caught(TABLE, SEEDS, |mistake| {
        raft_scenarios(&Subject::with_factory(Raft::factory(Some(mistake))))
    });
}

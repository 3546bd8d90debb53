//! Each mistake of a key/value service is caught by a scenario of the lab, surely, and in words that tell a learner
//! what is wrong. `LAB_RUNS=200` counts how surely.

use tester::{Clock, Scenario, Verdict, gate, runner};
use wrong::KvMistake;

mod told;

/// A mistake has to be found by one of the seeds from 1 to this.
const SEEDS: u64 = 200;

/// So many seeds are run and counted even if the first of them finds it; `LAB_RUNS` says otherwise.
const COUNTED: u64 = 10;

/// A mistake, and what finds it.
struct Caught {
    mistake: KvMistake,
    /// The scenario that is to catch it.
    by: &'static str,
    /// What its failure has to say.
    saying: &'static [&'static str],
    /// How many of [`SEEDS`] seeds found it, saying so, when this was written.
    seeds: u64,
}

const TABLE: [Caught; 18] = [
    Caught {
        mistake: KvMistake::ExecutesARetryAgain,
        by: "lost_reply_4A",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LooksForDuplicatesOnlyWhenAsked,
        by: "twice_in_the_log_4A",
        saying: &["an operation must be executed once, however often it is in the log"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::RefusesADuplicate,
        by: "lost_reply_4A",
        saying: &["had no answer after", "that it has been executed already does not mean that nobody waits"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LeavesTheWaiterOfADuplicate,
        by: "twice_in_the_log_4A",
        saying: &["had no answer after", "the second entry of the same operation, somebody waits for the answer"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AnswersReadsLocally,
        by: "cut_off_get_4A",
        saying: &["answered by a leader that was cut off, and did not ask anybody whether it still led"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AnswersByIndexAlone,
        by: "anothers_result_4A",
        saying: &["was given the answer to another operation, which had taken its index"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverLooksWhetherItStillLeads,
        by: "lost_entry_4A",
        saying: &["its server has to look whether it still leads"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::HoldsItsLockWhileItWaits,
        by: "one_partition_4A",
        saying: &["a lock is held too long", "its holder is rpc-worker-", "in thread::sleep at wrong/src/kv/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::ForgetsTheWaitersWhenItIsKilled,
        by: "persist_one_client_4A",
        saying: &["was killed, but 2 s later", "in Condvar::wait_for at wrong/src/kv/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverMakesASnapshot,
        by: "snapshot_size_4B",
        saying: &["logs were not trimmed", "a service must make a snapshot"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::MakesSnapshotsUnasked,
        by: "basic_4A",
        saying: &["made without a limit for its Raft state", "must then never make one"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LeavesTheDuplicatesOutOfTheSnapshot,
        by: "duplicate_after_snapshot_4B",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::DoesNotReadItsSnapshotBack,
        by: "snapshot_recover_4B",
        saying: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::IgnoresASnapshotThatComes,
        by: "duplicate_after_install_4B",
        saying: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NumbersEachAttempt,
        by: "unreliable_one_key_4A",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 196,
    },
    Caught {
        mistake: KvMistake::TakesALostReplyForDone,
        by: "unreliable_one_key_4A",
        saying: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::SharesItsIdWithAllClerks,
        by: "unreliable_one_key_4A",
        saying: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AsksTheSameServerForEver,
        by: "lost_reply_4A",
        saying: &["has waited for 20 s for the answer to its"],
        seeds: 181,
    },
];

/// In these nothing is compared while clients work, and nothing but the history of what they saw tells what was wrong:
/// the mistakes that it has to give away, and where.
const BY_ITS_HISTORY: [(KvMistake, &str); 7] = [
    (KvMistake::ExecutesARetryAgain, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::AnswersReadsLocally, "persist_partition_unreliable_linearizable_4A"),
    (
        KvMistake::LeavesTheDuplicatesOutOfTheSnapshot,
        "snapshot_unreliable_recover_concurrent_partition_linearizable_4B",
    ),
    (KvMistake::DoesNotReadItsSnapshotBack, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::IgnoresASnapshotThatComes, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::NumbersEachAttempt, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::TakesALostReplyForDone, "persist_partition_unreliable_linearizable_4A"),
];

/// The scenario `name`, told of servers or of clerks that make `mistake`.
fn scenario(name: &str, mistake: KvMistake) -> Scenario {
    let scenario = told::of(mistake).into_iter().find(|scenario| scenario.about.name == name);
    scenario.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// The seeds that found something, with what was said of it.
struct Found {
    run: u64,
    so: Vec<(u64, String)>,
    in_other_words: Vec<(u64, String)>,
}

/// Runs one seed after the other until `counted` were run and one has failed with all these words, or all are used up.
fn search(scenario: &Scenario, saying: &[&str], counted: u64) -> Found {
    let _pass = gate::admit(Clock::Simulated, &scenario.about);
    let mut found = Found { run: 0, so: Vec::new(), in_other_words: Vec::new() };
    for seed in 1..=SEEDS {
        if seed > counted && !found.so.is_empty() {
            break;
        }
        found.run = seed;
        let Verdict::Failed(broken) = runner::run(scenario, Clock::Simulated, seed).verdict else { continue };
        let words = if saying.iter().all(|words| broken.text.contains(words)) {
            &mut found.so
        } else {
            &mut found.in_other_words
        };
        words.push((seed, broken.text));
    }
    found
}

#[test]
fn every_mistake_is_in_the_table_once() {
    assert_eq!(TABLE.map(|row| row.mistake), KvMistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    const OTHERS_SHOWN: usize = 5;
    let counted = std::env::var("LAB_RUNS").map_or(COUNTED, |text| text.parse().expect("LAB_RUNS is a number"));
    let mut missed = Vec::new();
    for Caught { mistake, by, saying, seeds } in TABLE {
        let Found { run, so, in_other_words } = search(&scenario(by, mistake), saying, counted);
        let Some((first, text)) = so.first() else {
            let shown = in_other_words.iter().take(OTHERS_SHOWN);
            let others: Vec<String> = shown.map(|(seed, text)| format!("seed {seed}: {}", first_line(text))).collect();
            missed.push(format!(
                "{mistake:?}: none of {run} seeds of {by} fails with {saying:?} (it was {seeds} of {SEEDS}); in other \
                 words:\n    {}",
                others.join("\n    ")
            ));
            continue;
        };
        println!(
            "{mistake:?}: {by}, first by seed {first}, by {} of {run} seeds (it was {seeds} of {SEEDS}), by {} more in \
             other words\n    {}",
            so.len(),
            in_other_words.len(),
            first_line(text)
        );
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_history_gives_away_what_no_other_check_sees() {
    let missed: Vec<String> = BY_ITS_HISTORY
        .into_iter()
        .filter(|&(mistake, by)| search(&scenario(by, mistake), &["history", "not linearizable"], 1).so.is_empty())
        .map(|(mistake, by)| {
            format!("{mistake:?}: none of {SEEDS} seeds of {by} has a history that is not linearizable")
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

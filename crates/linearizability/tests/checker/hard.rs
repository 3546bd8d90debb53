//! Long histories with much concurrency, correct ones and ones with one mistake. The check decides all of them within a
//! stated budget.

use linearizability::{Verdict, kv};

use crate::synthetic::{Mistake, Store, history};

/// A hundred steps per operation, which the longest history of the lab, with 200,000 operations, can afford.
const STEPS_PER_OPERATION: u64 = 100;

const MISTAKES: [Mistake; 4] =
    [Mistake::LostAppend, Mistake::StaleRead, Mistake::DuplicatedAppend, Mistake::SwappedAppends];

/// With `mistakes_show` false, a mistake may be overwritten before any Get observes it.
fn assert_decided(name: &str, store: Store, seed: u64, mistakes_show: bool) {
    let history = history(store, seed);
    let operations = history.len() as u64;
    let budget = (operations * STEPS_PER_OPERATION).min(kv::BUDGET);
    let begun = std::time::Instant::now();
    let checked = history.check(budget);
    eprintln!(
        "{name}, {:?}, seed {seed}: {operations} operations, {} after {} steps, {:?}",
        store.mistake,
        checked.verdict,
        checked.steps,
        begun.elapsed()
    );
    match store.mistake {
        None => assert_eq!(checked.verdict, Verdict::Ok, "{name}: {store:?}, seed {seed}"),
        Some(_) if mistakes_show => assert_eq!(checked.verdict, Verdict::Illegal, "{name}: {store:?}, seed {seed}"),
        Some(_) => assert_ne!(checked.verdict, Verdict::Unknown, "{name}: {store:?}, seed {seed}"),
    }
}

fn assert_all_decided(name: &str, store: Store, seeds: u64, mistakes_show: bool) {
    for seed in 0..seeds {
        assert_decided(name, store, seed, mistakes_show);
        for mistake in MISTAKES {
            assert_decided(name, Store { mistake: Some(mistake), ..store }, seed, mistakes_show);
        }
    }
}

#[test]
fn many_clients_append_to_and_read_one_key() {
    assert_all_decided("one key", Store::ONE_KEY, 1, true);
}

#[test]
fn some_clients_of_one_key_hang_for_seconds() {
    let store = Store { operations_per_client: 300, hanging: 5, hang_ms: 5_000, ..Store::ONE_KEY };
    assert_all_decided("one key, some hang", store, 5, true);
}

#[test]
fn some_clients_of_random_keys_hang_for_seconds() {
    assert_all_decided("random keys", Store::RANDOM_KEYS, 5, true);
    let store = Store { operations_per_client: 600, hanging: 30, ..Store::RANDOM_KEYS };
    assert_all_decided("random keys, many hang", store, 5, true);
}

#[test]
fn clients_of_one_key_mostly_put() {
    let store = Store { puts: 500, appends: 100, operations_per_client: 300, hanging: 5, ..Store::RANDOM_KEYS };
    assert_all_decided("mostly puts", Store { keys: 1, rounds: 1, ..store }, 5, false);
}

#[test]
fn appends_are_rarely_read() {
    let store = Store { appends: 980, operations_per_client: 300, hanging: 5, hang_ms: 1_000, ..Store::ONE_KEY };
    assert_all_decided("few reads", store, 5, true);
}

/// Here no write can be told from another, so only the search can decide.
#[test]
fn clients_write_the_same_few_strings() {
    for strings in [1, 2, 5, 26] {
        for puts in [0, 50, 400] {
            let store = Store { operations_per_client: 50, puts, strings: Some(strings), ..Store::ONE_KEY };
            for seed in 0..3 {
                let checked = history(store, seed).check(kv::BUDGET);
                assert_eq!(checked.verdict, Verdict::Ok, "{store:?}, seed {seed}");
            }
        }
    }
}

//! The memory of the search: the configurations from which no path leads to the end (Lowe's memoization).
//!
//! A configuration is a set of linearized operations and the state that they lead to. Its hash covers both. With a hash
//! of the set alone, all states that one set can lead to would share a bucket, and hard histories have many of them. A
//! hash only finds a candidate; set and state must then be equal.

use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// The memory for sets, in 64-bit words: 128 MiB. Beyond this limit the search remembers no further configuration. It
/// is then slower and equally exact.
const WORDS_MAX: usize = 1 << 24;

/// The number of configurations that may be remembered.
const CONFIGURATIONS_MAX: usize = 1 << 22;

const NONE: u32 = u32::MAX;

/// A set of operations that changes by one operation at a time, with a hash that is kept up to date.
#[derive(Debug)]
pub(crate) struct OperationSet {
    words: Vec<u64>,
    hash: u64,
}

impl OperationSet {
    /// Creates an empty set with capacity for this number of operations.
    pub(crate) fn new(operations: usize) -> OperationSet {
        OperationSet { words: vec![0; operations.div_ceil(64)], hash: 0 }
    }

    /// Inserts the operation if it is absent, and removes it if it is present.
    pub(crate) fn toggle(&mut self, operation: u32) {
        self.words[operation as usize / 64] ^= 1 << (operation % 64);
        self.hash ^= scramble(u64::from(operation) + 1);
    }
}

/// The configurations from which the search has failed.
#[derive(Debug)]
pub(crate) struct FailedConfigurations<S> {
    /// The latest configuration with each hash. Earlier ones follow through `before`.
    latest: FxHashMap<u64, u32>,
    configurations: Vec<Configuration<S>>,
    words: Vec<u64>,
}

/// A set, as its words from the first that is not full to the last that may be nonempty, and a state. The set has all
/// operations before these words and none after them.
#[derive(Debug)]
struct Configuration<S> {
    state: S,
    before: u32,
    first_word: u32,
    words_at: usize,
    words: u32,
}

impl<S: Eq + Hash> FailedConfigurations<S> {
    pub(crate) fn new() -> FailedConfigurations<S> {
        FailedConfigurations { latest: FxHashMap::default(), configurations: Vec::new(), words: Vec::new() }
    }

    /// Returns whether the configuration has failed. `first` is the smallest operation that is not in the set.
    ///
    /// It is enough to compare the stored words. They include a bit for every operation called before the first
    /// outstanding return. If they agree, the operation of that return is outstanding here too, so no operation that is
    /// called after it can be in the set.
    pub(crate) fn contains(&self, set: &OperationSet, state: &S, first: u32) -> bool {
        let mut at = *self.latest.get(&configuration_hash(set, state)).unwrap_or(&NONE);
        while at != NONE {
            let configuration = &self.configurations[at as usize];
            let kept = &self.words[configuration.words_at..][..configuration.words as usize];
            if configuration.first_word == first / 64
                && set.words[configuration.first_word as usize..].starts_with(kept)
                && configuration.state == *state
            {
                return true;
            }
            at = configuration.before;
        }
        false
    }

    /// Remembers the configuration. `first` is the smallest operation that is not in the set. `last` is the largest
    /// operation that was called before the first outstanding return.
    pub(crate) fn insert(&mut self, set: &OperationSet, state: S, first: u32, last: u32) {
        let kept = &set.words[first as usize / 64..=last as usize / 64];
        if self.words.len() + kept.len() > WORDS_MAX || self.configurations.len() >= CONFIGURATIONS_MAX {
            return;
        }
        let latest = self.latest.entry(configuration_hash(set, &state)).or_insert(NONE);
        let before = std::mem::replace(latest, self.configurations.len() as u32);
        let words_at = self.words.len();
        self.words.extend_from_slice(kept);
        self.configurations.push(Configuration {
            state,
            before,
            first_word: first / 64,
            words_at,
            words: kept.len() as u32,
        });
    }
}

fn configuration_hash<S: Hash>(set: &OperationSet, state: &S) -> u64 {
    set.hash ^ scramble(FxBuildHasher.hash_one(state))
}

/// The finalizer of splitmix64: every bit of the input changes half of the output bits.
fn scramble(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{FailedConfigurations, OperationSet};

    fn set(operations: &[u32]) -> OperationSet {
        let mut set = OperationSet::new(300);
        operations.iter().for_each(|&operation| set.toggle(operation));
        set
    }

    #[test]
    fn a_configuration_is_a_set_and_a_state() {
        let mut failed = FailedConfigurations::new();
        failed.insert(&set(&[0, 1, 3]), 'a', 2, 5);
        assert!(failed.contains(&set(&[3, 1, 0]), &'a', 2));
        assert!(!failed.contains(&set(&[0, 1, 3]), &'b', 2));
        assert!(!failed.contains(&set(&[0, 1, 4]), &'a', 2));
        assert!(!failed.contains(&set(&[0, 1]), &'a', 2));
    }

    #[test]
    fn only_words_that_can_differ_are_stored() {
        let mut failed = FailedConfigurations::new();
        let nearly_all: Vec<u32> = (0..280).filter(|&operation| operation != 200).collect();
        failed.insert(&set(&nearly_all), 'a', 200, 280);
        assert_eq!(failed.words.len(), 2);
        assert!(failed.contains(&set(&nearly_all), &'a', 200));
        let others: Vec<u32> = (0..280).filter(|&operation| operation != 201).collect();
        assert!(!failed.contains(&set(&others), &'a', 201));
    }
}

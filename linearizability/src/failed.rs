//! What the search remembers: the situations from which no way leads to the end (Lowe's memoisation).
//!
//! A situation is the set of operations that have been linearized, and the state they lead to. Its hash is over both:
//! with the set alone, all the states that one set can lead to would share a bucket, and hard histories are those with
//! many. A hash only finds a candidate; what decides is whether set and state are equal.

use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// What may be remembered of sets, in 64-bit words: 128 MiB. Beyond it the search goes on and remembers no more, which
/// is slower and no less exact.
const WORDS_MAX: usize = 1 << 24;

/// How many situations may be remembered.
const SITUATIONS_MAX: usize = 1 << 22;

const NONE: u32 = u32::MAX;

/// A set of operations that is changed one at a time, with a hash that is kept up to date.
#[derive(Debug)]
pub(crate) struct Linearized {
    words: Vec<u64>,
    hash: u64,
}

impl Linearized {
    /// The empty set, with room for this many operations.
    pub(crate) fn new(operations: usize) -> Linearized {
        Linearized { words: vec![0; operations.div_ceil(64)], hash: 0 }
    }

    /// Puts the operation in if it is not there, takes it out if it is.
    pub(crate) fn toggle(&mut self, operation: u32) {
        self.words[operation as usize / 64] ^= 1 << (operation % 64);
        self.hash ^= scramble(u64::from(operation) + 1);
    }
}

/// The situations known to be hopeless.
#[derive(Debug)]
pub(crate) struct Failed<S> {
    /// By hash, the situation added last; the others follow by `before`.
    latest: FxHashMap<u64, u32>,
    situations: Vec<Situation<S>>,
    words: Vec<u64>,
}

/// The words of the set from the first that is not full to the last that is not empty, more or less: all operations
/// before are in it, all operations behind are not.
#[derive(Debug)]
struct Situation<S> {
    state: S,
    before: u32,
    first_word: u32,
    words_at: usize,
    words: u32,
}

impl<S: Eq + Hash> Failed<S> {
    pub(crate) fn new() -> Failed<S> {
        Failed { latest: FxHashMap::default(), situations: Vec::new(), words: Vec::new() }
    }

    /// Whether the situation is among them. `first` is the smallest operation that is not in the set.
    ///
    /// It is enough to compare the words that were kept. They include a bit for every operation called before the first
    /// return that was outstanding. If they agree, the operation of that return is outstanding here too, so whatever
    /// is called after it cannot be in the set.
    pub(crate) fn contains(&self, set: &Linearized, state: &S, first: u32) -> bool {
        let mut at = *self.latest.get(&key(set, state)).unwrap_or(&NONE);
        while at != NONE {
            let situation = &self.situations[at as usize];
            let kept = &self.words[situation.words_at..][..situation.words as usize];
            if situation.first_word == first / 64
                && set.words[situation.first_word as usize..].starts_with(kept)
                && situation.state == *state
            {
                return true;
            }
            at = situation.before;
        }
        false
    }

    /// Remembers the situation. `first` is the smallest operation that is not in the set, `last` the largest that was
    /// called before the first outstanding return.
    pub(crate) fn insert(&mut self, set: &Linearized, state: S, first: u32, last: u32) {
        let kept = &set.words[first as usize / 64..=last as usize / 64];
        if self.words.len() + kept.len() > WORDS_MAX || self.situations.len() >= SITUATIONS_MAX {
            return;
        }
        let latest = self.latest.entry(key(set, &state)).or_insert(NONE);
        let before = std::mem::replace(latest, self.situations.len() as u32);
        let words_at = self.words.len();
        self.words.extend_from_slice(kept);
        self.situations.push(Situation { state, before, first_word: first / 64, words_at, words: kept.len() as u32 });
    }
}

fn key<S: Hash>(set: &Linearized, state: &S) -> u64 {
    set.hash ^ scramble(FxBuildHasher.hash_one(state))
}

/// The finalizer of splitmix64: every bit of the input changes half of the output.
fn scramble(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Failed, Linearized};

    fn set(operations: &[u32]) -> Linearized {
        let mut set = Linearized::new(300);
        operations.iter().for_each(|&operation| set.toggle(operation));
        set
    }

    #[test]
    fn a_situation_is_its_set_and_its_state() {
        let mut failed = Failed::new();
        failed.insert(&set(&[0, 1, 3]), 'a', 2, 5);
        assert!(failed.contains(&set(&[3, 1, 0]), &'a', 2));
        assert!(!failed.contains(&set(&[0, 1, 3]), &'b', 2));
        assert!(!failed.contains(&set(&[0, 1, 4]), &'a', 2));
        assert!(!failed.contains(&set(&[0, 1]), &'a', 2));
    }

    #[test]
    fn only_the_words_between_the_first_open_operation_and_the_last_are_kept() {
        let mut failed = Failed::new();
        let nearly_all: Vec<u32> = (0..280).filter(|&operation| operation != 200).collect();
        failed.insert(&set(&nearly_all), 'a', 200, 280);
        assert_eq!(failed.words.len(), 2);
        assert!(failed.contains(&set(&nearly_all), &'a', 200));
        let others: Vec<u32> = (0..280).filter(|&operation| operation != 201).collect();
        assert!(!failed.contains(&set(&others), &'a', 201));
    }
}

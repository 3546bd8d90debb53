//! The deadlines of waiting threads. A thread has at most one timer, which is removed as soon as the wait ends: most
//! waits end long before their deadlines, and stale timers would be most of the timers to sort.

use super::NEVER;
use super::slot::Slot;

/// The set timers in a sorted list, the earliest at the end. Most timers are set for the near future, so they are
/// inserted and removed near the end. A few dozen timers are too few for a tree to pay off.
#[derive(Default)]
pub(super) struct Timers {
    sorted: Vec<Timer>,
    /// The deadline of each slot's timer, indexed by slot; [`NEVER`] if it has none.
    deadlines: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Timer {
    deadline: u64,
    slot: Slot,
}

impl Timers {
    /// Sets the timer of `slot`, which has none, to a moment that is not in the past.
    pub(super) fn set(&mut self, slot: Slot, deadline: u64) {
        if slot >= self.deadlines.len() {
            self.deadlines.resize(slot + 1, NEVER);
        }
        debug_assert_eq!(self.deadlines[slot], NEVER, "a task waits for one thing at a time");
        self.deadlines[slot] = deadline;
        let place = self.insertion_point(deadline);
        self.sorted.insert(place, Timer { deadline, slot });
    }

    /// Removes the timer of `slot`, if it is set.
    pub(super) fn cancel(&mut self, slot: Slot) {
        let Some(deadline) = self.deadlines.get_mut(slot) else { return };
        let deadline = std::mem::replace(deadline, NEVER);
        if deadline == NEVER {
            return;
        }
        if self.sorted.pop_if(|last| last.slot == slot).is_none() {
            let place = self.insertion_point(deadline);
            let among_equals = self.sorted[place..].iter().position(|timer| timer.slot == slot);
            self.sorted.remove(place + among_equals.expect("the timer is in the list"));
        }
    }

    /// Returns the earliest deadline and its slot; of equal deadlines, the one that was set first.
    pub(super) fn earliest(&self) -> Option<(u64, Slot)> {
        self.sorted.last().map(|timer| (timer.deadline, timer.slot))
    }

    /// Returns the index in the list at which to insert `deadline`: after all later deadlines, before all equal ones.
    fn insertion_point(&self, deadline: u64) -> usize {
        // Most timers are near the end.
        self.sorted.iter().rposition(|timer| timer.deadline > deadline).map_or(0, |later| later + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets, cancels and removes timers at random, and compares them with a plain list.
    #[test]
    fn the_earliest_timer_comes_first_and_of_equal_ones_the_oldest() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut timers = Timers::default();
        // In the order of setting.
        let mut expected: Vec<(u64, Slot)> = Vec::new();
        for _ in 0..20_000 {
            let slot = rng.random_range(0..40);
            if let Some(place) = expected.iter().position(|&(_, set)| set == slot) {
                expected.remove(place);
                timers.cancel(slot);
            } else {
                let deadline = rng.random_range(0..30);
                expected.push((deadline, slot));
                timers.set(slot, deadline);
            }
            timers.cancel(rng.random_range(100..110));
            let earliest = expected.iter().min_by_key(|&&(deadline, _)| deadline).copied();
            assert_eq!(timers.earliest(), earliest);
        }
    }
}

//! The deadlines of the threads that wait with one. A thread has one timer at most, and it is gone as soon as the wait is
//! over: most waits end long before their deadlines, and what stayed would be most of what there is to sort.

use super::NEVER;
use super::scheduler::Slot;

/// The timers that are set, in a row, the earliest at its end. Most of them are set for moments that come soon, go in near the
/// end, and go out there; and a few dozen are fewer than a tree would pay for.
#[derive(Default)]
pub(super) struct Timers {
    row: Vec<Timer>,
    /// When the timer of a slot goes off, by slot; [`NEVER`] if it has none.
    deadlines: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Timer {
    deadline: u64,
    slot: Slot,
}

impl Timers {
    /// Sets the timer of `slot`, which has none, for a moment that comes.
    pub(super) fn set(&mut self, slot: Slot, deadline: u64) {
        if slot >= self.deadlines.len() {
            self.deadlines.resize(slot + 1, NEVER);
        }
        debug_assert_eq!(self.deadlines[slot], NEVER, "a task waits for one thing at a time");
        self.deadlines[slot] = deadline;
        let place = self.first_not_after(deadline);
        self.row.insert(place, Timer { deadline, slot });
    }

    /// Takes the timer of `slot` out, if it is set.
    pub(super) fn cancel(&mut self, slot: Slot) {
        let Some(deadline) = self.deadlines.get_mut(slot) else { return };
        let deadline = std::mem::replace(deadline, NEVER);
        if deadline == NEVER {
            return;
        }
        if self.row.pop_if(|last| last.slot == slot).is_none() {
            let place = self.first_not_after(deadline);
            let among_equals = self.row[place..].iter().position(|timer| timer.slot == slot);
            self.row.remove(place + among_equals.expect("the timer is in the row"));
        }
    }

    /// The earliest deadline and whose it is; of equal ones that which was set first.
    pub(super) fn earliest(&self) -> Option<(u64, Slot)> {
        self.row.last().map(|timer| (timer.deadline, timer.slot))
    }

    /// The first place in the row that is not after `deadline`: behind those that are later, before those that are equal.
    fn first_not_after(&self, deadline: u64) -> usize {
        // Most are near the end.
        self.row.iter().rposition(|timer| timer.deadline > deadline).map_or(0, |later| later + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets, cancels and takes out timers at random, beside a plain list of what is set.
    #[test]
    fn the_earliest_comes_first_and_of_equal_ones_the_oldest() {
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

//! The deadlines of the threads that wait with one. A thread has one timer at most, and it is gone as soon as the wait is
//! over: most waits end long before their deadlines, and what stayed would be most of what there is to sort.

use super::scheduler::Slot;

/// The timers that are set: a binary heap, the earliest on top, that knows where the timer of each slot is.
#[derive(Default)]
pub(super) struct Timers {
    heap: Vec<Timer>,
    /// Where in the heap the timer of a slot is, by slot; [`UNSET`] if it has none.
    places: Vec<usize>,
    /// How many were ever set.
    count: u64,
}

/// Ordered by deadline; of equal ones the one that was set first comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    deadline: u64,
    number: u64,
    slot: Slot,
}

/// The place of a timer that is not set.
const UNSET: usize = usize::MAX;

impl Timers {
    /// Sets the timer of `slot`, which has none.
    pub(super) fn set(&mut self, slot: Slot, deadline: u64) {
        if slot >= self.places.len() {
            self.places.resize(slot + 1, UNSET);
        }
        debug_assert_eq!(self.places[slot], UNSET, "a task waits for one thing at a time");
        self.count += 1;
        let timer = Timer { deadline, number: self.count, slot };
        self.heap.push(timer);
        self.rise(self.heap.len() - 1, timer);
    }

    /// Takes the timer of `slot` out, if it is set.
    pub(super) fn cancel(&mut self, slot: Slot) {
        let Some(place) = self.places.get_mut(slot) else { return };
        let place = std::mem::replace(place, UNSET);
        if place == UNSET {
            return;
        }
        // The last one fills the gap, and goes up or down from there.
        let last = self.heap.pop().expect("the timer is in the heap");
        if place < self.heap.len() {
            if place > 0 && last < self.heap[parent(place)] {
                self.rise(place, last);
            } else {
                self.sink(place, last);
            }
        }
    }

    /// The earliest deadline and whose it is.
    pub(super) fn earliest(&self) -> Option<(u64, Slot)> {
        self.heap.first().map(|timer| (timer.deadline, timer.slot))
    }

    /// Puts `timer` where it belongs, at `place` or above; what is at `place` is overwritten.
    fn rise(&mut self, mut place: usize, timer: Timer) {
        while place > 0 && timer < self.heap[parent(place)] {
            self.put(place, self.heap[parent(place)]);
            place = parent(place);
        }
        self.put(place, timer);
    }

    /// Puts `timer` where it belongs, at `place` or below; what is at `place` is overwritten.
    fn sink(&mut self, mut place: usize, timer: Timer) {
        loop {
            let mut child = 2 * place + 1;
            if child + 1 < self.heap.len() && self.heap[child + 1] < self.heap[child] {
                child += 1;
            }
            if child >= self.heap.len() || timer < self.heap[child] {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, timer);
    }

    fn put(&mut self, place: usize, timer: Timer) {
        self.heap[place] = timer;
        self.places[timer.slot] = place;
    }
}

/// The place above another one, which is not the top.
fn parent(place: usize) -> usize {
    (place - 1) / 2
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

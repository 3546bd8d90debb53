//! The wait queues: the threads that are parked under each key, in the order of their arrival.
//!
//! A key hashes to one of a fixed number of buckets. The keys of a bucket share one linked list, which runs through the
//! slots of the parked threads. So nothing is allocated, and a call that wakes threads, which nearly always finds an
//! empty bucket, costs one read.

use super::slot::Slot;

/// The parked threads of a simulation.
pub(super) struct WaitQueues {
    buckets: Vec<Bucket>,
    /// The list nodes, indexed by slot.
    nodes: Vec<Node>,
}

/// The ends of a bucket's list; [`NO_SLOT`] if the list is empty.
#[derive(Clone, Copy)]
struct Bucket {
    first: Slot,
    last: Slot,
}

/// The links of a slot in its list.
#[derive(Clone, Copy)]
struct Node {
    /// The key under which the slot is parked; 0 if it is not parked.
    key: usize,
    before: Slot,
    after: Slot,
}

/// The end marker of a list.
const NO_SLOT: Slot = Slot::MAX;

/// The number of buckets: a power of two, and several times the number of threads that wait in a run of the lab.
const BUCKETS: usize = 512;

impl WaitQueues {
    pub(super) fn new() -> WaitQueues {
        WaitQueues { buckets: vec![Bucket { first: NO_SLOT, last: NO_SLOT }; BUCKETS], nodes: Vec::new() }
    }

    /// Parks `slot`, which is not parked, under `key`, which is not 0.
    pub(super) fn park(&mut self, slot: Slot, key: usize) {
        if slot >= self.nodes.len() {
            self.nodes.resize(slot + 1, Node { key: 0, before: NO_SLOT, after: NO_SLOT });
        }
        debug_assert_eq!(self.nodes[slot].key, 0, "a task waits for one thing at a time");
        let bucket = &mut self.buckets[bucket(key)];
        self.nodes[slot] = Node { key, before: bucket.last, after: NO_SLOT };
        match bucket.last {
            NO_SLOT => bucket.first = slot,
            last => self.nodes[last].after = slot,
        }
        bucket.last = slot;
    }

    /// Removes `slot`, if it is parked.
    pub(super) fn unpark(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get_mut(slot) else { return };
        let Node { key, before, after } = *node;
        if key == 0 {
            return;
        }
        node.key = 0;
        let bucket = &mut self.buckets[bucket(key)];
        match before {
            NO_SLOT => bucket.first = after,
            before => self.nodes[before].after = after,
        }
        match after {
            NO_SLOT => bucket.last = before,
            after => self.nodes[after].before = before,
        }
    }

    /// Returns the slot that has been parked under `key` for longest.
    pub(super) fn first_waiting_on(&self, key: usize) -> Option<Slot> {
        self.waiting_on(key).next()
    }

    /// Returns the slots that are parked under `key`, in the order of their arrival.
    pub(super) fn waiting_on(&self, key: usize) -> impl Iterator<Item = Slot> + '_ {
        let mut next = self.buckets[bucket(key)].first;
        std::iter::from_fn(move || {
            while next != NO_SLOT {
                let slot = next;
                next = self.nodes[slot].after;
                if self.nodes[slot].key == key {
                    return Some(slot);
                }
            }
            None
        })
    }
}

/// Returns the bucket of a key: the upper bits of a product, which depend on all bits of the key.
fn bucket(key: usize) -> usize {
    let product = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> (u64::BITS - BUCKETS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses more keys than buckets, so that keys share lists, and compares the queues with plain lists.
    #[test]
    fn threads_under_a_key_are_found_in_the_order_of_arrival() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut queues = WaitQueues::new();
        let mut expected: Vec<(usize, Slot)> = Vec::new();
        for _ in 0..20_000 {
            let slot = rng.random_range(0..2_000);
            match expected.iter().position(|&(_, parked)| parked == slot) {
                Some(place) => {
                    expected.remove(place);
                    queues.unpark(slot);
                }
                None => {
                    let key = rng.random_range(1..=BUCKETS * 2);
                    expected.push((key, slot));
                    queues.park(slot, key);
                }
            }
            queues.unpark(2_000 + slot);
            let key = rng.random_range(1..=BUCKETS * 2);
            let there: Vec<Slot> = queues.waiting_on(key).collect();
            let wanted: Vec<Slot> =
                expected.iter().filter(|&&(under, _)| under == key).map(|&(_, slot)| slot).collect();
            assert_eq!(there, wanted);
        }
    }
}

//! Who waits for what: the threads that are parked under a key, in the order of coming.
//!
//! A key falls into one of a fixed number of rows, and the keys of a row share one list, which runs through the slots of
//! those that wait. So nothing is allocated, and a call that could wake somebody, which nearly always finds an empty row,
//! costs one look.

use super::scheduler::Slot;

/// The parked threads.
pub(super) struct Lot {
    rows: Vec<Row>,
    /// By slot.
    links: Vec<Link>,
}

/// The ends of a row's list; [`NOBODY`] if it is empty.
#[derive(Clone, Copy)]
struct Row {
    first: Slot,
    last: Slot,
}

/// The place of a slot in its list.
#[derive(Clone, Copy)]
struct Link {
    /// What it is parked under; 0 if it is not.
    key: usize,
    before: Slot,
    after: Slot,
}

/// Stands for a slot at the ends of a list.
const NOBODY: Slot = Slot::MAX;

/// A power of two, and several times as many as threads wait in a run of the lab.
const ROWS: usize = 512;

impl Lot {
    pub(super) fn new() -> Lot {
        Lot { rows: vec![Row { first: NOBODY, last: NOBODY }; ROWS], links: Vec::new() }
    }

    /// Parks `slot`, which is not parked, under `key`, which is not 0.
    pub(super) fn park(&mut self, slot: Slot, key: usize) {
        if slot >= self.links.len() {
            self.links.resize(slot + 1, Link { key: 0, before: NOBODY, after: NOBODY });
        }
        debug_assert_eq!(self.links[slot].key, 0, "a task waits for one thing at a time");
        let row = &mut self.rows[row(key)];
        self.links[slot] = Link { key, before: row.last, after: NOBODY };
        match row.last {
            NOBODY => row.first = slot,
            last => self.links[last].after = slot,
        }
        row.last = slot;
    }

    /// Takes `slot` out, if it is parked.
    pub(super) fn unpark(&mut self, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let Link { key, before, after } = *link;
        if key == 0 {
            return;
        }
        link.key = 0;
        let row = &mut self.rows[row(key)];
        match before {
            NOBODY => row.first = after,
            before => self.links[before].after = after,
        }
        match after {
            NOBODY => row.last = before,
            after => self.links[after].before = before,
        }
    }

    /// The one who has been parked under `key` for longest.
    pub(super) fn first(&self, key: usize) -> Option<Slot> {
        self.under(key).next()
    }

    /// Those who are parked under `key`, in the order of coming.
    pub(super) fn under(&self, key: usize) -> impl Iterator<Item = Slot> + '_ {
        let mut next = self.rows[row(key)].first;
        std::iter::from_fn(move || {
            while next != NOBODY {
                let slot = next;
                next = self.links[slot].after;
                if self.links[slot].key == key {
                    return Some(slot);
                }
            }
            None
        })
    }
}

/// The row of a key: the upper bits of a product, which depend on all bits of the key.
fn row(key: usize) -> usize {
    let product = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> (u64::BITS - ROWS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More keys than rows, so that keys share lists, beside plain lists.
    #[test]
    fn those_under_a_key_are_found_in_the_order_of_coming() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut lot = Lot::new();
        let mut expected: Vec<(usize, Slot)> = Vec::new();
        for _ in 0..20_000 {
            let slot = rng.random_range(0..2_000);
            match expected.iter().position(|&(_, parked)| parked == slot) {
                Some(place) => {
                    expected.remove(place);
                    lot.unpark(slot);
                }
                None => {
                    let key = rng.random_range(1..=ROWS * 2);
                    expected.push((key, slot));
                    lot.park(slot, key);
                }
            }
            lot.unpark(2_000 + slot);
            let key = rng.random_range(1..=ROWS * 2);
            let there: Vec<Slot> = lot.under(key).collect();
            let wanted: Vec<Slot> =
                expected.iter().filter(|&&(under, _)| under == key).map(|&(_, slot)| slot).collect();
            assert_eq!(there, wanted);
        }
    }
}

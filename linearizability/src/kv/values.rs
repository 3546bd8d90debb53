//! The values that Gets of one key returned, each exactly, all in little more room than the longest.
//!
//! It is a trie of long branches: a *branch* is a run of bytes that leaves another branch at some length, and goes on to
//! the end of some value. A value is a [`Place`]: a branch, and a length along it. Results of Gets of one key mostly are
//! prefixes and extensions of one another: a prefix of what is there needs no room, and what goes beyond the end of a
//! branch is added to it. A value that is different from some byte on begins a branch there.
//!
//! Branches that leave at the same length differ in their first byte, from each other and from the branch they leave;
//! and a branch that is left at a length goes on beyond it. So every string has at most one place, for ever, and strings
//! are equal exactly if their places are.

use rustc_hash::FxHashMap;

/// The branch that begins with the first byte of a value.
const TRUNK: u32 = 0;

/// Where a string ends in the trie: `length` bytes from the root, along `branch`, which has at least the last of them.
/// The empty string ends at length 0 of the trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) branch: u32,
    pub(super) length: u32,
}

/// The place of the empty string.
pub(super) const ROOT: Place = Place { branch: TRUNK, length: 0 };

/// The values of one key.
#[derive(Clone, Debug)]
pub(super) struct Values {
    branches: Vec<Branch>,
    /// The branch that leaves another at a length with a byte.
    leaving: FxHashMap<(Place, u8), u32>,
}

#[derive(Clone, Debug)]
struct Branch {
    /// The branch it leaves. The trunk leaves itself at length 0.
    parent: u32,
    /// The length at which it does so.
    start: u32,
    /// What it has from there on.
    bytes: Vec<u8>,
}

impl Branch {
    fn end(&self) -> u32 {
        self.start + self.bytes.len() as u32
    }

    fn after(&self, length: u32) -> &[u8] {
        &self.bytes[(length - self.start) as usize..]
    }
}

impl Default for Values {
    fn default() -> Values {
        Values { branches: vec![Branch { parent: TRUNK, start: 0, bytes: Vec::new() }], leaving: FxHashMap::default() }
    }
}

impl Values {
    /// The place of `value`, which is there from now on.
    ///
    /// # Panics
    ///
    /// If the value has 4 GiB or more.
    pub(super) fn insert(&mut self, value: &str) -> Place {
        let length = u32::try_from(value.len()).expect("a value has less than 4 GiB");
        let (reached, end_of_branch) = self.follow(value.as_bytes());
        let rest = &value.as_bytes()[reached.length as usize..];
        if rest.is_empty() {
            return reached;
        }
        let branch = if end_of_branch {
            self.branches[reached.branch as usize].bytes.extend_from_slice(rest);
            reached.branch
        } else {
            let branch = self.branches.len() as u32;
            self.branches.push(Branch { parent: reached.branch, start: reached.length, bytes: rest.to_vec() });
            self.leaving.insert((reached, rest[0]), branch);
            branch
        };
        Place { branch, length }
    }

    /// The place of `string`, if it is a value or the beginning of one.
    pub(super) fn find(&self, string: &str) -> Option<Place> {
        let (reached, _) = self.follow(string.as_bytes());
        (reached.length as usize == string.len()).then_some(reached)
    }

    /// How far the string can be followed, and whether that is the end of a branch.
    ///
    /// Where a branch has the next byte, the place is one of that branch, so it is the only place of its string.
    fn follow(&self, string: &[u8]) -> (Place, bool) {
        let mut at = ROOT;
        loop {
            let branch = &self.branches[at.branch as usize];
            let rest = &string[at.length as usize..];
            at.length += common_prefix(branch.after(at.length), rest) as u32;
            let Some(&next) = string.get(at.length as usize) else { return (at, at.length == branch.end()) };
            if at.length == branch.end() {
                return (at, true);
            }
            match self.leaving.get(&(at, next)) {
                Some(&branch) => at.branch = branch,
                None => return (at, false),
            }
        }
    }

    /// The place of the same string without what is behind its first `length` bytes.
    pub(super) fn prefix(&self, mut place: Place, length: u32) -> Place {
        debug_assert!(length <= place.length, "a prefix is no longer than the whole");
        while length <= self.branches[place.branch as usize].start && place.branch != TRUNK {
            place.branch = self.branches[place.branch as usize].parent;
        }
        Place { length, ..place }
    }

    /// The bytes of the string, the last first.
    pub(super) fn bytes_backwards(&self, place: Place) -> impl Iterator<Item = u8> {
        let mut left = place.length;
        let mut branch = &self.branches[place.branch as usize];
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            while left <= branch.start {
                branch = &self.branches[branch.parent as usize];
            }
            left -= 1;
            Some(branch.bytes[(left - branch.start) as usize])
        })
    }

    /// The string as one slice, if it lies on one branch.
    pub(super) fn slice(&self, place: Place) -> Option<&[u8]> {
        (place.branch == TRUNK).then(|| &self.branches[TRUNK as usize].bytes[..place.length as usize])
    }

    /// A copy of the string.
    pub(super) fn copy(&self, place: Place) -> Vec<u8> {
        let mut bytes = vec![0; place.length as usize];
        let mut at = place;
        while at.length > 0 {
            let branch = &self.branches[at.branch as usize];
            bytes[branch.start as usize..at.length as usize]
                .copy_from_slice(&branch.bytes[..(at.length - branch.start) as usize]);
            at = Place { branch: branch.parent, length: branch.start };
        }
        bytes
    }

    /// The bytes held for all values together.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.branches.iter().map(|branch| branch.bytes.len()).sum()
    }

    /// Puts places in an order in which those that continue a given place stand side by side; returns, for each place
    /// of `places`, the half-open range of those in the order that are equal to it or continue it.
    ///
    /// Each branch is walked from its end towards its start. What continues one of its places is what has been passed
    /// by then: farther places of the branch, and whole branches that leave it there or farther on.
    pub(super) fn ranges(&self, places: &[Place]) -> Vec<(u32, u32)> {
        // By branch: the places on it, and the branches that leave it, by length.
        let mut on: Vec<Vec<(u32, Item)>> = vec![Vec::new(); self.branches.len()];
        for (index, place) in places.iter().enumerate() {
            on[place.branch as usize].push((place.length, Item::Place(index as u32)));
        }
        for (number, branch) in self.branches.iter().enumerate().skip(1) {
            on[branch.parent as usize].push((branch.start, Item::Branch(number as u32)));
        }
        // A stable sort: at equal lengths, places come off the end last, that is, behind the branches that leave there.
        on.iter_mut().for_each(|items| items.sort_by_key(|&(length, _)| length));

        let mut ranges = vec![(0, 0); places.len()];
        let mut passed = 0;
        let mut under_way = vec![(TRUNK, 0)];
        while let Some(&(branch, begin)) = under_way.last() {
            match on[branch as usize].pop() {
                Some((_, Item::Branch(leaving))) => under_way.push((leaving, passed)),
                Some((_, Item::Place(index))) => {
                    passed += 1;
                    ranges[index as usize] = (begin, passed);
                }
                None => {
                    under_way.pop();
                }
            }
        }
        ranges
    }
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Place(u32),
    Branch(u32),
}

/// How many bytes both begin with. Long runs are compared at memory speed.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const RUN: usize = 256;
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    if a == b {
        return length;
    }
    let runs = a.chunks(RUN).zip(b.chunks(RUN)).take_while(|(a, b)| a == b).count();
    let at = (runs * RUN).min(length);
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::{ROOT, Values};

    #[test]
    fn a_value_is_kept_exactly_and_a_prefix_costs_nothing() {
        let mut values = Values::default();
        let strings = ["", "ab", "abcd", "abx", "abxy", "a", "b", "abcd", "bc", "abxz", "abxyz", "é", "è"];
        let places: Vec<_> = strings.iter().map(|string| values.insert(string)).collect();
        for (string, &place) in strings.iter().zip(&places) {
            assert_eq!(values.copy(place), string.as_bytes());
            let mut backwards: Vec<u8> = values.bytes_backwards(place).collect();
            backwards.reverse();
            assert_eq!(backwards, string.as_bytes());
            assert_eq!(values.find(string), Some(place));
            assert_eq!(values.insert(string), place);
        }
        assert_eq!(places[2], places[7]);
        assert_eq!(values.held(), "abcd xyz z bc é".replace(' ', "").len() + 1);
        assert_eq!(values.find("abcde"), None);
    }

    #[test]
    fn a_place_knows_its_prefixes_and_what_continues_it() {
        let mut values = Values::default();
        let strings = ["abcd", "ab", "abxy", "abxz", "abx", "q", "", "abc", "ab"];
        let places: Vec<_> = strings.iter().map(|string| values.insert(string)).collect();
        let ranges = values.ranges(&places);
        for (a, &(begin, end)) in strings.iter().zip(&ranges) {
            for (b, &(_, own)) in strings.iter().zip(&ranges) {
                let continues = b.starts_with(a);
                if a == b {
                    continue;
                }
                assert_eq!((begin..end).contains(&(own - 1)), continues, "{b:?} continues {a:?}");
            }
            let place = values.find(a).unwrap();
            for length in 0..=a.len() {
                assert_eq!(values.prefix(place, length as u32), values.find(&a[..length]).unwrap());
            }
        }
        assert_eq!(values.find(""), Some(ROOT));
    }
}

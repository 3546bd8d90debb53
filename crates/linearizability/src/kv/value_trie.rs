//! The values that the Gets of one key returned, stored exactly, in little more memory than the longest one takes.
//!
//! The values form a trie of long branches. A *branch* is a run of bytes that leaves another branch at some length and
//! goes on to the end of some value. A value is a [`Place`]: a branch and a length along it. The values of one key are
//! mostly prefixes and extensions of one another. A prefix of a stored value needs no memory, and a value that goes
//! beyond the end of a branch extends the branch. A value that differs from some byte on begins a new branch there.
//!
//! Branches that leave at the same length differ in their first byte, from each other and from the branch that they
//! leave. A branch that is left at some length continues beyond it. So every string has at most one place, which never
//! changes, and two strings are equal if and only if their places are.

use rustc_hash::FxHashMap;

/// The branch at the root, which begins with the first byte of a value.
const ROOT_BRANCH: u32 = 0;

/// The end of a string in the trie: `length` bytes from the root, on `branch`, which has at least the last of these
/// bytes. The empty string ends at length 0 of the root branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) branch: u32,
    pub(super) length: u32,
}

/// The place of the empty string.
pub(super) const ROOT: Place = Place { branch: ROOT_BRANCH, length: 0 };

/// The values of one key.
#[derive(Clone, Debug)]
pub(super) struct ValueTrie {
    branches: Vec<Branch>,
    /// The branch that leaves a place with a byte.
    children: FxHashMap<(Place, u8), u32>,
}

#[derive(Clone, Debug)]
struct Branch {
    /// The branch that it leaves. The root branch leaves itself at length 0.
    parent: u32,
    /// The length at which it leaves.
    start: u32,
    /// Its bytes from there on.
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

impl Default for ValueTrie {
    fn default() -> ValueTrie {
        ValueTrie {
            branches: vec![Branch { parent: ROOT_BRANCH, start: 0, bytes: Vec::new() }],
            children: FxHashMap::default(),
        }
    }
}

impl ValueTrie {
    /// Inserts `value` and returns its place.
    ///
    /// # Panics
    ///
    /// Panics if the value has 4 GiB or more.
    pub(super) fn insert(&mut self, value: &str) -> Place {
        let length = u32::try_from(value.len()).expect("a value has less than 4 GiB");
        let (reached, end_of_branch) = self.longest_match(value.as_bytes());
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
            self.children.insert((reached, rest[0]), branch);
            branch
        };
        Place { branch, length }
    }

    /// Returns the place of `string` if it is a value or a prefix of one.
    pub(super) fn find(&self, string: &str) -> Option<Place> {
        let (reached, _) = self.longest_match(string.as_bytes());
        (reached.length as usize == string.len()).then_some(reached)
    }

    /// The place of the longest prefix of `string` in the trie, and whether it is the end of a branch.
    ///
    /// If a branch has the next byte, the place is on that branch, so it is the only place of its string.
    fn longest_match(&self, string: &[u8]) -> (Place, bool) {
        let mut at = ROOT;
        loop {
            let branch = &self.branches[at.branch as usize];
            let rest = &string[at.length as usize..];
            at.length += common_prefix(branch.after(at.length), rest) as u32;
            let Some(&next) = string.get(at.length as usize) else { return (at, at.length == branch.end()) };
            if at.length == branch.end() {
                return (at, true);
            }
            match self.children.get(&(at, next)) {
                Some(&branch) => at.branch = branch,
                None => return (at, false),
            }
        }
    }

    /// The place of the first `length` bytes of a string.
    pub(super) fn prefix(&self, mut place: Place, length: u32) -> Place {
        debug_assert!(length <= place.length, "a prefix is no longer than the whole");
        while length <= self.branches[place.branch as usize].start && place.branch != ROOT_BRANCH {
            place.branch = self.branches[place.branch as usize].parent;
        }
        Place { length, ..place }
    }

    /// The bytes of the string, last byte first.
    pub(super) fn bytes_reversed(&self, place: Place) -> impl Iterator<Item = u8> {
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

    /// The string as one slice, if it lies on the root branch.
    pub(super) fn slice(&self, place: Place) -> Option<&[u8]> {
        (place.branch == ROOT_BRANCH).then(|| &self.branches[ROOT_BRANCH as usize].bytes[..place.length as usize])
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

    /// The number of bytes stored for all values together.
    #[cfg(test)]
    pub(super) fn total_bytes(&self) -> usize {
        self.branches.iter().map(|branch| branch.bytes.len()).sum()
    }

    /// Orders the places such that all places that continue a given place are adjacent. Returns, for each place of
    /// `places`, the half-open range of the positions in this order of the places that are equal to it or continue it.
    ///
    /// Each branch is walked from its end to its start. The places that continue a given place are those passed before
    /// it on this walk: farther places of the branch, and whole branches that leave it there or farther on.
    pub(super) fn prefix_ranges(&self, places: &[Place]) -> Vec<(u32, u32)> {
        // For each branch: the places on it and the branches that leave it, with their lengths.
        let mut on: Vec<Vec<(u32, BranchItem)>> = vec![Vec::new(); self.branches.len()];
        for (index, place) in places.iter().enumerate() {
            on[place.branch as usize].push((place.length, BranchItem::Place(index as u32)));
        }
        for (number, branch) in self.branches.iter().enumerate().skip(1) {
            on[branch.parent as usize].push((branch.start, BranchItem::Branch(number as u32)));
        }
        // A stable sort: at equal lengths, places are popped after the branches that leave there.
        on.iter_mut().for_each(|items| items.sort_by_key(|&(length, _)| length));

        let mut ranges = vec![(0, 0); places.len()];
        let mut passed = 0;
        let mut in_progress = vec![(ROOT_BRANCH, 0)];
        while let Some(&(branch, begin)) = in_progress.last() {
            match on[branch as usize].pop() {
                Some((_, BranchItem::Branch(leaving))) => in_progress.push((leaving, passed)),
                Some((_, BranchItem::Place(index))) => {
                    passed += 1;
                    ranges[index as usize] = (begin, passed);
                }
                None => {
                    in_progress.pop();
                }
            }
        }
        ranges
    }
}

#[derive(Clone, Copy, Debug)]
enum BranchItem {
    Place(u32),
    Branch(u32),
}

/// The length of the common prefix. Long runs are compared at memory speed.
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
    use super::{ROOT, ValueTrie};

    #[test]
    fn values_are_stored_exactly_and_prefixes_take_no_bytes() {
        let mut values = ValueTrie::default();
        let strings = ["", "ab", "abcd", "abx", "abxy", "a", "b", "abcd", "bc", "abxz", "abxyz", "é", "è"];
        let places: Vec<_> = strings.iter().map(|string| values.insert(string)).collect();
        for (string, &place) in strings.iter().zip(&places) {
            assert_eq!(values.copy(place), string.as_bytes());
            let mut backwards: Vec<u8> = values.bytes_reversed(place).collect();
            backwards.reverse();
            assert_eq!(backwards, string.as_bytes());
            assert_eq!(values.find(string), Some(place));
            assert_eq!(values.insert(string), place);
        }
        assert_eq!(places[2], places[7]);
        assert_eq!(values.total_bytes(), "abcd xyz z bc é".replace(' ', "").len() + 1);
        assert_eq!(values.find("abcde"), None);
    }

    #[test]
    fn prefix_and_prefix_ranges_agree_with_the_strings() {
        let mut values = ValueTrie::default();
        let strings = ["abcd", "ab", "abxy", "abxz", "abx", "q", "", "abc", "ab"];
        let places: Vec<_> = strings.iter().map(|string| values.insert(string)).collect();
        let ranges = values.prefix_ranges(&places);
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

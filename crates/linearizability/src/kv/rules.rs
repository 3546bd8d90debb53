//! The rules of the search for one key: which moves are hopeless, and which are never reconsidered. The documentation
//! of the module ([`kv`](super)) proves them.

use std::rc::Rc;

use super::{
    analysis::{ANY_NODE, KeyAnalysis},
    get_groups::NO_GROUP,
    graph::{DEAD, EMPTY},
    transition::Transition,
};
use crate::search::{MoveAdvice, Rules};

/// The number of edges of an Append's class that are examined to decide whether the Append is unobservable.
const TARGETS_MAX: usize = 8;

/// The effect of each operation on a state, without advice on moves.
#[derive(Debug)]
pub(super) struct ExhaustiveKvRules(pub(super) Rc<KeyAnalysis>);

/// [`ExhaustiveKvRules`] with advice on moves.
///
/// A group is *pinned* if it has outstanding Gets and no outstanding base. Invariant: at every search node from which a
/// path leads to the end, the state is a prefix of the shortest outstanding value of each pinned group. So if any group
/// is pinned, the state is not [`DEAD`].
#[derive(Debug)]
pub(super) struct PrunedKvRules {
    analysis: Rc<KeyAnalysis>,
    /// The number of outstanding Gets, by the positions of their nodes in the order of `KeyAnalysis::ranges`.
    outstanding: PrefixSums,
    /// Whether each operation is linearized.
    linearized: Vec<bool>,
    groups: Vec<GroupProgress>,
    pinned: Vec<u32>,
}

/// The outstanding part of a group.
#[derive(Clone, Copy, Debug)]
struct GroupProgress {
    gets: u32,
    /// The number of outstanding bases, or [`NO_GROUP`] if the bases are unknown.
    bases: u32,
    /// The index in the group of the first outstanding Get, which is the one with the shortest value.
    first: u32,
    /// The index of the group in `PrunedKvRules::pinned`, or [`NO_GROUP`].
    pinned_at: u32,
}

impl KeyAnalysis {
    fn step(&self, state: u32, operation: usize) -> Option<u32> {
        match self.transitions[operation] {
            Transition::Get(node) => (state == node).then_some(state),
            Transition::NoOp => Some(state),
            Transition::Put(node) => Some(node),
            Transition::Append(class) => Some(if state == DEAD { DEAD } else { self.graph.append(state, class) }),
            Transition::Unseen => Some(DEAD),
        }
    }

    /// Whether the string of `node` is a prefix of the string of `other`.
    fn is_prefix(&self, node: u32, other: u32) -> bool {
        let ((begin, end), (_, other_end)) = (self.ranges[node as usize], self.ranges[other as usize]);
        (begin..end).contains(&(other_end - 1))
    }
}

impl Rules for ExhaustiveKvRules {
    type State = u32;

    fn initial(&self) -> u32 {
        EMPTY
    }

    fn step(&self, &state: &u32, operation: usize) -> Option<u32> {
        self.0.step(state, operation)
    }
}

impl PrunedKvRules {
    /// Creates the rules for the start of the search.
    pub(super) fn new(analysis: Rc<KeyAnalysis>) -> PrunedKvRules {
        let mut outstanding = PrefixSums::new(analysis.graph.len());
        for transition in &analysis.transitions {
            if let Transition::Get(node) = *transition {
                outstanding.add(analysis.ranges[node as usize].1 - 1, 1);
            }
        }
        let groups = analysis.groups.groups.iter().map(|group| GroupProgress {
            gets: group.gets.len() as u32,
            bases: group.bases.unwrap_or(NO_GROUP),
            first: 0,
            pinned_at: NO_GROUP,
        });
        let groups: Vec<GroupProgress> = groups.collect();
        let linearized = vec![false; analysis.transitions.len()];
        let mut rules = PrunedKvRules { outstanding, linearized, groups, pinned: Vec::new(), analysis };
        (0..rules.groups.len() as u32).for_each(|group| rules.update_pinned(group));
        rules
    }

    /// Whether the node is a prefix of no outstanding value.
    fn is_dead(&self, node: u32) -> bool {
        let (begin, end) = self.analysis.ranges[node as usize];
        self.outstanding.before(begin) == self.outstanding.before(end)
    }

    /// Whether no outstanding Get can observe the write of the operation, wherever it is linearized.
    fn is_unobservable(&self, operation: usize) -> bool {
        match self.analysis.transitions[operation] {
            Transition::Unseen => true,
            Transition::Put(node) => self.is_dead(node),
            Transition::Append(class) => {
                let targets = self.analysis.targets.get(class);
                targets.len() <= TARGETS_MAX && targets.iter().all(|&node| self.is_dead(node))
            }
            Transition::Get(_) | Transition::NoOp => false,
        }
    }

    /// Whether the outstanding Gets of every pinned group can still be produced from this state.
    fn suits_pinned_groups(&self, state: u32) -> bool {
        self.pinned.iter().all(|&group| {
            let gets = &self.analysis.groups.groups[group as usize].gets;
            let shortest = gets.get(self.groups[group as usize].first as usize);
            shortest.is_none_or(|&(_, node)| state != DEAD && self.analysis.is_prefix(state, node))
        })
    }

    fn update_pinned(&mut self, group: u32) {
        let GroupProgress { gets, bases, pinned_at, .. } = self.groups[group as usize];
        let is_pinned = gets > 0 && bases == 0;
        if is_pinned && pinned_at == NO_GROUP {
            self.groups[group as usize].pinned_at = self.pinned.len() as u32;
            self.pinned.push(group);
        } else if !is_pinned && pinned_at != NO_GROUP {
            self.groups[group as usize].pinned_at = NO_GROUP;
            self.pinned.swap_remove(pinned_at as usize);
            if let Some(&moved) = self.pinned.get(pinned_at as usize) {
                self.groups[moved as usize].pinned_at = pinned_at;
            }
        }
    }

    /// Counts a Get as outstanding, or as linearized.
    fn set_get_outstanding(&mut self, operation: usize, outstanding: bool) {
        let Transition::Get(node) = self.analysis.transitions[operation] else { return };
        self.outstanding.add(self.analysis.ranges[node as usize].1 - 1, if outstanding { 1 } else { u32::MAX });
        let (number, index) = self.analysis.groups.group_of_get[operation];
        if number == NO_GROUP {
            return;
        }
        let group = &mut self.groups[number as usize];
        if outstanding {
            group.gets += 1;
            group.first = group.first.min(index);
        } else {
            group.gets -= 1;
            let gets = &self.analysis.groups.groups[number as usize].gets;
            while gets.get(group.first as usize).is_some_and(|&(get, _)| self.linearized[get as usize]) {
                group.first += 1;
            }
        }
        self.update_pinned(number);
    }

    fn set_put_outstanding(&mut self, operation: usize, outstanding: bool) {
        let analysis = Rc::clone(&self.analysis);
        let Some(groups) = analysis.groups.groups_of_base.get(&(operation as u32)) else { return };
        for &number in groups {
            let group = &mut self.groups[number as usize];
            if outstanding {
                group.bases += 1;
            } else {
                group.bases -= 1;
            }
            self.update_pinned(number);
        }
    }

    fn set_outstanding(&mut self, operation: usize, outstanding: bool) {
        self.linearized[operation] = !outstanding;
        match self.analysis.transitions[operation] {
            Transition::Get(_) => self.set_get_outstanding(operation, outstanding),
            Transition::Put(_) => self.set_put_outstanding(operation, outstanding),
            Transition::Append(_) | Transition::Unseen | Transition::NoOp => {}
        }
    }
}

impl Rules for PrunedKvRules {
    type State = u32;

    fn initial(&self) -> u32 {
        if self.is_dead(EMPTY) { DEAD } else { EMPTY }
    }

    fn step(&self, &state: &u32, operation: usize) -> Option<u32> {
        self.analysis.step(state, operation)
    }

    fn advise(&self, &state: &u32, operation: usize, &next: &u32) -> MoveAdvice {
        match self.analysis.transitions[operation] {
            Transition::Get(_) | Transition::NoOp => return MoveAdvice::Commit,
            Transition::Append(_) => {
                let only_at = self.analysis.only_at[operation];
                if only_at != ANY_NODE && only_at != state {
                    return MoveAdvice::Skip;
                }
            }
            Transition::Put(_) if !self.pinned.is_empty() => return MoveAdvice::Skip,
            Transition::Put(_) | Transition::Unseen => {}
        }
        if state == DEAD && self.is_unobservable(operation) {
            return MoveAdvice::Commit;
        }
        if self.suits_pinned_groups(next) { MoveAdvice::Try } else { MoveAdvice::Skip }
    }

    fn equivalence_class(&self, operation: usize) -> Option<u32> {
        Some(self.analysis.class[operation])
    }

    fn apply_move(&mut self, operation: usize, next: &mut u32) {
        self.set_outstanding(operation, false);
        if *next != DEAD && self.is_dead(*next) {
            *next = DEAD;
        }
    }

    fn undo_move(&mut self, operation: usize) {
        self.set_outstanding(operation, true);
    }
}

/// Numbers with their prefix sums in logarithmic time (a Fenwick tree).
#[derive(Debug)]
struct PrefixSums(Vec<u32>);

impl PrefixSums {
    fn new(places: usize) -> PrefixSums {
        PrefixSums(vec![0; places])
    }

    /// Adds to the number at a position, with wraparound.
    fn add(&mut self, place: u32, by: u32) {
        let mut at = place as usize;
        while let Some(sum) = self.0.get_mut(at) {
            *sum = sum.wrapping_add(by);
            at |= at + 1;
        }
    }

    /// The sum of the numbers before a position.
    fn before(&self, place: u32) -> u32 {
        let (mut sum, mut at) = (0_u32, place as usize);
        while at > 0 {
            sum = sum.wrapping_add(self.0[at - 1]);
            at &= at - 1;
        }
        sum
    }
}

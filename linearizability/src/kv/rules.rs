//! The search's rules for one key: which moves are hopeless, and which need no second thought. The module's documentation
//! ([`kv`](super)) proves them.

use std::rc::Rc;

use super::{
    graph::{DEAD, EMPTY},
    groups::NONE,
    plan::{ANYWHERE, Does, Plan},
};
use crate::search::{Move, Rules};

/// How many edges of an Append's class are looked at to see whether it is spent.
const TARGETS_MAX: usize = 8;

/// What an operation does to a state; nothing is known of moves.
#[derive(Debug)]
pub(super) struct Plain(pub(super) Rc<Plan>);

/// [`Plain`], with what is known of moves.
///
/// Invariant: at every node of the search that has a way on, each group that is *bound* (a Get of it is outstanding, and
/// no base) has the state as a prefix of its shortest outstanding value. So if any is bound, the state is not [`DEAD`].
#[derive(Debug)]
pub(super) struct Guided {
    plan: Rc<Plan>,
    /// How many Gets are outstanding whose nodes are in a range of the order of `Plan::ranges`.
    outstanding: Counts,
    /// By operation.
    linearized: Vec<bool>,
    groups: Vec<Outstanding>,
    bound: Vec<u32>,
}

/// What is outstanding of a group.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    gets: u32,
    /// [`NONE`] if the bases are not known.
    bases: u32,
    /// The first Get in the group, the one with the shortest value, that is outstanding.
    first: u32,
    /// Where the group is in `Guided::bound`, or [`NONE`].
    bound_at: u32,
}

impl Plan {
    fn step(&self, state: u32, operation: usize) -> Option<u32> {
        match self.does[operation] {
            Does::Get(node) => (state == node).then_some(state),
            Does::Nothing => Some(state),
            Does::Put(node) => Some(node),
            Does::Append(class) => Some(if state == DEAD { DEAD } else { self.graph.append(state, class) }),
            Does::Unseen => Some(DEAD),
        }
    }

    /// Whether one node is what the other begins with.
    fn begins(&self, node: u32, other: u32) -> bool {
        let ((begin, end), (_, other_end)) = (self.ranges[node as usize], self.ranges[other as usize]);
        (begin..end).contains(&(other_end - 1))
    }
}

impl Rules for Plain {
    type State = u32;

    fn initial(&self) -> u32 {
        EMPTY
    }

    fn step(&self, &state: &u32, operation: usize) -> Option<u32> {
        self.0.step(state, operation)
    }
}

impl Guided {
    /// The rules at the beginning of the search, and the state there.
    pub(super) fn new(plan: Rc<Plan>) -> Guided {
        let mut outstanding = Counts::new(plan.graph.len());
        for does in &plan.does {
            if let Does::Get(node) = *does {
                outstanding.add(plan.ranges[node as usize].1 - 1, 1);
            }
        }
        let groups = plan.groups.groups.iter().map(|group| Outstanding {
            gets: group.gets.len() as u32,
            bases: group.bases.unwrap_or(NONE),
            first: 0,
            bound_at: NONE,
        });
        let groups: Vec<Outstanding> = groups.collect();
        let linearized = vec![false; plan.does.len()];
        let mut rules = Guided { outstanding, linearized, groups, bound: Vec::new(), plan };
        (0..rules.groups.len() as u32).for_each(|group| rules.bind_or_free(group));
        rules
    }

    /// Whether no outstanding Get has the node as a prefix.
    fn is_dead(&self, node: u32) -> bool {
        let (begin, end) = self.plan.ranges[node as usize];
        self.outstanding.before(begin) == self.outstanding.before(end)
    }

    /// Whether no outstanding Get can see what the operation writes, wherever it is put.
    fn is_spent(&self, operation: usize) -> bool {
        match self.plan.does[operation] {
            Does::Unseen => true,
            Does::Put(node) => self.is_dead(node),
            Does::Append(class) => {
                let targets = self.plan.targets.of(class);
                targets.len() <= TARGETS_MAX && targets.iter().all(|&node| self.is_dead(node))
            }
            Does::Get(_) | Does::Nothing => false,
        }
    }

    /// Whether every bound group can still come from this state.
    fn suits_bound(&self, state: u32) -> bool {
        self.bound.iter().all(|&group| {
            let gets = &self.plan.groups.groups[group as usize].gets;
            let shortest = gets.get(self.groups[group as usize].first as usize);
            shortest.is_none_or(|&(_, node)| state != DEAD && self.plan.begins(state, node))
        })
    }

    fn bind_or_free(&mut self, group: u32) {
        let Outstanding { gets, bases, bound_at, .. } = self.groups[group as usize];
        let is_bound = gets > 0 && bases == 0;
        if is_bound && bound_at == NONE {
            self.groups[group as usize].bound_at = self.bound.len() as u32;
            self.bound.push(group);
        } else if !is_bound && bound_at != NONE {
            self.groups[group as usize].bound_at = NONE;
            self.bound.swap_remove(bound_at as usize);
            if let Some(&moved) = self.bound.get(bound_at as usize) {
                self.groups[moved as usize].bound_at = bound_at;
            }
        }
    }

    /// One more (or, back again, one less) of the Gets of a group is outstanding.
    fn count_get(&mut self, operation: usize, outstanding: bool) {
        let Does::Get(node) = self.plan.does[operation] else { return };
        self.outstanding.add(self.plan.ranges[node as usize].1 - 1, if outstanding { 1 } else { u32::MAX });
        let (number, place) = self.plan.groups.of_get[operation];
        if number == NONE {
            return;
        }
        let group = &mut self.groups[number as usize];
        if outstanding {
            group.gets += 1;
            group.first = group.first.min(place);
        } else {
            group.gets -= 1;
            let gets = &self.plan.groups.groups[number as usize].gets;
            while gets.get(group.first as usize).is_some_and(|&(get, _)| self.linearized[get as usize]) {
                group.first += 1;
            }
        }
        self.bind_or_free(number);
    }

    fn count_put(&mut self, operation: usize, outstanding: bool) {
        let plan = Rc::clone(&self.plan);
        let Some(groups) = plan.groups.of_put.get(&(operation as u32)) else { return };
        for &number in groups {
            let group = &mut self.groups[number as usize];
            if outstanding {
                group.bases += 1;
            } else {
                group.bases -= 1;
            }
            self.bind_or_free(number);
        }
    }

    fn count(&mut self, operation: usize, outstanding: bool) {
        self.linearized[operation] = !outstanding;
        match self.plan.does[operation] {
            Does::Get(_) => self.count_get(operation, outstanding),
            Does::Put(_) => self.count_put(operation, outstanding),
            Does::Append(_) | Does::Unseen | Does::Nothing => {}
        }
    }
}

impl Rules for Guided {
    type State = u32;

    fn initial(&self) -> u32 {
        if self.is_dead(EMPTY) { DEAD } else { EMPTY }
    }

    fn step(&self, &state: &u32, operation: usize) -> Option<u32> {
        self.plan.step(state, operation)
    }

    fn judge(&self, &state: &u32, operation: usize, &next: &u32) -> Move {
        match self.plan.does[operation] {
            Does::Get(_) | Does::Nothing => return Move::Commit,
            Does::Append(_) => {
                let only_at = self.plan.only_at[operation];
                if only_at != ANYWHERE && only_at != state {
                    return Move::Never;
                }
            }
            Does::Put(_) if !self.bound.is_empty() => return Move::Never,
            Does::Put(_) | Does::Unseen => {}
        }
        if state == DEAD && self.is_spent(operation) {
            return Move::Commit;
        }
        if self.suits_bound(next) { Move::Try } else { Move::Never }
    }

    fn class(&self, operation: usize) -> Option<u32> {
        Some(self.plan.class[operation])
    }

    fn enter(&mut self, operation: usize, next: &mut u32) {
        self.count(operation, false);
        if *next != DEAD && self.is_dead(*next) {
            *next = DEAD;
        }
    }

    fn leave(&mut self, operation: usize) {
        self.count(operation, true);
    }
}

/// A row of numbers, with the sum of those before each place in logarithmic time (a Fenwick tree).
#[derive(Debug)]
struct Counts(Vec<u32>);

impl Counts {
    fn new(places: usize) -> Counts {
        Counts(vec![0; places])
    }

    /// Adds to the number at a place, wrapping around.
    fn add(&mut self, place: u32, by: u32) {
        let mut at = place as usize;
        while let Some(sum) = self.0.get_mut(at) {
            *sum = sum.wrapping_add(by);
            at |= at + 1;
        }
    }

    /// The sum of the numbers before a place.
    fn before(&self, place: u32) -> u32 {
        let (mut sum, mut at) = (0_u32, place as usize);
        while at > 0 {
            sum = sum.wrapping_add(self.0[at - 1]);
            at &= at - 1;
        }
        sum
    }
}

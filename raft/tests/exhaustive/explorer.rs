//! A search through all states that keeps only those that no other state dominates (`reduction.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stateright::{Expectation, Model, Property};

use crate::action::Action;
use crate::model::{Bounds, Cluster};
use crate::reduction::{Reductions, Summary, configuration, key, rank};
use crate::state::State;

/// The result of an exploration.
pub(crate) struct Explorer<'a> {
    cluster: &'a Cluster,
    reductions: Reductions,
    properties: Vec<Property<Cluster>>,
    /// Every state that was kept at some time.
    nodes: Vec<Node>,
    /// For each key, the kept states that no other one dominates.
    kept: BTreeMap<u64, Vec<usize>>,
    /// States to expand, by rank.
    pending: BTreeMap<u64, VecDeque<(usize, State)>>,
    /// The hashes of all configurations of the states.
    pub(crate) configurations: BTreeSet<u64>,
    /// For each property, the first state that decides it: it breaks a rule, or an expected event occurs in it.
    decided: Vec<Option<usize>>,
    /// Number of steps taken, those to known states included.
    pub(crate) transitions: u64,
    /// Number of states whose actions were tried.
    pub(crate) expanded: u64,
}

struct Node {
    /// The predecessor, and the place of the step in its actions; `None` for the first state.
    from: Option<(usize, usize)>,
    /// `None` if another state dominates this one.
    summary: Option<Summary>,
}

impl<'a> Explorer<'a> {
    /// Explores all states of `cluster`. If `stop_at_violation`, the search ends when a rule is broken.
    pub(crate) fn explore(cluster: &'a Cluster, reductions: Reductions, stop_at_violation: bool) -> Explorer<'a> {
        let Bounds { reads, compactions, losses, .. } = cluster.bounds;
        let commit_index_matters = reads > 0 || compactions > 0 || losses > 0;
        assert!(!reductions.inform_at_once || !commit_index_matters, "`reduction.rs` gives the reason");
        let properties = cluster.properties();
        let decided = vec![None; properties.len()];
        let (nodes, kept, pending) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let configurations = BTreeSet::new();
        let mut explorer = Explorer {
            cluster,
            reductions,
            properties,
            nodes,
            kept,
            pending,
            configurations,
            decided,
            transitions: 0,
            expanded: 0,
        };
        explorer.add(explorer.first_state(), None);
        while let Some(mut level) = explorer.pending.first_entry() {
            let Some((id, state)) = level.get_mut().pop_front() else {
                level.remove();
                continue;
            };
            if explorer.nodes[id].summary.is_some() {
                explorer.expand(id, &state);
            }
            if stop_at_violation && !explorer.broken_rules().is_empty() {
                break;
            }
        }
        explorer
    }

    /// Returns the number of states that no other one dominates.
    pub(crate) fn states(&self) -> usize {
        self.kept.values().map(Vec::len).sum()
    }

    /// Returns whether a kept state dominates `state`.
    pub(crate) fn dominates(&self, state: &State) -> bool {
        let summary = Summary::of(state);
        self.kept.get(&key(state)).is_some_and(|kept| self.any_covers(kept, &summary))
    }

    /// Returns the names of the rules that are broken in some state.
    pub(crate) fn broken_rules(&self) -> Vec<&'static str> {
        self.names(|property, decided| matches!(property.expectation, Expectation::Always) && decided)
    }

    /// Returns the names of the expected events that occur in no state.
    pub(crate) fn missing_events(&self) -> Vec<&'static str> {
        self.names(|property, decided| matches!(property.expectation, Expectation::Sometimes) && !decided)
    }

    /// Returns a path to the state that breaks `rule`.
    pub(crate) fn path_to(&self, rule: &str) -> Option<Vec<(State, Option<Action>)>> {
        let place = self.properties.iter().position(|property| property.name == rule)?;
        let mut steps = Vec::new();
        let mut id = self.decided[place]?;
        while let Some((from, step)) = self.nodes[id].from {
            steps.push(step);
            id = from;
        }
        let (mut state, mut path) = (self.first_state(), Vec::new());
        for step in steps.into_iter().rev() {
            let action = self.actions(&state).swap_remove(step);
            let after = self.cluster.next_state(&state, action.clone()).expect("the step was taken before");
            let after = self.close(&state, after, &action);
            path.push((std::mem::replace(&mut state, after), Some(action)));
        }
        path.push((state, None));
        Some(path)
    }

    fn names(&self, which: impl Fn(&Property<Cluster>, bool) -> bool) -> Vec<&'static str> {
        let all = self.properties.iter().zip(&self.decided);
        all.filter(|(property, decided)| which(property, decided.is_some()))
            .map(|(property, _)| property.name)
            .collect()
    }

    fn first_state(&self) -> State {
        let first = self.cluster.init_states().pop().expect("there is one first state");
        if self.reductions.inform_at_once { self.cluster.inform_all(first) } else { first }
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        self.cluster.actions(state, &mut actions);
        actions
    }

    fn close(&self, before: &State, after: State, action: &Action) -> State {
        if self.reductions.inform_at_once { self.cluster.inform_after(before, after, action.server()) } else { after }
    }

    fn expand(&mut self, id: usize, state: &State) {
        self.expanded += 1;
        for (step, action) in self.actions(state).into_iter().enumerate() {
            let Some(after) = self.cluster.next_state(state, action.clone()) else { continue };
            if self.cluster.within_boundary(&after) {
                self.transitions += 1;
                let last = after.last;
                let after = State { last, ..self.close(state, after, &action) };
                self.add(after, Some((id, step)));
            }
        }
    }

    /// Adds a state unless a kept one dominates it. Its properties are examined in any case, because some of them
    /// concern the last step.
    fn add(&mut self, state: State, from: Option<(usize, usize)>) {
        let id = self.nodes.len();
        let summary = Summary::of(&state);
        let key = key(&state);
        let known = self.kept.get(&key).is_some_and(|kept| self.any_covers(kept, &summary));
        let decides = self.examine(&state, id);
        if known && !decides {
            return;
        }
        if !known {
            self.configurations.insert(configuration(&state));
        }
        let summary = (!known).then_some(summary);
        if let Some(summary) = &summary {
            let (nodes, reductions) = (&mut self.nodes, self.reductions);
            let kept = self.kept.entry(key).or_default();
            kept.retain(|&other| {
                let covered = nodes[other].summary.as_ref().is_some_and(|other| summary.covers(other, reductions));
                if covered {
                    nodes[other].summary = None;
                }
                !covered
            });
            kept.push(id);
            self.pending.entry(rank(&state)).or_default().push_back((id, state));
        }
        self.nodes.push(Node { from, summary });
    }

    /// Records the properties that `state`, with the number `id`, decides. Returns whether there are any.
    fn examine(&mut self, state: &State, id: usize) -> bool {
        let mut decides = false;
        for (property, decided) in self.properties.iter().zip(&mut self.decided) {
            let holds = (property.condition)(self.cluster, state);
            if decided.is_none() && holds == matches!(property.expectation, Expectation::Sometimes) {
                *decided = Some(id);
                decides = true;
            }
        }
        decides
    }

    fn any_covers(&self, kept: &[usize], summary: &Summary) -> bool {
        kept.iter().any(|&other| {
            self.nodes[other].summary.as_ref().is_some_and(|other| other.covers(summary, self.reductions))
        })
    }
}

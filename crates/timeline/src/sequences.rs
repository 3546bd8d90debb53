//! Linearizations as a tree.
//!
//! The sequences that a checker records are the paths on which its depth-first search had to backtrack, so most of them
//! share long prefixes. Written out, the two thousand dead ends of a key with two thousand operations are four million
//! steps. As a tree they are a few thousand. A node of the tree is a step; a sequence is the path from the root to a
//! node.

use std::collections::HashMap;

use serde::Serialize;

use crate::model::Step;

/// The root of the tree, which stands for the state before the first operation and has no step.
const ROOT: i64 = -1;

/// The sequences of one partition, longest first, as columns.
#[derive(Default, Serialize)]
pub(crate) struct SequenceColumns {
    /// For each sequence, the last step that it shares with the sequences before it, or -1.
    from: Vec<i64>,
    /// For each sequence, the number of steps that it adds. These steps follow each other in the next two columns.
    adds: Vec<usize>,
    /// The operation of each step, stored as differences.
    operation: Vec<i64>,
    /// The index of the text of each step's state, stored as differences.
    state: Vec<i64>,
}

/// A tree of steps that grows by whole sequences.
#[derive(Default)]
pub(crate) struct SequenceTree<'a> {
    children: HashMap<(i64, u32), i64>, // only used for lookups, so its order does not matter
    from: Vec<i64>,
    adds: Vec<usize>,
    steps: Vec<&'a Step>,
}

impl<'a> SequenceTree<'a> {
    /// Adds a sequence.
    pub(crate) fn add(&mut self, sequence: &'a [Step]) {
        let mut node = ROOT;
        let mut steps = sequence.iter().peekable();
        while let Some(child) = steps.peek().and_then(|step| self.children.get(&(node, step.operation))) {
            node = *child;
            steps.next();
        }
        self.from.push(node);
        self.adds.push(steps.len());
        for step in steps {
            let child = i64::try_from(self.steps.len()).expect("fewer than 2^63 steps");
            self.children.insert((node, step.operation), child);
            self.steps.push(step);
            node = child;
        }
    }

    /// The number of steps in the tree.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether any step has a text for its state.
    pub(crate) fn has_states(&self) -> bool {
        self.steps.iter().any(|step| !step.state.as_str().is_empty())
    }

    /// Returns the tree as columns. `state` returns the index of the text of a step's state.
    pub(crate) fn columns(&self, state: impl FnMut(&'a Step) -> u32) -> SequenceColumns {
        SequenceColumns {
            from: self.from.clone(),
            adds: self.adds.clone(),
            operation: differences(self.steps.iter().map(|step| i64::from(step.operation))),
            state: differences(self.steps.iter().copied().map(state).map(i64::from)),
        }
    }
}

/// Returns each value minus the value before it, the first minus 0. If neighbours are similar, these numbers are small
/// and have few digits.
pub(crate) fn differences(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut before = 0i64;
    values.map(|value| value.wrapping_sub(std::mem::replace(&mut before, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(operations: &[u32]) -> Vec<Step> {
        operations.iter().map(|&operation| Step::new(operation, "")).collect()
    }

    #[test]
    fn sequences_share_prefixes() {
        let sequences = [steps(&[2, 1, 3, 6]), steps(&[2, 1, 5]), steps(&[2, 1]), steps(&[]), steps(&[1])];
        let mut tree = SequenceTree::default();
        sequences.iter().for_each(|sequence| tree.add(sequence));
        assert_eq!(tree.len(), 6, "2 1 3 6, then 5, then 1");
        let columns = tree.columns(|_| 0);
        assert_eq!(columns.from, [-1, 1, 1, -1, -1]);
        assert_eq!(columns.adds, [4, 1, 0, 0, 1]);
        assert_eq!(columns.operation, differences([2, 1, 3, 6, 5, 1].into_iter()));
    }

    #[test]
    fn differences_sum_to_the_values() {
        assert_eq!(differences([7, 7, 9, 3, -1].into_iter()), [7, 0, 2, -6, -4]);
    }
}

//! For each operation, the longest sequence found so far that contains it. A timeline of a history that is not
//! linearizable shows these sequences.

/// The node of the empty sequence.
const EMPTY: u32 = u32::MAX;

/// The number of sequences that are returned for one partition: the longest ones.
pub(crate) const SEQUENCES_MAX: usize = 100;

/// The number of operations that the returned sequences of one partition may have in total. The first sequence is
/// always returned.
const SEQUENCES_OPERATIONS_MAX: usize = 1 << 20;

/// The path of the search, and the recorded sequences as a tree in which common prefixes are shared.
#[derive(Debug)]
pub(crate) struct LongestSequences {
    tree: Vec<Node>,
    path: Vec<PathStep>,
    /// For each operation, the tree node at the end of its longest sequence, and the length of that sequence.
    best: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    operation: u32,
    recorded: bool,
}

#[derive(Debug)]
struct PathStep {
    node: u32,
    /// The length of the shortest `best` sequence among the operations of the path up to this one.
    shortest_best: u32,
}

impl LongestSequences {
    pub(crate) fn new(operations: usize) -> LongestSequences {
        LongestSequences { tree: Vec::new(), path: Vec::new(), best: vec![(EMPTY, 0); operations] }
    }

    /// Appends `operation` to the path.
    pub(crate) fn push(&mut self, operation: u32) {
        let (parent, shortest_best) =
            self.path.last().map_or((EMPTY, u32::MAX), |step| (step.node, step.shortest_best));
        let node = self.tree.len() as u32;
        self.tree.push(Node { parent, operation, recorded: false });
        self.path.push(PathStep { node, shortest_best: shortest_best.min(self.best[operation as usize].1) });
    }

    /// Removes the last operation from the path.
    pub(crate) fn pop(&mut self) {
        let Some(step) = self.path.pop() else { return };
        // A node that is part of no recorded sequence is dropped. It is then the last node of the tree: every node
        // after it has been popped before, and was either dropped, or recorded together with all nodes before it.
        if step.node as usize + 1 == self.tree.len() && !self.tree[step.node as usize].recorded {
            self.tree.pop();
        }
    }

    /// Records the path, after which no operation is possible, as the longest sequence of each of its operations that
    /// has no longer one.
    pub(crate) fn record(&mut self) {
        let Some(last) = self.path.last() else { return };
        let (sequence, length) = (last.node, self.path.len() as u32);
        let mut recorded = false;
        for step in self.path.iter_mut().rev() {
            if step.shortest_best >= length {
                break;
            }
            step.shortest_best = length;
            let best = &mut self.best[self.tree[step.node as usize].operation as usize];
            if best.1 < length {
                *best = (sequence, length);
                recorded = true;
            }
        }
        if recorded {
            self.tree[sequence as usize].recorded = true;
        }
    }

    /// Returns the distinct sequences, longest first. Sequences of equal length are in the order in which they were
    /// found.
    pub(crate) fn sequences(&self) -> Vec<Vec<u32>> {
        let mut ends: Vec<(u32, u32)> = self.best.iter().copied().filter(|&(node, _)| node != EMPTY).collect();
        ends.sort_unstable_by_key(|&(node, length)| (std::cmp::Reverse(length), node));
        ends.dedup();
        let mut operations = 0;
        let few_enough = |&(_, length): &(u32, u32)| {
            let first = operations == 0;
            operations += length as usize;
            first || operations <= SEQUENCES_OPERATIONS_MAX
        };
        ends.into_iter().take(SEQUENCES_MAX).take_while(few_enough).map(|(node, _)| self.sequence(node)).collect()
    }

    fn sequence(&self, mut node: u32) -> Vec<u32> {
        let mut operations = Vec::new();
        while node != EMPTY {
            let Node { parent, operation, .. } = self.tree[node as usize];
            operations.push(operation);
            node = parent;
        }
        operations.reverse();
        operations
    }
}

#[cfg(test)]
mod tests {
    use super::LongestSequences;

    #[test]
    fn each_operation_keeps_its_longest_sequence() {
        let mut longest = LongestSequences::new(5);
        for operation in [0, 1, 2] {
            longest.push(operation);
        }
        longest.record();
        longest.pop();
        longest.pop();
        longest.push(3);
        longest.record();
        longest.pop();
        longest.record();
        longest.pop();
        longest.push(4);
        longest.push(1);
        longest.record();
        assert_eq!(longest.sequences(), [vec![0, 1, 2], vec![0, 3], vec![4, 1]]);
    }

    #[test]
    fn unrecorded_sequences_take_no_memory() {
        let mut longest = LongestSequences::new(2);
        for _ in 0..1000 {
            longest.push(0);
            longest.push(1);
            longest.pop();
            longest.pop();
        }
        assert!(longest.tree.is_empty());
        assert!(longest.sequences().is_empty());
    }
}

//! For each operation, the longest sequence found so far that contains it: what a picture shows of a history that is not
//! linearizable.

/// The empty sequence.
const EMPTY: u32 = u32::MAX;

/// How many sequences are kept for one partition: the longest ones.
pub(crate) const SEQUENCES_MAX: usize = 100;

/// How many operations the sequences kept for one partition may have together, beyond the first.
const SEQUENCES_OPERATIONS_MAX: usize = 1 << 20;

/// The path of the search, and the recorded sequences as a tree in which common beginnings are shared.
#[derive(Debug)]
pub(crate) struct Longest {
    tree: Vec<Node>,
    path: Vec<Step>,
    /// For each operation the tree node that ends its longest sequence, and the length of that.
    best: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    operation: u32,
    recorded: bool,
}

#[derive(Debug)]
struct Step {
    node: u32,
    /// No operation up to here on the path has a longest sequence shorter than this.
    covered: u32,
}

impl Longest {
    pub(crate) fn new(operations: usize) -> Longest {
        Longest { tree: Vec::new(), path: Vec::new(), best: vec![(EMPTY, 0); operations] }
    }

    /// The search went on with `operation`.
    pub(crate) fn push(&mut self, operation: u32) {
        let (parent, covered) = self.path.last().map_or((EMPTY, u32::MAX), |step| (step.node, step.covered));
        let node = self.tree.len() as u32;
        self.tree.push(Node { parent, operation, recorded: false });
        self.path.push(Step { node, covered: covered.min(self.best[operation as usize].1) });
    }

    /// The search went back by one operation.
    pub(crate) fn pop(&mut self) {
        let Some(step) = self.path.pop() else { return };
        // A sequence that nobody recorded is forgotten. It is then the last of the tree: whatever was put behind it has
        // been popped before, and was forgotten, or was recorded together with everything before it.
        if step.node as usize + 1 == self.tree.len() && !self.tree[step.node as usize].recorded {
            self.tree.pop();
        }
    }

    /// The search is stuck: the path is the longest sequence for those of its operations that have no longer one.
    pub(crate) fn record(&mut self) {
        let Some(last) = self.path.last() else { return };
        let (sequence, length) = (last.node, self.path.len() as u32);
        let mut recorded = false;
        for step in self.path.iter_mut().rev() {
            if step.covered >= length {
                break;
            }
            step.covered = length;
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

    /// The distinct sequences, longest first, and among equals in the order in which they were found.
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
    use super::Longest;

    #[test]
    fn each_operation_keeps_the_longest_sequence_that_contains_it() {
        let mut longest = Longest::new(5);
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
    fn what_was_not_recorded_takes_no_room() {
        let mut longest = Longest::new(2);
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

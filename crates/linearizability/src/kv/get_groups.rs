//! Groups of Gets with a common origin, and the Puts that each group may need.
//!
//! From the value of a Get, follow the Appends back as long as exactly one Append can have produced the node. The node
//! at which this ends is the *origin* of the value. Gets with the same origin are a group. The *bases* of a group are
//! the Puts from which its origin can have been produced.

use rustc_hash::FxHashMap;

use super::{
    graph::Graph,
    lists::Lists,
    times::{Source, Times},
    transition::Transition,
};

/// The number of nodes that are visited to find the bases of one group. If they are not enough, the bases of the group
/// are unknown.
const NODES_MAX: usize = 64;

/// The number that stands for no group.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// The groups of one key.
#[derive(Debug, Default)]
pub(super) struct GetGroups {
    pub(super) groups: Vec<GetGroup>,
    /// For each operation that is a Get, its group and its index in the group.
    pub(super) group_of_get: Vec<(u32, u32)>,
    /// For each operation that is a Put, the groups of which it is a base.
    pub(super) groups_of_base: FxHashMap<u32, Vec<u32>>,
}

/// Gets whose values have the same origin.
#[derive(Debug)]
pub(super) struct GetGroup {
    /// The Gets, from the shortest value to the longest, each with its node.
    pub(super) gets: Vec<(u32, u32)>,
    /// The number of bases, or `None` if the bases are unknown.
    pub(super) bases: Option<u32>,
}

/// Finds the groups.
pub(super) fn find(graph: &Graph, times: &Times, transitions: &[Transition]) -> GetGroups {
    let mut origins: Vec<u32> = (0..graph.len() as u32).collect();
    let by_length = graph.by_length();
    for &node in &by_length {
        if let Source::Append { from, .. } = times.source(graph, node) {
            origins[node as usize] = origins[from as usize];
        }
    }
    let gets = (0..).zip(transitions).filter_map(|(operation, transition)| match *transition {
        Transition::Get(node) if times.is_possible(node) => Some((node, operation)),
        _ => None,
    });
    let gets_at = Lists::new(graph.len(), gets);

    let mut found = GetGroups { group_of_get: vec![(NO_GROUP, 0); transitions.len()], ..GetGroups::default() };
    // The group of each origin.
    let mut numbers = vec![NO_GROUP; graph.len()];
    let mut bases = BaseFinder::new(graph, times);
    for node in by_length {
        let gets = gets_at.get(node);
        if gets.is_empty() {
            continue;
        }
        let origin = origins[node as usize];
        let number = &mut numbers[origin as usize];
        if *number == NO_GROUP {
            *number = found.groups.len() as u32;
            let bases = bases.find(origin);
            found.groups.push(GetGroup { gets: Vec::new(), bases: bases.as_ref().map(|bases| bases.len() as u32) });
            for base in bases.into_iter().flatten() {
                found.groups_of_base.entry(base).or_default().push(*number);
            }
        }
        let group = &mut found.groups[*number as usize];
        for (index, &get) in (group.gets.len() as u32..).zip(gets) {
            found.group_of_get[get as usize] = (*number, index);
        }
        group.gets.extend(gets.iter().map(|&get| (get, node)));
    }
    found
}

/// Finds the bases of one origin after the other.
struct BaseFinder<'a> {
    graph: &'a Graph,
    times: &'a Times,
    /// For each node, the last origin whose way back led to it, or [`NO_GROUP`].
    last_met: Vec<u32>,
    /// For each node, whether its way back is known to have more than [`NODES_MAX`] nodes, itself included. Then the
    /// way back of every later node has too many as well. So in a long chain of origins, each search ends at the origin
    /// before.
    too_many: Vec<bool>,
    /// The nodes still to be visited.
    nodes: Vec<u32>,
}

impl<'a> BaseFinder<'a> {
    fn new(graph: &'a Graph, times: &'a Times) -> BaseFinder<'a> {
        BaseFinder {
            graph,
            times,
            last_met: vec![NO_GROUP; graph.len()],
            too_many: vec![false; graph.len()],
            nodes: Vec::new(),
        }
    }

    /// The Puts from which `origin` can have been produced, unless there are too many ways back.
    fn find(&mut self, origin: u32) -> Option<Vec<u32>> {
        let mut bases = Vec::new();
        self.nodes.clear();
        self.nodes.push(origin);
        let mut count = 1;
        self.last_met[origin as usize] = origin;
        while let Some(node) = self.nodes.pop() {
            if count > NODES_MAX || self.too_many[node as usize] {
                self.too_many[origin as usize] = true;
                return None;
            }
            bases.extend_from_slice(self.times.puts(node));
            for edge in self.graph.edges_to(node) {
                if self.last_met[edge.from as usize] != origin && self.times.candidates(*edge).next().is_some() {
                    self.last_met[edge.from as usize] = origin;
                    self.nodes.push(edge.from);
                    count += 1;
                }
            }
        }
        Some(bases)
    }
}

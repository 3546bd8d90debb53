//! The Gets by where their values come from, and the Puts that each group may need.
//!
//! From a Get's value, follow back the Appends as long as only one can have led there: the node where that ends is the
//! *trunk* of the value. Gets with the same trunk are a group. Its *bases* are the Puts that can have begun the trunk.

use rustc_hash::FxHashMap;

use super::{
    graph::Graph,
    lists::Lists,
    plan::{Does, Source},
    times::Times,
};

/// How many nodes are looked at to find the bases of one group. A group for which they are not enough has none that are
/// known.
const NODES_MAX: usize = 64;

/// No group.
pub(super) const NONE: u32 = u32::MAX;

/// The groups of one key.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    /// For each operation that is a Get, its group, and its place in it.
    pub(super) of_get: Vec<(u32, u32)>,
    /// For each operation that is a Put, the groups of which it is a base.
    pub(super) of_put: FxHashMap<u32, Vec<u32>>,
}

/// Gets whose values come from the same trunk.
#[derive(Debug)]
pub(super) struct Group {
    /// From the shortest value to the longest, with the node of each.
    pub(super) gets: Vec<(u32, u32)>,
    /// How many bases it has; `None` if they are not known.
    pub(super) bases: Option<u32>,
}

/// Puts the Gets in groups.
pub(super) fn find(graph: &Graph, times: &Times, does: &[Does]) -> Groups {
    let mut trunks: Vec<u32> = (0..graph.len() as u32).collect();
    let by_length = graph.by_length();
    for &node in &by_length {
        if let Source::Append { from, .. } = times.source(graph, node) {
            trunks[node as usize] = trunks[from as usize];
        }
    }
    let gets = (0..).zip(does).filter_map(|(operation, does)| match *does {
        Does::Get(node) if times.is_possible(node) => Some((node, operation)),
        _ => None,
    });
    let gets_at = Lists::new(graph.len(), gets);

    let mut found = Groups { of_get: vec![(NONE, 0); does.len()], ..Groups::default() };
    // By trunk.
    let mut numbers = vec![NONE; graph.len()];
    let mut bases = Bases::new(graph, times);
    for node in by_length {
        let gets = gets_at.of(node);
        if gets.is_empty() {
            continue;
        }
        let trunk = trunks[node as usize];
        let number = &mut numbers[trunk as usize];
        if *number == NONE {
            *number = found.groups.len() as u32;
            let bases = bases.of(trunk);
            found.groups.push(Group { gets: Vec::new(), bases: bases.as_ref().map(|bases| bases.len() as u32) });
            for base in bases.into_iter().flatten() {
                found.of_put.entry(base).or_default().push(*number);
            }
        }
        let group = &mut found.groups[*number as usize];
        for (place, &get) in (group.gets.len() as u32..).zip(gets) {
            found.of_get[get as usize] = (*number, place);
        }
        group.gets.extend(gets.iter().map(|&get| (get, node)));
    }
    found
}

/// Finds the bases of one trunk after the other.
struct Bases<'a> {
    graph: &'a Graph,
    times: &'a Times,
    /// By node: the trunk on whose way back it was met last, or [`NONE`].
    met: Vec<u32>,
    /// By node: whether more than [`NODES_MAX`] nodes are known to lie on its way back, itself included. Then so they do
    /// on that of whatever comes from it: of a long chain of trunks, each is given up at the one before.
    too_many: Vec<bool>,
    /// Those still to be looked at.
    nodes: Vec<u32>,
}

impl<'a> Bases<'a> {
    fn new(graph: &'a Graph, times: &'a Times) -> Bases<'a> {
        Bases { graph, times, met: vec![NONE; graph.len()], too_many: vec![false; graph.len()], nodes: Vec::new() }
    }

    /// The Puts that can have begun what became `trunk`, if there are not too many ways to find them.
    fn of(&mut self, trunk: u32) -> Option<Vec<u32>> {
        let mut bases = Vec::new();
        self.nodes.clear();
        self.nodes.push(trunk);
        let mut count = 1;
        self.met[trunk as usize] = trunk;
        while let Some(node) = self.nodes.pop() {
            if count > NODES_MAX || self.too_many[node as usize] {
                self.too_many[trunk as usize] = true;
                return None;
            }
            bases.extend_from_slice(self.times.puts(node));
            for edge in self.graph.into(node) {
                if self.met[edge.from as usize] != trunk && self.times.suppliers(*edge).next().is_some() {
                    self.met[edge.from as usize] = trunk;
                    self.nodes.push(edge.from);
                    count += 1;
                }
            }
        }
        Some(bases)
    }
}

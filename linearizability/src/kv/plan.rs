//! What is known of one key before the search begins.
//!
//! All of it is necessary: it holds in every linearization there can be. The module's documentation
//! ([`kv`](super)) says how the search uses it.

use rustc_hash::FxHashMap;

use super::{
    graph::{DEAD, EMPTY, Edge, Graph},
    groups::{self, Groups},
    lists::Lists,
    times::Times,
    values::{Place, ROOT, Values},
};
use crate::entries::Entries;

/// An operation on the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act<'a> {
    Get(Place),
    Put(&'a str),
    Append(&'a str),
}

/// An operation, in terms of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Is legal in this state and leaves it.
    Get(u32),
    /// Appends the empty string.
    Nothing,
    /// Leads to this state.
    Put(u32),
    /// Leads from a node to where the edge of this class leads to.
    Append(u32),
    /// Leads to [`DEAD`], from everywhere.
    Unseen,
}

/// Of an operation that is no Append that has to be done at one node.
pub(super) const ANYWHERE: u32 = u32::MAX - 1;

/// What is known of one key.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) graph: Graph,
    pub(super) does: Vec<Does>,
    /// Operations with equal classes do the same.
    pub(super) class: Vec<u32>,
    /// The only node at which an Append can be done, or [`ANYWHERE`].
    pub(super) only_at: Vec<u32>,
    /// Where the edges of each class of Appends lead to.
    pub(super) targets: Lists<u32>,
    /// For each node, the places among all nodes, in an order of the trie, of those that continue it.
    pub(super) ranges: Vec<(u32, u32)>,
    pub(super) groups: Groups,
    /// Whether it is known already that there is no linearization.
    pub(super) refuted: bool,
}

impl Plan {
    /// `acts` are the operations, in the order of their positions in `entries`.
    pub(super) fn new(values: &Values, acts: &[Act<'_>], entries: &Entries) -> Plan {
        let Classes { strings, of_operation, members } = Classes::new(acts);
        let gets = acts.iter().filter_map(|act| if let Act::Get(place) = act { Some(*place) } else { None });
        let graph = Graph::new(values, gets, &strings);

        let mut does: Vec<Does> = acts
            .iter()
            .zip(&of_operation)
            .map(|(act, &class)| match *act {
                Act::Get(place) => Does::Get(graph.node(place)),
                Act::Append("") => Does::Nothing,
                Act::Put("") => Does::Put(EMPTY),
                Act::Put(string) => Does::Put(values.find(string).map_or(DEAD, |place| graph.node(place))),
                Act::Append(_) => Does::Append(class),
            })
            .collect();
        debug_assert_eq!(graph.node(ROOT), EMPTY);

        let times = Times::new(&graph, &does, &members, entries);
        let mut unseen = members;
        for &edge in graph.edges() {
            unseen.retain(edge.class, |operation| !times.supplies(operation, edge));
        }
        let targets = Lists::new(strings.len(), graph.edges().iter().map(|edge| (edge.class, edge.to)));
        let (only_at, contradiction) = only_places(&graph, &times, acts.len());
        let refuted = contradiction || !times.all_gets_possible(&does, entries);
        let groups = groups::find(&graph, &times, &does);
        for operation in unseen.items() {
            does[operation as usize] = Does::Unseen;
        }
        for does in does.iter_mut().filter(|does| **does == Does::Put(DEAD)) {
            *does = Does::Unseen;
        }
        let class = (0..).zip(&does).zip(of_operation).map(|((operation, does), string)| match does {
            Does::Unseen => 0,
            Does::Append(_) => 1 + string,
            Does::Put(node) => 1 + strings.len() as u32 + node,
            Does::Get(_) | Does::Nothing => u32::MAX - operation,
        });
        let class = class.collect();
        Plan { ranges: values.ranges(graph.places()), does, class, only_at, targets, groups, refuted, graph }
    }

    /// How much work it was to find all this, in steps.
    pub(super) fn steps(&self) -> u64 {
        (self.does.len() + self.graph.len() + self.graph.edges().len()) as u64
    }
}

/// The Appends by what they append.
struct Classes<'a> {
    strings: Vec<&'a str>,
    /// The class of each operation; of no meaning unless it is an Append of something.
    of_operation: Vec<u32>,
    members: Lists<u32>,
}

impl<'a> Classes<'a> {
    fn new(acts: &[Act<'a>]) -> Classes<'a> {
        let mut numbers = FxHashMap::default();
        let mut strings = Vec::new();
        let of_operation = acts.iter().map(|act| match *act {
            Act::Append(string) if !string.is_empty() => *numbers.entry(string).or_insert_with(|| {
                strings.push(string);
                strings.len() as u32 - 1
            }),
            _ => DEAD,
        });
        let of_operation: Vec<u32> = of_operation.collect();
        let members = of_operation.iter().copied().zip(0..).filter(|&(class, _)| class != DEAD);
        Classes { members: Lists::new(strings.len(), members), strings, of_operation }
    }
}

/// For each operation the only node at which it can be done, and whether that contradicts itself.
///
/// A Get's value has to occur as the state. If a node has to occur, and only one Append can lead to it, then that Append
/// is done there, and the node it starts from has to occur as well. If it would have to be done at two nodes, or if
/// nothing leads to a node that has to occur, there is no linearization.
fn only_places(graph: &Graph, times: &Times, operations: usize) -> (Vec<u32>, bool) {
    let mut only_at = vec![ANYWHERE; operations];
    let mut contradiction = false;
    let mut occurs = vec![false; graph.len()];
    for &node in graph.by_length().iter().rev() {
        if !occurs[node as usize] && !times.is_observed(node) {
            continue;
        }
        match times.source(graph, node) {
            Source::None => contradiction = true,
            Source::Append { from, operation } => {
                let only = &mut only_at[operation as usize];
                contradiction |= *only != ANYWHERE && *only != from;
                *only = from;
                occurs[from as usize] = true;
            }
            Source::Begin | Source::Several => {}
        }
    }
    (only_at, contradiction)
}

/// How a node can come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Not at all.
    None,
    /// By this Append alone.
    Append { from: u32, operation: u32 },
    /// By Puts, or as the initial state, and by no Append.
    Begin,
    /// In several ways, an Append among them.
    Several,
}

impl Times {
    /// How a node can come about.
    pub(super) fn source(&self, graph: &Graph, node: u32) -> Source {
        let mut appends = graph.into(node).iter().flat_map(|&edge: &Edge| {
            self.suppliers(edge).map(move |operation| Source::Append { from: edge.from, operation })
        });
        match (appends.next(), self.can_begin(node)) {
            (None, false) => Source::None,
            (None, true) => Source::Begin,
            (Some(only), false) if appends.next().is_none() => only,
            (Some(_), _) => Source::Several,
        }
    }
}

//! The analysis of one key before the search begins.
//!
//! All of its results are necessary: they hold in every linearization. The documentation of the module ([`kv`](super))
//! explains how the search uses them.

use rustc_hash::FxHashMap;

use super::{
    get_groups::{self, GetGroups},
    graph::{DEAD, EMPTY, Graph},
    lists::Lists,
    times::{Source, Times},
    transition::Transition,
    value_trie::{Place, ROOT, ValueTrie},
};
use crate::entries::Entries;

/// An operation on the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyAction<'a> {
    Get(Place),
    Put(&'a str),
    Append(&'a str),
}

/// The value of `only_at` for an operation that is not tied to one node.
pub(super) const ANY_NODE: u32 = u32::MAX - 1;

/// The results of the analysis of one key.
#[derive(Debug)]
pub(super) struct KeyAnalysis {
    pub(super) graph: Graph,
    pub(super) transitions: Vec<Transition>,
    /// The class of each operation. Operations of equal classes have the same effect.
    pub(super) class: Vec<u32>,
    /// For each operation, the only node at which it can be an Append, or [`ANY_NODE`].
    pub(super) only_at: Vec<u32>,
    /// The targets of the edges of each class of Appends.
    pub(super) targets: Lists<u32>,
    /// For each node, the range of the nodes that continue it, as positions in an order of the trie.
    pub(super) ranges: Vec<(u32, u32)>,
    pub(super) groups: GetGroups,
    /// Whether the analysis has shown that there is no linearization.
    pub(super) refuted: bool,
}

impl KeyAnalysis {
    /// Analyzes the operations `actions`, given in the order of their positions in `entries`.
    pub(super) fn new(values: &ValueTrie, actions: &[KeyAction<'_>], entries: &Entries) -> KeyAnalysis {
        let AppendClasses { strings, of_operation, members } = AppendClasses::new(actions);
        let gets =
            actions.iter().filter_map(|action| if let KeyAction::Get(place) = action { Some(*place) } else { None });
        let graph = Graph::new(values, gets, &strings);

        let mut transitions: Vec<Transition> = actions
            .iter()
            .zip(&of_operation)
            .map(|(action, &class)| match *action {
                KeyAction::Get(place) => Transition::Get(graph.node(place)),
                KeyAction::Append("") => Transition::NoOp,
                KeyAction::Put("") => Transition::Put(EMPTY),
                KeyAction::Put(string) => Transition::Put(values.find(string).map_or(DEAD, |place| graph.node(place))),
                KeyAction::Append(_) => Transition::Append(class),
            })
            .collect();
        debug_assert_eq!(graph.node(ROOT), EMPTY);

        let times = Times::new(&graph, &transitions, &members, entries);
        let mut unseen = members;
        for &edge in graph.edges() {
            unseen.retain(edge.class, |operation| !times.can_take(operation, edge));
        }
        let targets = Lists::new(strings.len(), graph.edges().iter().map(|edge| (edge.class, edge.to)));
        let (only_at, contradiction) = find_only_nodes(&graph, &times, actions.len());
        let refuted = contradiction || !times.all_gets_possible(&transitions, entries);
        let groups = get_groups::find(&graph, &times, &transitions);
        for operation in unseen.items() {
            transitions[operation as usize] = Transition::Unseen;
        }
        for transition in transitions.iter_mut().filter(|transition| **transition == Transition::Put(DEAD)) {
            *transition = Transition::Unseen;
        }
        let class =
            (0..).zip(&transitions).zip(of_operation).map(|((operation, transition), string)| match transition {
                Transition::Unseen => 0,
                Transition::Append(_) => 1 + string,
                Transition::Put(node) => 1 + strings.len() as u32 + node,
                Transition::Get(_) | Transition::NoOp => u32::MAX - operation,
            });
        let class = class.collect();
        KeyAnalysis {
            ranges: values.prefix_ranges(graph.places()),
            transitions,
            class,
            only_at,
            targets,
            groups,
            refuted,
            graph,
        }
    }

    /// The cost of the analysis, in steps.
    pub(super) fn steps(&self) -> u64 {
        (self.transitions.len() + self.graph.len() + self.graph.edges().len()) as u64
    }
}

/// The Appends, grouped by the appended string.
struct AppendClasses<'a> {
    strings: Vec<&'a str>,
    /// The class of each operation; meaningless unless it is an Append of a nonempty string.
    of_operation: Vec<u32>,
    members: Lists<u32>,
}

impl<'a> AppendClasses<'a> {
    fn new(actions: &[KeyAction<'a>]) -> AppendClasses<'a> {
        let mut numbers = FxHashMap::default();
        let mut strings = Vec::new();
        let of_operation = actions.iter().map(|action| match *action {
            KeyAction::Append(string) if !string.is_empty() => *numbers.entry(string).or_insert_with(|| {
                strings.push(string);
                strings.len() as u32 - 1
            }),
            _ => DEAD,
        });
        let of_operation: Vec<u32> = of_operation.collect();
        let members = of_operation.iter().copied().zip(0..).filter(|&(class, _)| class != DEAD);
        AppendClasses { members: Lists::new(strings.len(), members), strings, of_operation }
    }
}

/// Finds for each operation the only node at which it can be done, and whether there is a contradiction.
///
/// The value of a Get has to occur as the state. If a node has to occur and only one Append can lead to it, then that
/// Append is done there, and the node before it has to occur as well. If an Append would have to be done at two nodes,
/// or if nothing leads to a node that has to occur, there is no linearization.
fn find_only_nodes(graph: &Graph, times: &Times, operations: usize) -> (Vec<u32>, bool) {
    let mut only_at = vec![ANY_NODE; operations];
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
                contradiction |= *only != ANY_NODE && *only != from;
                *only = from;
                occurs[from as usize] = true;
            }
            Source::PutOrInitial | Source::Several => {}
        }
    }
    (only_at, contradiction)
}

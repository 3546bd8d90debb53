//! The graph of observable values: strings that Appends can turn into the value of some Get.
//!
//! A node is a string that Appends can turn into the returned value of some Get, or such a value itself. An edge is an
//! Append that turns one node into another. The search needs no other knowledge of strings. A value that is not a node
//! can never become a value that some Get returned. So all such values are one state, [`DEAD`], until the next Put.

use rustc_hash::FxHashMap;

use super::value_trie::{Place, ROOT, ValueTrie};

/// The state of all values from which no Append leads to the value of a Get.
pub(super) const DEAD: u32 = u32::MAX;

/// The node of the empty string.
pub(super) const EMPTY: u32 = 0;

/// The graph of one key.
#[derive(Debug)]
pub(super) struct Graph {
    /// The place of each node. Node 0 is the empty string.
    places: Vec<Place>,
    /// The node of each place.
    numbers: FxHashMap<Place, u32>,
    /// The edges, sorted by `to`.
    edges: Vec<Edge>,
    /// For each node, the index of the first edge to it; at the end, the number of edges.
    into: Vec<u32>,
    /// The target node for each node and each class of Appends at it.
    out: FxHashMap<(u32, u32), u32>,
}

/// An edge: all Appends of one class turn `from` into `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    /// The class: Appends of equal strings are one class.
    pub(super) class: u32,
    pub(super) to: u32,
}

impl Graph {
    /// Creates the graph of the values at `observed`. `appended` has the string of each class of Appends; none is
    /// empty.
    ///
    /// The graph is built backwards: from each value, each appended string that it ends with is stripped, and the same
    /// is done with the rest.
    pub(super) fn new(values: &ValueTrie, observed: impl Iterator<Item = Place>, appended: &[&str]) -> Graph {
        let suffixes = AppendedSuffixes::new(appended);
        let mut graph = Graph {
            places: vec![ROOT],
            numbers: FxHashMap::from_iter([(ROOT, EMPTY)]),
            edges: Vec::new(),
            into: vec![0],
            out: FxHashMap::default(),
        };
        for place in observed {
            graph.intern(place);
        }
        let mut to = 0;
        while let Some(&place) = graph.places.get(to as usize) {
            for (length, class) in suffixes.matching(values.bytes_reversed(place)) {
                let from = graph.intern(values.prefix(place, place.length - length));
                graph.edges.push(Edge { from, class, to });
                graph.out.insert((from, class), to);
            }
            graph.into.push(graph.edges.len() as u32);
            to += 1;
        }
        graph
    }

    /// Returns the node of the place, and creates it if needed.
    fn intern(&mut self, place: Place) -> u32 {
        *self.numbers.entry(place).or_insert_with(|| {
            self.places.push(place);
            self.places.len() as u32 - 1
        })
    }

    /// Returns the node of the place, or [`DEAD`].
    pub(super) fn node(&self, place: Place) -> u32 {
        self.numbers.get(&place).copied().unwrap_or(DEAD)
    }

    /// The number of nodes.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The places of all nodes.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that lead to a node.
    pub(super) fn edges_to(&self, node: u32) -> &[Edge] {
        &self.edges[self.into[node as usize] as usize..self.into[node as usize + 1] as usize]
    }

    /// The node that an Append of this class turns `node` into, or [`DEAD`].
    pub(super) fn append(&self, node: u32, class: u32) -> u32 {
        self.out.get(&(node, class)).copied().unwrap_or(DEAD)
    }

    /// The nodes in the order of their lengths. Each node comes before the nodes that its edges lead to.
    pub(super) fn by_length(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = (0..self.places.len() as u32).collect();
        nodes.sort_by_key(|&node| self.places[node as usize].length);
        nodes
    }
}

/// The appended strings as a trie of their bytes, last byte first.
struct AppendedSuffixes {
    next: FxHashMap<(u32, u8), u32>,
    /// For each trie node, the class whose string ends there.
    class: Vec<Option<u32>>,
}

impl AppendedSuffixes {
    fn new(appended: &[&str]) -> AppendedSuffixes {
        let mut suffixes = AppendedSuffixes { next: FxHashMap::default(), class: vec![None] };
        for (class, string) in (0..).zip(appended) {
            let mut at = 0;
            for byte in string.bytes().rev() {
                at = *suffixes.next.entry((at, byte)).or_insert_with(|| {
                    suffixes.class.push(None);
                    suffixes.class.len() as u32 - 1
                });
            }
            suffixes.class[at as usize] = Some(class);
        }
        suffixes
    }

    /// The lengths and classes of all appended strings that are suffixes of a string, whose bytes are given last byte
    /// first.
    fn matching(&self, bytes_reversed: impl Iterator<Item = u8>) -> impl Iterator<Item = (u32, u32)> {
        let mut at = 0;
        let ends = bytes_reversed.map_while(move |byte| {
            at = *self.next.get(&(at, byte))?;
            Some(self.class[at as usize])
        });
        (1..).zip(ends).filter_map(|(length, class)| Some((length, class?)))
    }
}

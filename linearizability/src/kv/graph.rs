//! Which observed values, and which of their beginnings, appends lead to.
//!
//! A node is a string that appends can turn into a value that some Get returned (or is such a value); an edge is an
//! append that turns one node into another. Everything a search has to know of the strings is here: a value that is not a
//! node can never become what any Get saw, so all such values are one state, [`DEAD`], until the next Put.

use rustc_hash::FxHashMap;

use super::values::{Place, ROOT, Values};

/// The value of which nothing is known but that no Get can have seen it, whatever is appended.
pub(super) const DEAD: u32 = u32::MAX;

/// The node of the empty string.
pub(super) const EMPTY: u32 = 0;

/// The graph of one key.
#[derive(Debug)]
pub(super) struct Graph {
    /// What the nodes are; the first is the empty string.
    places: Vec<Place>,
    /// Which node each place is.
    numbers: FxHashMap<Place, u32>,
    /// Sorted by `to`.
    edges: Vec<Edge>,
    /// Where the edges to each node begin, and at last where all end.
    into: Vec<u32>,
    /// For each node and class of appends from it, where they lead to.
    out: FxHashMap<(u32, u32), u32>,
}

/// All appends of one class turn `from` into `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    /// Appends of equal strings are a class.
    pub(super) class: u32,
    pub(super) to: u32,
}

impl Graph {
    /// The graph of the values at `observed`; `appended` is the string of each class of appends, none of them empty.
    ///
    /// It is built backwards: from each value, strip each appended string that it ends with, and go on with what is left.
    pub(super) fn new(values: &Values, observed: impl Iterator<Item = Place>, appended: &[&str]) -> Graph {
        let endings = Endings::new(appended);
        let mut graph = Graph {
            places: vec![ROOT],
            numbers: FxHashMap::from_iter([(ROOT, EMPTY)]),
            edges: Vec::new(),
            into: vec![0],
            out: FxHashMap::default(),
        };
        for place in observed {
            graph.number(place);
        }
        let mut to = 0;
        while let Some(&place) = graph.places.get(to as usize) {
            for (length, class) in endings.of(values.bytes_backwards(place)) {
                let from = graph.number(values.prefix(place, place.length - length));
                graph.edges.push(Edge { from, class, to });
                graph.out.insert((from, class), to);
            }
            graph.into.push(graph.edges.len() as u32);
            to += 1;
        }
        graph
    }

    /// The node of a place, which is one from now on.
    fn number(&mut self, place: Place) -> u32 {
        *self.numbers.entry(place).or_insert_with(|| {
            self.places.push(place);
            self.places.len() as u32 - 1
        })
    }

    /// The node of a place, or [`DEAD`].
    pub(super) fn node(&self, place: Place) -> u32 {
        self.numbers.get(&place).copied().unwrap_or(DEAD)
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// What the nodes are.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that lead to a node.
    pub(super) fn into(&self, node: u32) -> &[Edge] {
        &self.edges[self.into[node as usize] as usize..self.into[node as usize + 1] as usize]
    }

    /// What a node turns into when a string of this class is appended.
    pub(super) fn append(&self, node: u32, class: u32) -> u32 {
        self.out.get(&(node, class)).copied().unwrap_or(DEAD)
    }

    /// The nodes from the shortest string to the longest, so that each comes before those that its edges lead to.
    pub(super) fn by_length(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = (0..self.places.len() as u32).collect();
        nodes.sort_by_key(|&node| self.places[node as usize].length);
        nodes
    }
}

/// The appended strings as a trie of their bytes from the last to the first.
struct Endings {
    next: FxHashMap<(u32, u8), u32>,
    /// For each node the class whose string ends there.
    class: Vec<Option<u32>>,
}

impl Endings {
    fn new(appended: &[&str]) -> Endings {
        let mut endings = Endings { next: FxHashMap::default(), class: vec![None] };
        for (class, string) in (0..).zip(appended) {
            let mut at = 0;
            for byte in string.bytes().rev() {
                at = *endings.next.entry((at, byte)).or_insert_with(|| {
                    endings.class.push(None);
                    endings.class.len() as u32 - 1
                });
            }
            endings.class[at as usize] = Some(class);
        }
        endings
    }

    /// The lengths and classes of all appended strings that a string ends with; its bytes come backwards.
    fn of(&self, bytes_backwards: impl Iterator<Item = u8>) -> impl Iterator<Item = (u32, u32)> {
        let mut at = 0;
        let ends = bytes_backwards.map_while(move |byte| {
            at = *self.next.get(&(at, byte))?;
            Some(self.class[at as usize])
        });
        (1..).zip(ends).filter_map(|(length, class)| Some((length, class?)))
    }
}

//! The earliest and latest times at which an observed value can be the state, and, from these, the operations that can
//! have produced it.
//!
//! Times are ranks of entries, so no two are equal. An operation takes effect between its call and its return.

use super::{
    graph::{DEAD, EMPTY, Edge, Graph},
    lists::Lists,
    transition::Transition,
};
use crate::entries::Entries;

/// The earliest time of a node that cannot be the state.
const NEVER: u32 = u32::MAX;

/// The known bounds on the times at which each node is the state.
#[derive(Debug)]
pub(super) struct Times {
    /// For each node, the earliest time at which it can be the state.
    earliest: Vec<u32>,
    /// For each node, the latest return and the earliest call of the Gets that returned it or a value that Appends can
    /// turn it into.
    last_return: Vec<u32>,
    first_call: Vec<u32>,
    /// For each node, the Puts that can have produced it for some Get.
    puts: Vec<Vec<u32>>,
    /// Whether the initial state can be the empty string that Gets returned or from which their values were produced.
    initial: bool,
    observed: Vec<bool>,
    /// For each operation: its call, its return, and the earliest return of a Put that is called after its return.
    spans: Vec<Span>,
    /// The Appends of each class, in the order of their calls, each with the latest return among it and those before
    /// it.
    members: Lists<(u32, u32)>,
}

/// The possible sources of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// No operation leads to the node.
    None,
    /// Only this Append leads to the node.
    Append { from: u32, operation: u32 },
    /// Puts or the initial state, but no Append.
    PutOrInitial,
    /// Several operations, among them an Append.
    Several,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    call: u32,
    ret: u32,
    overwritten: u32,
}

impl Times {
    pub(super) fn new(graph: &Graph, transitions: &[Transition], members: &Lists<u32>, entries: &Entries) -> Times {
        let spans = spans(transitions, entries);
        let mut times = Times {
            earliest: vec![NEVER; graph.len()],
            last_return: vec![0; graph.len()],
            first_call: vec![u32::MAX; graph.len()],
            puts: vec![Vec::new(); graph.len()],
            initial: true,
            observed: vec![false; graph.len()],
            members: ordered_by_call(members, &spans),
            spans,
        };
        let by_length = graph.by_length();
        times.find_observations(graph, transitions, &by_length);
        times.find_puts(transitions);
        times.find_earliest(graph, &by_length);
        times
    }

    /// Whether some Get returned the node.
    pub(super) fn is_observed(&self, node: u32) -> bool {
        self.observed[node as usize]
    }

    /// Whether a Put or the initial state can have produced a node.
    pub(super) fn can_begin(&self, node: u32) -> bool {
        !self.puts[node as usize].is_empty() || (node == EMPTY && self.initial)
    }

    /// The Puts that can have produced a node.
    pub(super) fn puts(&self, node: u32) -> &[u32] {
        &self.puts[node as usize]
    }

    /// Whether a node can be the state at any time.
    pub(super) fn is_possible(&self, node: u32) -> bool {
        self.earliest[node as usize] != NEVER
    }

    /// Whether the value of each Get can be the state before the Get returns.
    pub(super) fn all_gets_possible(&self, transitions: &[Transition], entries: &Entries) -> bool {
        (0..entries.operation_count() as u32).all(|operation| match transitions[entries.position(operation)] {
            Transition::Get(node) => self.earliest[node as usize] < entries.return_rank(operation),
            _ => true,
        })
    }

    /// Whether the Append can have taken this edge of its class such that some Get observed it. It must be called
    /// before such a Get returns. It must return after the earliest time of the edge's start. It must not be certainly
    /// overwritten before such a Get is called.
    pub(super) fn can_take(&self, operation: u32, edge: Edge) -> bool {
        let earliest = self.earliest[edge.from as usize];
        self.can_be_observed_at(operation, edge.to)
            && earliest < self.spans[operation as usize].ret
            && earliest < self.last_return[edge.to as usize]
    }

    /// The Appends that can have taken the edge (see [`can_take`](Times::can_take)), in the order of their calls.
    pub(super) fn candidates(&self, edge: Edge) -> impl Iterator<Item = u32> {
        let earliest = self.earliest[edge.from as usize];
        let members = self.members.get(edge.class);
        let returned = members.partition_point(|&(_, latest_return)| latest_return < earliest);
        let called = members[returned..].iter().map(|&(operation, _)| operation);
        let last = self.last_return[edge.to as usize];
        let in_time = called.take_while(move |&operation| self.spans[operation as usize].call < last);
        in_time.filter(move |&operation| self.can_take(operation, edge))
    }

    /// Returns the possible sources of a node.
    pub(super) fn source(&self, graph: &Graph, node: u32) -> Source {
        let mut appends = graph.edges_to(node).iter().flat_map(|&edge: &Edge| {
            self.candidates(edge).map(move |operation| Source::Append { from: edge.from, operation })
        });
        match (appends.next(), self.can_begin(node)) {
            (None, false) => Source::None,
            (None, true) => Source::PutOrInitial,
            (Some(only), false) if appends.next().is_none() => only,
            (Some(_), _) => Source::Several,
        }
    }

    /// Whether some Get of the node, or of a node that Appends turn it into, can have observed the write of the
    /// operation.
    fn can_be_observed_at(&self, operation: u32, node: u32) -> bool {
        let Span { call, overwritten, .. } = self.spans[operation as usize];
        call < self.last_return[node as usize] && self.first_call[node as usize] < overwritten
    }

    fn find_observations(&mut self, graph: &Graph, transitions: &[Transition], by_length: &[u32]) {
        for (transition, span) in transitions.iter().zip(&self.spans) {
            if let Transition::Get(node) = *transition {
                let node = node as usize;
                self.observed[node] = true;
                self.last_return[node] = self.last_return[node].max(span.ret);
                self.first_call[node] = self.first_call[node].min(span.call);
            }
        }
        for &node in by_length.iter().rev() {
            for edge in graph.edges_to(node) {
                let (from, to) = (edge.from as usize, edge.to as usize);
                self.last_return[from] = self.last_return[from].max(self.last_return[to]);
                self.first_call[from] = self.first_call[from].min(self.first_call[to]);
            }
        }
    }

    fn find_puts(&mut self, transitions: &[Transition]) {
        let first_put_return =
            (0..).zip(transitions).filter(|(_, transition)| is_put(transition)).map(|(put, _): (usize, _)| put);
        let first_put_return = first_put_return.map(|put| self.spans[put].ret).min();
        self.initial = first_put_return.is_none_or(|ret| self.first_call[EMPTY as usize] < ret);
        for (operation, transition) in (0..).zip(transitions) {
            if let Transition::Put(node) = *transition
                && node != DEAD
                && self.can_be_observed_at(operation, node)
            {
                self.puts[node as usize].push(operation);
            }
        }
    }

    fn find_earliest(&mut self, graph: &Graph, by_length: &[u32]) {
        for &node in by_length {
            let put = self.puts(node).iter().map(|&put| self.spans[put as usize].call).min();
            let initial = (node == EMPTY && self.initial).then_some(0);
            let (times, into) = (&*self, graph.edges_to(node).iter());
            let appended = into.filter(|edge| times.is_possible(edge.from)).filter_map(|&edge| {
                let first = times.candidates(edge).next()?;
                Some(times.earliest[edge.from as usize].max(times.spans[first as usize].call))
            });
            let earliest = put.into_iter().chain(initial).chain(appended).min();
            self.earliest[node as usize] = earliest.unwrap_or(NEVER);
        }
    }
}

fn is_put(transition: &Transition) -> bool {
    matches!(transition, Transition::Put(_))
}

/// The Appends of each class, in the order of their calls, each with the latest return among it and those before it.
fn ordered_by_call(members: &Lists<u32>, spans: &[Span]) -> Lists<(u32, u32)> {
    let mut classes = members.map(|operation| (operation, spans[operation as usize].ret));
    for class in 0..classes.len() as u32 {
        let class = classes.get_mut(class);
        class.sort_unstable_by_key(|&(operation, _)| spans[operation as usize].call);
        let mut latest_return = 0;
        for (_, ret) in class {
            latest_return = latest_return.max(*ret);
            *ret = latest_return;
        }
    }
    classes
}

fn spans(transitions: &[Transition], entries: &Entries) -> Vec<Span> {
    let mut spans = vec![Span { call: 0, ret: 0, overwritten: u32::MAX }; transitions.len()];
    // From the last return to the first: the earliest return of the Puts met so far is the earliest return of all Puts
    // that are called later.
    let mut by_return: Vec<(u32, usize)> = Vec::with_capacity(transitions.len());
    let mut puts: Vec<(u32, u32)> = Vec::new();
    for operation in 0..entries.operation_count() as u32 {
        let (position, call, ret) =
            (entries.position(operation), entries.call_rank(operation), entries.return_rank(operation));
        (spans[position].call, spans[position].ret) = (call, ret);
        by_return.push((ret, position));
        if is_put(&transitions[position]) {
            puts.push((call, ret));
        }
    }
    by_return.sort_unstable();
    let mut overwritten = u32::MAX;
    for (ret, position) in by_return.into_iter().rev() {
        while let Some((_, put_return)) = puts.pop_if(|&mut (call, _)| call > ret) {
            overwritten = overwritten.min(put_return);
        }
        spans[position].overwritten = overwritten;
    }
    spans
}

//! When, at the earliest and at the latest, an observed value can have been the state; and so, which operation can have
//! brought it about.
//!
//! Times are ranks of entries, in which no two are equal. An operation takes effect between its call and its return.

use super::{
    graph::{DEAD, EMPTY, Edge, Graph},
    lists::Lists,
    plan::Does,
};
use crate::entries::Entries;

/// The earliest time of a node that cannot come about.
const NEVER: u32 = u32::MAX;

/// What is known about when each node is the state.
#[derive(Debug)]
pub(super) struct Times {
    /// For each node the earliest time at which it can be the state.
    earliest: Vec<u32>,
    /// For each node the latest return, and the earliest call, of a Get that saw it or what appends can turn it into.
    last_return: Vec<u32>,
    first_call: Vec<u32>,
    /// For each node the Puts that can have begun it for some Get.
    puts: Vec<Vec<u32>>,
    /// Whether the initial state can be what Gets have seen of the empty string and what follows.
    initial: bool,
    observed: Vec<bool>,
    /// For each operation: call, return, and the earliest return of a Put called after that.
    spans: Vec<Span>,
    /// The Appends of each class, by call, each with the latest return of it and those before it.
    members: Lists<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    call: u32,
    ret: u32,
    overwritten: u32,
}

impl Times {
    pub(super) fn new(graph: &Graph, does: &[Does], members: &Lists<u32>, entries: &Entries) -> Times {
        let spans = spans(does, entries);
        let mut times = Times {
            earliest: vec![NEVER; graph.len()],
            last_return: vec![0; graph.len()],
            first_call: vec![u32::MAX; graph.len()],
            puts: vec![Vec::new(); graph.len()],
            initial: true,
            observed: vec![false; graph.len()],
            members: in_order(members, &spans),
            spans,
        };
        let by_length = graph.by_length();
        times.find_observers(graph, does, &by_length);
        times.find_beginnings(does);
        times.find_earliest(graph, &by_length);
        times
    }

    /// Whether some Get returned it.
    pub(super) fn is_observed(&self, node: u32) -> bool {
        self.observed[node as usize]
    }

    /// Whether a Put, or the initial state, can be how a node comes about.
    pub(super) fn can_begin(&self, node: u32) -> bool {
        !self.puts[node as usize].is_empty() || (node == EMPTY && self.initial)
    }

    /// The Puts that can be how a node comes about.
    pub(super) fn puts(&self, node: u32) -> &[u32] {
        &self.puts[node as usize]
    }

    /// Whether a node can come about at all.
    pub(super) fn is_possible(&self, node: u32) -> bool {
        self.earliest[node as usize] != NEVER
    }

    /// Whether each Get's value can come about before it returns.
    pub(super) fn all_gets_possible(&self, does: &[Does], entries: &Entries) -> bool {
        (0..entries.operations() as u32).all(|operation| match does[entries.position(operation)] {
            Does::Get(node) => self.earliest[node as usize] < entries.ret(operation),
            _ => true,
        })
    }

    /// Whether the Append can have taken this edge, of its class, so that some Get saw it: called before such a Get
    /// returns, not returned before the node it starts from can be, and not overwritten before such a Get is called.
    pub(super) fn supplies(&self, operation: u32, edge: Edge) -> bool {
        let earliest = self.earliest[edge.from as usize];
        self.reaches(operation, edge.to)
            && earliest < self.spans[operation as usize].ret
            && earliest < self.last_return[edge.to as usize]
    }

    /// The Appends that [`supplies`](Times::supplies) is true of, by call.
    pub(super) fn suppliers(&self, edge: Edge) -> impl Iterator<Item = u32> {
        let earliest = self.earliest[edge.from as usize];
        let members = self.members.of(edge.class);
        let returned = members.partition_point(|&(_, latest_return)| latest_return < earliest);
        let called = members[returned..].iter().map(|&(operation, _)| operation);
        let last = self.last_return[edge.to as usize];
        let in_time = called.take_while(move |&operation| self.spans[operation as usize].call < last);
        in_time.filter(move |&operation| self.supplies(operation, edge))
    }

    /// Whether some Get of the node, or of what follows it, can have seen what the operation wrote.
    fn reaches(&self, operation: u32, node: u32) -> bool {
        let Span { call, overwritten, .. } = self.spans[operation as usize];
        call < self.last_return[node as usize] && self.first_call[node as usize] < overwritten
    }

    fn find_observers(&mut self, graph: &Graph, does: &[Does], by_length: &[u32]) {
        for (does, span) in does.iter().zip(&self.spans) {
            if let Does::Get(node) = *does {
                let node = node as usize;
                self.observed[node] = true;
                self.last_return[node] = self.last_return[node].max(span.ret);
                self.first_call[node] = self.first_call[node].min(span.call);
            }
        }
        for &node in by_length.iter().rev() {
            for edge in graph.into(node) {
                let (from, to) = (edge.from as usize, edge.to as usize);
                self.last_return[from] = self.last_return[from].max(self.last_return[to]);
                self.first_call[from] = self.first_call[from].min(self.first_call[to]);
            }
        }
    }

    fn find_beginnings(&mut self, does: &[Does]) {
        let first_put_return = (0..).zip(does).filter(|(_, does)| is_put(does)).map(|(put, _): (usize, _)| put);
        let first_put_return = first_put_return.map(|put| self.spans[put].ret).min();
        self.initial = first_put_return.is_none_or(|ret| self.first_call[EMPTY as usize] < ret);
        for (operation, does) in (0..).zip(does) {
            if let Does::Put(node) = *does
                && node != DEAD
                && self.reaches(operation, node)
            {
                self.puts[node as usize].push(operation);
            }
        }
    }

    fn find_earliest(&mut self, graph: &Graph, by_length: &[u32]) {
        for &node in by_length {
            let begun = self.puts(node).iter().map(|&put| self.spans[put as usize].call).min();
            let initial = (node == EMPTY && self.initial).then_some(0);
            let (times, into) = (&*self, graph.into(node).iter());
            let appended = into.filter(|edge| times.is_possible(edge.from)).filter_map(|&edge| {
                let first = times.suppliers(edge).next()?;
                Some(times.earliest[edge.from as usize].max(times.spans[first as usize].call))
            });
            let earliest = begun.into_iter().chain(initial).chain(appended).min();
            self.earliest[node as usize] = earliest.unwrap_or(NEVER);
        }
    }
}

fn is_put(does: &Does) -> bool {
    matches!(does, Does::Put(_))
}

/// The Appends of each class, by call, each with the latest return of it and those before it.
fn in_order(members: &Lists<u32>, spans: &[Span]) -> Lists<(u32, u32)> {
    let mut classes = members.map(|operation| (operation, spans[operation as usize].ret));
    for class in 0..classes.len() as u32 {
        let class = classes.of_mut(class);
        class.sort_unstable_by_key(|&(operation, _)| spans[operation as usize].call);
        let mut latest_return = 0;
        for (_, ret) in class {
            latest_return = latest_return.max(*ret);
            *ret = latest_return;
        }
    }
    classes
}

fn spans(does: &[Does], entries: &Entries) -> Vec<Span> {
    let mut spans = vec![Span { call: 0, ret: 0, overwritten: u32::MAX }; does.len()];
    // From the last call to the first: the earliest return of the Puts met so far is that of all Puts called later.
    let mut by_return: Vec<(u32, usize)> = Vec::with_capacity(does.len());
    let mut puts: Vec<(u32, u32)> = Vec::new();
    for operation in 0..entries.operations() as u32 {
        let (position, call, ret) = (entries.position(operation), entries.call(operation), entries.ret(operation));
        (spans[position].call, spans[position].ret) = (call, ret);
        by_return.push((ret, position));
        if is_put(&does[position]) {
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

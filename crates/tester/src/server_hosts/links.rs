//! Links between servers. Each incarnation of a server has one end to every server. Links are opened and closed in both
//! directions, in one of two ways. The course's Raft tests open the links between all connected servers; its key/value
//! tests open the links within each part of a partition.

use raftapi::ServerId;
use record::{EventKind, Fault};

use super::{HostSlot, HostedServer, ServerHosts};

impl<S: HostedServer> ServerHosts<S> {
    /// Opens the links between `server` and every connected server. Only a running server can be connected, because the
    /// ends of a killed incarnation are never used again.
    pub(crate) fn connect(&self, server: ServerId) {
        let mut slots = self.slots.lock();
        if slots[server.0].running.is_none() {
            return;
        }
        slots[server.0].connected = true;
        for other in 0..slots.len() {
            if slots[other].connected {
                self.set_link(&slots, server.0, other, true);
            }
        }
        drop(slots);
        record::emit(EventKind::Fault(Fault::Connect(vec![server])));
    }

    /// Closes all links from and to `server`. Does nothing after the [fault cutoff](crate::fault_cutoff).
    pub(crate) fn disconnect(&self, server: ServerId) {
        if self.faults_ended() {
            return;
        }
        self.close_links(server);
        record::emit(EventKind::Fault(Fault::Disconnect(vec![server])));
    }

    /// Closes all links from and to `server` without recording a fault. Does nothing after the [fault
    /// cutoff](crate::fault_cutoff).
    pub(crate) fn close_links(&self, server: ServerId) {
        if self.faults_ended() {
            return;
        }
        let mut slots = self.slots.lock();
        slots[server.0].connected = false;
        for other in 0..slots.len() {
            self.set_link(&slots, server.0, other, false);
        }
    }

    /// Returns whether `server` is running and connected.
    pub(crate) fn is_connected(&self, server: ServerId) -> bool {
        self.slots.lock()[server.0].connected
    }

    /// Opens all links within each part, and closes all links between parts. A server that is in no part keeps its
    /// links. One part with all servers heals everything. After the [fault cutoff](crate::fault_cutoff), only healing
    /// works.
    pub(crate) fn partition(&self, parts: &[&[ServerId]]) {
        let heals = parts.iter().any(|part| part.len() == self.len());
        if self.faults_ended() && !heals {
            return;
        }
        let slots = self.slots.lock();
        for (number, part) in parts.iter().enumerate() {
            for (other, others) in parts.iter().enumerate() {
                for (&from, &to) in part.iter().flat_map(|from| others.iter().map(move |to| (from, to))) {
                    self.set_direction(&slots, from.0, to.0, number == other);
                }
            }
        }
        drop(slots);
        let parts = parts.iter().map(|part| part.to_vec()).collect();
        record::emit(EventKind::Fault(Fault::Partition(parts)));
    }

    /// Opens or closes the link between two servers, in both directions.
    fn set_link(&self, slots: &[HostSlot<S>], a: usize, b: usize, open: bool) {
        for (from, to) in [(a, b), (b, a)] {
            self.set_direction(slots, from, to, open);
        }
    }

    fn set_direction(&self, slots: &[HostSlot<S>], from: usize, to: usize, open: bool) {
        if let Some(running) = &slots[from].running {
            self.network.enable(running.ends[to].clone(), open);
        }
    }
}

//! Who can talk to whom. Each incarnation of a server has one end to every server. Links are opened and closed in both
//! directions, in one of two manners: between all servers that are flagged as connected, as the course's Raft tests do it,
//! or between those of the same part, as its key/value tests do.

use raftapi::ServerId;
use record::{EventKind, Fault};

use super::{Hosted, Hosts, Place};

impl<S: Hosted> Hosts<S> {
    /// Opens the links between `server` and every connected server. Only a server that runs can be connected: the ends
    /// of an incarnation that was killed are never used again.
    pub(crate) fn connect(&self, server: ServerId) {
        let mut places = self.places.lock();
        if places[server.0].live.is_none() {
            return;
        }
        places[server.0].connected = true;
        for other in 0..places.len() {
            if places[other].connected {
                self.set_link(&places, server.0, other, true);
            }
        }
        drop(places);
        record::emit(EventKind::Fault(Fault::Connect(vec![server])));
    }

    /// Closes all links from and to `server`, unless all is [calm](crate::calm).
    pub(crate) fn disconnect(&self, server: ServerId) {
        if self.is_calm() {
            return;
        }
        self.close_links(server);
        record::emit(EventKind::Fault(Fault::Disconnect(vec![server])));
    }

    /// Closes all links from and to `server`, unless all is [calm](crate::calm), and says nothing of it.
    pub(crate) fn close_links(&self, server: ServerId) {
        if self.is_calm() {
            return;
        }
        let mut places = self.places.lock();
        places[server.0].connected = false;
        for other in 0..places.len() {
            self.set_link(&places, server.0, other, false);
        }
    }

    /// Whether `server` runs and is connected.
    pub(crate) fn is_connected(&self, server: ServerId) -> bool {
        self.places.lock()[server.0].connected
    }

    /// Opens all links within each part and closes those between one part and another. A server that is in no part keeps
    /// its links. One part of all servers heals everything. When all is [calm](crate::calm), nothing else is done.
    pub(crate) fn partition(&self, parts: &[&[ServerId]]) {
        let heals = parts.iter().any(|part| part.len() == self.len());
        if self.is_calm() && !heals {
            return;
        }
        let places = self.places.lock();
        for (number, part) in parts.iter().enumerate() {
            for (other, others) in parts.iter().enumerate() {
                for (&from, &to) in part.iter().flat_map(|from| others.iter().map(move |to| (from, to))) {
                    self.set_direction(&places, from.0, to.0, number == other);
                }
            }
        }
        drop(places);
        let parts = parts.iter().map(|part| part.to_vec()).collect();
        record::emit(EventKind::Fault(Fault::Partition(parts)));
    }

    /// Opens or closes the link between two servers, in both directions.
    fn set_link(&self, places: &[Place<S>], a: usize, b: usize, open: bool) {
        for (from, to) in [(a, b), (b, a)] {
            self.set_direction(places, from, to, open);
        }
    }

    fn set_direction(&self, places: &[Place<S>], from: usize, to: usize, open: bool) {
        if let Some(live) = &places[from].live {
            self.network.enable(live.ends[to].clone(), open);
        }
    }
}

//! Who can talk to whom. Each incarnation of a server has one end to every server; a link is open when both its
//! servers are connected.

use raftapi::{Raft, ServerId};
use record::{EventKind, Fault};

use super::Cluster;

impl<R: Raft> Cluster<R> {
    /// Opens the links between `server` and every connected server. Only a server that runs can be connected: the ends
    /// of an incarnation that was killed are never used again.
    pub fn connect(&self, server: ServerId) {
        let mut servers = self.0.servers.lock();
        if servers[server.0].live.is_none() {
            return;
        }
        servers[server.0].connected = true;
        for other in 0..servers.len() {
            if servers[other].connected {
                self.set_link(&servers, server.0, other, true);
            }
        }
        drop(servers);
        record::emit(EventKind::Fault(Fault::Connect(vec![server])));
    }

    /// Closes all links from and to `server`.
    pub fn disconnect(&self, server: ServerId) {
        let mut servers = self.0.servers.lock();
        servers[server.0].connected = false;
        for other in 0..servers.len() {
            self.set_link(&servers, server.0, other, false);
        }
        drop(servers);
        record::emit(EventKind::Fault(Fault::Disconnect(vec![server])));
    }

    /// Whether `server` runs and is connected.
    pub fn is_connected(&self, server: ServerId) -> bool {
        self.0.servers.lock()[server.0].connected
    }

    /// Opens or closes the link between two servers, in both directions.
    fn set_link(&self, servers: &[super::Server<R>], a: usize, b: usize, open: bool) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(live) = &servers[from].live {
                self.0.network.enable(live.ends[to].clone(), open);
            }
        }
    }
}

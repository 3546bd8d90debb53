//! The ways to the other servers.

use std::net::SocketAddr;

use raft::rawnode::Message;
use raftapi::ServerId;

use crate::wire::{Identity, Limits, Link};

/// A link to each other server.
pub(super) struct Peers {
    /// By server; this one's own place is empty.
    links: Vec<Option<Link>>,
    /// By server.
    addresses: Vec<String>,
}

impl Peers {
    /// Begins to connect to all of them.
    pub(super) fn start(identity: &Identity, addresses: &[SocketAddr], limits: Limits) -> Peers {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let link = |(place, address): (usize, &String)| {
            let server = ServerId(place);
            // The link logs by itself what becomes of it.
            (server != identity.me).then(|| Link::start(identity.clone(), server, address.clone(), limits, |_, _| {}))
        };
        Peers { links: addresses.iter().enumerate().map(link).collect(), addresses }
    }

    /// Sends a message to whom it is for, if that server can be reached; else it is lost, which is the node's business.
    pub(super) fn send(&self, message: Message) {
        if let Some(link) = &self.links[message.to.0] {
            link.send(labgob::encode(&message));
        }
    }

    /// Where a server is.
    pub(super) fn address(&self, server: ServerId) -> &str {
        &self.addresses[server.0]
    }

    /// Whether there is a connection to a server.
    pub(super) fn is_connected(&self, server: ServerId) -> bool {
        self.links[server.0].as_ref().is_some_and(Link::is_up)
    }

    /// Ends all connections.
    pub(super) fn stop(self) {
        self.links.into_iter().flatten().for_each(Link::stop);
    }
}

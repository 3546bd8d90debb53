//! The connections to the other servers.

use std::net::SocketAddr;

use raft::rawnode::Message;
use raftapi::ServerId;

use crate::wire::{Identity, Limits, PeerLink};

/// One link to each other server.
pub(super) struct Peers {
    /// By server id; `None` for this server itself.
    links: Vec<Option<PeerLink>>,
    /// By server id.
    addresses: Vec<String>,
}

impl Peers {
    /// Starts one link for each other server.
    pub(super) fn start(identity: &Identity, addresses: &[SocketAddr], limits: Limits) -> Peers {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let link = |(id, address): (usize, &String)| {
            let server = ServerId(id);
            // The link logs its changes itself.
            (server != identity.me)
                .then(|| PeerLink::start(identity.clone(), server, address.clone(), limits, |_, _| {}))
        };
        Peers { links: addresses.iter().enumerate().map(link).collect(), addresses }
    }

    /// Sends a message to its receiver. If that server is unreachable, the message is lost, and the node deals with the
    /// loss.
    pub(super) fn send(&self, message: Message) {
        if let Some(link) = &self.links[message.to.0] {
            link.send(labgob::encode(&message));
        }
    }

    /// Returns the address of a server.
    pub(super) fn address(&self, server: ServerId) -> &str {
        &self.addresses[server.0]
    }

    /// Returns whether this server is connected to `server`.
    pub(super) fn is_connected(&self, server: ServerId) -> bool {
        self.links[server.0].as_ref().is_some_and(PeerLink::is_up)
    }

    /// Closes all connections.
    pub(super) fn stop(self) {
        self.links.into_iter().flatten().for_each(PeerLink::stop);
    }
}

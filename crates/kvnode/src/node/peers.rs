//! The connections to the other servers.

use std::net::SocketAddr;

use raftapi::ServerId;

use super::greeting::Envelope;
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
    /// The addresses are those of the servers for clients, and those at which this server connects to them.
    pub(super) fn start(identity: &Identity, addresses: &[String], routes: &[SocketAddr], limits: Limits) -> Peers {
        let link = |(id, address): (usize, &SocketAddr)| {
            let server = ServerId(id);
            // The link logs its changes itself.
            (server != identity.me)
                .then(|| PeerLink::start(identity.clone(), server, address.to_string(), limits, |_, _| {}))
        };
        Peers { links: routes.iter().enumerate().map(link).collect(), addresses: addresses.to_vec() }
    }

    /// Sends a message to its receiver. If that server is unreachable, the message is lost, and the node deals with the
    /// loss.
    pub(super) fn send(&self, envelope: &Envelope) {
        if let Some(link) = &self.links[envelope.message.to.0] {
            link.send(labgob::encode(envelope));
        }
    }

    /// Opens all connections again, so that the servers greet each other again.
    pub(super) fn reconnect(&self) {
        self.links.iter().flatten().for_each(PeerLink::reconnect);
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

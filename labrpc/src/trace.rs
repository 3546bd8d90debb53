//! The events of a call in the record of its run: sent, delivered to its handler, answered, or lost with the reason.
//! Recording never influences the call. In a run without a record it costs one look at the thread's context.

use ids::ServerId;
use record::{EventKind, Loss, Peer};

use crate::Name;
use crate::server::RegisteredServer;

/// The recorder of one call's events.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    call: u64,
    /// The calling server; `None` for the tester and the clients.
    from: Option<ServerId>,
    recorded: bool,
}

impl Trace {
    /// Records that the network has accepted a request of `bytes` bytes from the calling thread's server.
    pub(crate) fn sent(call: u64, to: Option<&Target>, method: &str, bytes: usize) -> Trace {
        let from = record::with_scope(|scope| {
            let to = to.map_or(Peer::Named("(nobody)".into()), Target::peer);
            scope.emit_rpc_sent(call, &to, method, bytes as u64);
            scope.server
        });
        Trace { call, from: from.flatten(), recorded: from.is_some() }
    }

    /// Records that the request is about to be handled.
    pub(crate) fn delivered(self, server: &RegisteredServer) {
        if self.recorded {
            self.emit(server.id(), EventKind::RpcDelivered { call: self.call });
        }
    }

    /// Records that the caller has its reply of `bytes` bytes.
    pub(crate) fn answered(self, bytes: usize) {
        self.emit(self.from, EventKind::RpcReplied { call: self.call, bytes: bytes as u64 });
    }

    /// Records that the caller will get no reply.
    pub(crate) fn lost(self, reason: Loss) {
        self.emit(self.from, EventKind::RpcLost { call: self.call, reason });
    }

    #[inline]
    fn emit(self, server: Option<ServerId>, kind: EventKind) {
        if self.recorded {
            record::emit_for(server, kind);
        }
    }
}

/// The server that an end is connected to, as the record names it.
#[derive(Clone)]
pub(crate) enum Target {
    /// The server of the cluster that has, or last had, the name that the end is connected to.
    Server(ServerId),
    /// A name that belongs to no server of the cluster, or to no server at all.
    Named(Name),
}

impl Target {
    fn peer(&self) -> Peer {
        match self {
            Target::Server(server) => Peer::Server(*server),
            Target::Named(name) => Peer::Named(name.to_string().into()),
        }
    }
}

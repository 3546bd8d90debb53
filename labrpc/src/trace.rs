//! What a call leaves in the record of its run: sent, delivered to its handler, answered, or lost with the reason.
//! Nothing here has an influence on the call, and in a run that nobody records it costs one look at the thread's
//! context.

use record::{EventKind, Peer, ServerId};

pub(crate) use record::Loss;

use crate::Name;
use crate::server::Registered;

/// The record of one call.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    call: u64,
    /// The calling server; `None` for the tester and the clients.
    from: Option<ServerId>,
    recorded: bool,
}

impl Trace {
    /// The network has accepted a request of `bytes` bytes from the calling thread's server.
    pub(crate) fn sent(call: u64, to: Option<&Target>, method: &str, bytes: usize) -> Trace {
        let from = record::with_scope(|scope| {
            let to = to.map_or(Peer::Named("(nobody)".into()), Target::peer);
            scope.emit_sent(call, &to, method, bytes as u64);
            scope.server
        });
        Trace { call, from: from.flatten(), recorded: from.is_some() }
    }

    /// The request is about to be handled.
    pub(crate) fn delivered(self, server: &Registered) {
        if self.recorded {
            self.emit(server.id(), EventKind::RpcDelivered { call: self.call });
        }
    }

    /// The caller has its reply of `bytes` bytes.
    pub(crate) fn answered(self, bytes: usize) {
        self.emit(self.from, EventKind::RpcAnswered { call: self.call, bytes: bytes as u64 });
    }

    /// The caller will have no reply.
    pub(crate) fn lost(self, why: Loss) {
        self.emit(self.from, EventKind::RpcLost { call: self.call, why });
    }

    #[inline]
    fn emit(self, server: Option<ServerId>, kind: EventKind) {
        if self.recorded {
            record::emit_for(server, kind);
        }
    }
}

/// Whom an end is connected to.
#[derive(Clone)]
pub(crate) enum Target {
    /// The server of the cluster that has, or last had, the name that the end is connected to.
    Server(ServerId),
    /// Who else has that name, or nobody.
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

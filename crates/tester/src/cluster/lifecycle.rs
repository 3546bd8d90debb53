//! Start, crash and restart of Raft servers, each with a service on top of it.

use labstd::channel;
use labstd::sync::Arc;
use raftapi::{Persister, ServerId};
use record::{EventKind, Fault};

use super::{Cluster, Node, applier};
use crate::applied::DeliveryError;
use crate::snapshot::Snapshot;
use crate::violation::Violation;
use diagnosis::Rule;

impl Cluster {
    /// Starts `server` from its saved state; it is not connected yet.
    ///
    /// # Panics
    ///
    /// If the server is already running, or lacks an [RPC](super::rpc_names) that scenarios look for.
    pub(super) fn start_server(&self, server: ServerId) {
        let (incarnation, peers) = self.0.hosts.begin_incarnation(server);
        self.restore_service(server, incarnation.number, &incarnation.persister);
        let (tx, rx) = channel::bounded(1);
        let stop = applier::StopHandle::new(tx.clone());
        let (group, persister) = (incarnation.group.clone(), Arc::clone(&incarnation.persister));
        let raft = group.enter(|| (self.0.make)(peers, server, persister, tx));
        let service =
            applier::ServiceContext { server, incarnation: incarnation.number, raft: Arc::downgrade(&raft), group };
        self.spawn_applier(service, rx, &stop);
        let node = Node { server, raft, applier: stop, snapshots: self.0.snapshots };
        self.0.hosts.attach(incarnation, node);
    }

    /// Resets the service of a new incarnation to the saved snapshot, if there is one.
    fn restore_service(&self, server: ServerId, incarnation: u32, persister: &Persister) {
        let mut applied = self.0.applied.lock();
        applied.begin_incarnation(server, incarnation);
        let saved = persister.read_snapshot();
        if self.0.snapshots && !saved.is_empty() {
            let snapshot = Snapshot::decode(&saved).unwrap_or_else(|wrong| {
                let text = format!("{server} had saved an invalid snapshot: {wrong}");
                Violation::safety(&[Rule::SaveSnapshot], text)
            });
            if let Err(DeliveryError { text, likely }) = applied.restore(server, &snapshot) {
                Violation::safety(&likely, text);
            }
        }
    }

    /// Starts a crashed server again and connects it. If its crash was skipped after the [fault
    /// cutoff](crate::fault_cutoff), the server keeps running.
    pub fn restart(&self, server: ServerId) {
        if self.0.hosts.faults_ended() && self.is_running(server) {
            return self.connect(server);
        }
        record::emit(EventKind::Fault(Fault::Restart(vec![server])));
        self.start_server(server);
        self.connect(server);
    }

    /// Crashes `server`; it can be [restarted](Cluster::restart). Does nothing if it is not running, or after the
    /// [fault cutoff](crate::fault_cutoff).
    pub fn crash(&self, server: ServerId) {
        self.disconnect(server);
        self.0.hosts.crash(server);
    }

    /// Crashes `server` and immediately starts it again.
    pub fn reboot(&self, server: ServerId) {
        self.crash(server);
        self.restart(server);
    }

    /// Returns whether `server` is running.
    pub fn is_running(&self, server: ServerId) -> bool {
        self.0.hosts.is_running(server)
    }

    /// Ends the scenario: kills every server and shuts the network down. Returns when all their threads have ended.
    ///
    /// # Panics
    ///
    /// If a thread is still alive 2 s after `kill`.
    pub fn shut_down(&self) {
        self.0.hosts.shut_down();
    }

    /// Stops everything without waiting, because the run has already failed.
    pub fn abandon(&self) {
        self.0.hosts.abandon();
    }

    /// Opens the links between `server` and every connected server. Only a running server can be connected.
    pub fn connect(&self, server: ServerId) {
        self.0.hosts.connect(server);
    }

    /// Closes all links from and to `server`. Does nothing after the [fault cutoff](crate::fault_cutoff).
    pub fn disconnect(&self, server: ServerId) {
        self.0.hosts.disconnect(server);
    }

    /// Returns whether `server` is running and connected.
    pub fn is_connected(&self, server: ServerId) -> bool {
        self.0.hosts.is_connected(server)
    }
}

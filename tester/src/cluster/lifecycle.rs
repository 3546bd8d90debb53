//! Starting, crashing and restarting Raft servers, each with a service that stands on it.

use labstd::channel;
use labstd::sync::Arc;
use raftapi::{Persister, Raft, ServerId};
use record::{EventKind, Fault};

use super::{Cluster, Node, applier};
use crate::applied::DeliveryError;
use crate::diagnosis::Rule;
use crate::snapshot::Snapshot;
use crate::violation::Violation;

impl<R: Raft> Cluster<R> {
    /// Starts `server` from what it saved; it is not connected yet.
    ///
    /// # Panics
    ///
    /// If it runs.
    pub(super) fn start_server(&self, server: ServerId) {
        let (incarnation, peers) = self.0.hosts.begin_incarnation(server);
        self.restore_service(server, incarnation.number, &incarnation.persister);
        let (tx, rx) = channel::bounded(1);
        let stop = applier::StopHandle::new(tx.clone());
        let (group, persister) = (incarnation.group.clone(), Arc::clone(&incarnation.persister));
        let raft = Arc::new(group.enter(|| (self.0.make)(peers, server, persister, tx)));
        let service = applier::ServiceContext { server, incarnation: incarnation.number, raft: Arc::downgrade(&raft), group };
        self.spawn_applier(service, rx, &stop);
        self.0.hosts.attach(incarnation, Node { raft, applier: stop });
    }

    /// The service of a new incarnation forgets what it had applied, up to what is in the snapshot that was saved.
    fn restore_service(&self, server: ServerId, incarnation: u32, persister: &Persister) {
        let mut applied = self.0.applied.lock();
        applied.begin_incarnation(server, incarnation);
        let saved = persister.read_snapshot();
        if self.0.snapshots && !saved.is_empty() {
            let snapshot = Snapshot::decode(&saved).unwrap_or_else(|wrong| {
                let text = format!("{server} had saved what is no snapshot: {wrong}");
                Violation::safety(&[Rule::SaveSnapshot], text)
            });
            if let Err(DeliveryError { text, likely }) = applied.restore(server, &snapshot) {
                Violation::safety(&likely, text);
            }
        }
    }

    /// Starts a crashed server again and connects it. One whose crash was left out because all is [calm](crate::calm) runs
    /// on.
    pub fn restart(&self, server: ServerId) {
        if self.0.hosts.faults_ended() && self.is_running(server) {
            return self.connect(server);
        }
        record::emit(EventKind::Fault(Fault::Restart(vec![server])));
        self.start_server(server);
        self.connect(server);
    }

    /// Crashes `server`; it can be [restarted](Cluster::restart). Does nothing if it does not run, or when all is
    /// [calm](crate::calm).
    pub fn crash(&self, server: ServerId) {
        self.disconnect(server);
        self.0.hosts.crash(server);
    }

    /// Crashes `server` and starts it again at once.
    pub fn reboot(&self, server: ServerId) {
        self.crash(server);
        self.restart(server);
    }

    /// Whether `server` runs.
    pub fn is_running(&self, server: ServerId) -> bool {
        self.0.hosts.is_running(server)
    }

    /// Ends the scenario: kills every server and takes the network down. Returns when all their threads have ended.
    ///
    /// Panics if a thread survives `kill` by 2 s.
    pub fn shut_down(&self) {
        self.0.hosts.shut_down();
    }

    /// Stops everything without waiting for it, because the run has failed already.
    pub fn abandon(&self) {
        self.0.hosts.abandon();
    }

    /// Opens the links between `server` and every connected server. Only a server that runs can be connected.
    pub fn connect(&self, server: ServerId) {
        self.0.hosts.connect(server);
    }

    /// Closes all links from and to `server`, unless all is [calm](crate::calm).
    pub fn disconnect(&self, server: ServerId) {
        self.0.hosts.disconnect(server);
    }

    /// Whether `server` runs and is connected.
    pub fn is_connected(&self, server: ServerId) -> bool {
        self.0.hosts.is_connected(server)
    }
}

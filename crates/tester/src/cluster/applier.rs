//! The service on top of each Raft under test: a thread that reads the apply channel and checks every entry and every
//! snapshot. In the scenarios of part 3D it also takes snapshots.

use std::fmt;

use labstd::channel::{Receiver, Sender};
use labstd::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use labstd::sync::{Arc, Weak};
use labstd::thread::{self, Group};
use raftapi::{ApplyMsg, Index, Raft, ServerId, Term};
use record::EventKind;

use super::Cluster;
use crate::applied::DeliveryError;
use crate::command::Command;
use crate::snapshot::Snapshot;
use crate::violation::Violation;
use diagnosis::Rule;

/// A service that takes snapshots takes one at each index before a multiple of this number, as in the course.
const SNAPSHOT_INTERVAL: u64 = 10;

/// Handle that makes an applier drop its receiver. A thread that is blocked on the receiver cannot do this itself.
pub(super) struct StopHandle {
    stopped: Arc<AtomicBool>,
    /// Sender of the apply channel, which wakes the applier.
    waker: Sender<ApplyMsg>,
}

impl StopHandle {
    pub(super) fn new(waker: Sender<ApplyMsg>) -> StopHandle {
        StopHandle { stopped: Arc::new(AtomicBool::new(false)), waker }
    }

    /// Stops the applier before it handles another message.
    pub(super) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        // If the channel is full, the messages in it wake the applier.
        let nothing = ApplyMsg::Command { index: Index::ZERO, term: Term::ZERO, command: bytes::Bytes::new() };
        let _ = self.waker.try_send(nothing);
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopHandle").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

/// The incarnation that an applier thread serves.
pub(super) struct ServiceContext {
    pub(super) server: ServerId,
    pub(super) incarnation: u32,
    /// A weak reference: a killed server is dropped when its own threads have ended.
    pub(super) raft: Weak<dyn Raft>,
    /// Group of the threads that the Raft starts while the service calls it.
    pub(super) group: Group,
}

impl Cluster {
    /// Starts the thread that reads the messages that a server delivers.
    pub(super) fn spawn_applier(&self, service: ServiceContext, rx: Receiver<ApplyMsg>, stop: &StopHandle) {
        let stopped = Arc::clone(&stop.stopped);
        let inner = Arc::downgrade(&self.0);
        thread::spawn(format!("service-{}", service.server), move || {
            for message in &rx {
                let Some(shared) = inner.upgrade().filter(|_| !stopped.load(SeqCst)) else { break };
                let cluster = Cluster(shared);
                if let Err(error) = cluster.handle_message(&service, message) {
                    let DeliveryError { text, likely } = cluster.with_suspicion(error);
                    Violation::safety(&likely, text);
                }
            }
        });
    }

    /// Handles one message. The service does not read the next message meanwhile.
    fn handle_message(&self, service: &ServiceContext, message: ApplyMsg) -> Result<(), DeliveryError> {
        match message {
            ApplyMsg::Command { index, term, command } => self.handle_command(service, index, term, &command),
            ApplyMsg::Snapshot { index, term, snapshot } => self.handle_snapshot(service, index, term, &snapshot),
        }
    }

    fn handle_command(
        &self,
        service: &ServiceContext,
        index: Index,
        term: Term,
        command: &[u8],
    ) -> Result<(), DeliveryError> {
        let server = service.server;
        let command = Command::decode(command).map_err(|error| {
            let text = format!("{server} applied something at index {index} that was never submitted: {error}");
            DeliveryError::new(&[], text)
        })?;
        let snapshot = {
            let mut applied = self.0.applied.lock();
            if !applied.is_current(server, service.incarnation) {
                return Ok(());
            }
            record::emit_for(Some(server), EventKind::Applied { index, term });
            applied.deliver(server, index, command)?;
            let due = self.0.snapshots && (index.0 + 1).is_multiple_of(SNAPSHOT_INTERVAL);
            due.then(|| {
                let snapshot = applied.snapshot(server).encode();
                let bytes = snapshot.len() as u64;
                record::emit_for(Some(server), EventKind::SnapshotTaken { index, bytes });
                snapshot
            })
        };
        if let Some(snapshot) = snapshot {
            service.call(|raft| raft.snapshot(index, snapshot));
        }
        if self.0.services_query_raft.load(Relaxed) {
            service.call(|raft| raft.get_state());
        }
        Ok(())
    }

    fn handle_snapshot(
        &self,
        service: &ServiceContext,
        index: Index,
        term: Term,
        bytes: &[u8],
    ) -> Result<(), DeliveryError> {
        let server = service.server;
        if !self.0.snapshots {
            let text = format!("{server} delivered a snapshot at index {index}, but no service ever made one");
            return Err(DeliveryError::new(&[], text));
        }
        let snapshot = Snapshot::decode(bytes).map_err(|wrong| {
            DeliveryError::new(
                &[Rule::SaveSnapshot],
                format!("{server} delivered an invalid snapshot at index {index}: {wrong}"),
            )
        })?;
        if snapshot.index() != index {
            let covered = snapshot.index();
            let text = format!(
                "{server} delivered the snapshot up to index {covered} as a snapshot up to index \
                                {index}"
            );
            return Err(DeliveryError::new(&[], text));
        }
        let mut applied = self.0.applied.lock();
        if !applied.is_current(server, service.incarnation) {
            return Ok(());
        }
        record::emit_for(Some(server), EventKind::SnapshotInstalled { index, term });
        applied.install(server, &snapshot)
    }
}

impl ServiceContext {
    /// Calls the service's own Raft, unless it is already gone.
    fn call<T>(&self, call: impl FnOnce(&dyn Raft) -> T) {
        if let Some(raft) = self.raft.upgrade() {
            self.group.enter(|| call(&*raft));
        }
    }
}

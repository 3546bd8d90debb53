//! The service that stands on each Raft under test: a thread that reads the apply channel and checks every entry.

use std::fmt;

use labstd::channel::{Receiver, Sender};
use labstd::sync::Arc;
use labstd::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use labstd::thread;
use raftapi::{ApplyMsg, Index, Raft, ServerId, Term};
use record::EventKind;

use super::Cluster;
use crate::command::Command;
use crate::violation::Violation;

/// Makes an applier drop its receiver, which a thread that waits for a message cannot do by itself.
pub(super) struct Stop {
    stopped: Arc<AtomicBool>,
    /// Into the apply channel, to wake the applier.
    waker: Sender<ApplyMsg>,
}

impl Stop {
    pub(super) fn new(waker: Sender<ApplyMsg>) -> Stop {
        Stop { stopped: Arc::new(AtomicBool::new(false)), waker }
    }

    /// The applier ends before it looks at another message.
    pub(super) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        // A full channel wakes it as well.
        let nothing = ApplyMsg::Command { index: Index::ZERO, term: Term::ZERO, command: bytes::Bytes::new() };
        let _ = self.waker.try_send(nothing);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl<R: Raft> Cluster<R> {
    /// Starts the thread that reads what `server` delivers.
    pub(super) fn spawn_applier(&self, server: ServerId, rx: Receiver<ApplyMsg>, stop: &Stop) {
        let stopped = Arc::clone(&stop.stopped);
        let inner = Arc::downgrade(&self.0);
        thread::spawn(format!("service-{server}"), move || {
            for message in &rx {
                let Some(shared) = inner.upgrade().filter(|_| !stopped.load(SeqCst)) else { break };
                if let Err(sentence) = Cluster(shared).check_applied(server, message) {
                    Violation::safety(sentence);
                }
            }
        });
    }

    fn check_applied(&self, server: ServerId, message: ApplyMsg) -> Result<(), String> {
        match message {
            ApplyMsg::Command { index, term, command } => {
                let command = Command::decode(&command).map_err(|error| {
                    format!("{server} applied at index {index} something that was never submitted: {error}")
                })?;
                record::emit_for(Some(server), EventKind::Applied { index, term });
                self.0.applied.lock().deliver(server, index, command)?;
                if self.0.services_ask.load(Relaxed) {
                    self.state(server);
                }
                Ok(())
            }
            ApplyMsg::Snapshot { index, .. } => {
                Err(format!("{server} delivered a snapshot at index {index}, but nobody ever made one"))
            }
        }
    }
}

//! Snapshot transfers to other servers. For each one a separate thread writes and sends a view of the store as it was
//! at one moment, while the loop continues.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft::rawnode::{SnapshotTask, TransferOutcome};
use raftapi::Index;

use super::event::Event;
use super::greeting::Envelope;
use super::snapshot_files;
use crate::storage::View;
use crate::wire::{Identity, Limits, SnapshotError, SnapshotSender, Verdict};

/// Time limit for the other server to check a received snapshot.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(60);

/// The snapshot transfers in flight.
pub(super) struct Transfers {
    identity: Identity,
    addresses: Vec<SocketAddr>,
    limits: Limits,
    /// The directory for snapshot files.
    dir: PathBuf,
    /// The queue of the loop, for the result of each transfer.
    events: SyncSender<Event>,
    /// Each transfer in flight, with the last index of its snapshot.
    in_flight: Vec<(SnapshotTask, Index)>,
}

impl Transfers {
    pub(super) fn new(
        identity: Identity,
        addresses: Vec<SocketAddr>,
        limits: Limits,
        dir: &Path,
        events: SyncSender<Event>,
    ) -> Transfers {
        Transfers { identity, addresses, limits, dir: dir.to_path_buf(), events, in_flight: Vec::new() }
    }

    /// Starts to send `view` to the server that needs it. Returns `false` if no thread can be started.
    /// `runs` are the random numbers of the present starts of this server and of the other one.
    pub(super) fn start(&mut self, order: SnapshotTask, runs: (u64, u64), view: View) -> bool {
        self.in_flight.push((order.clone(), view.applied()));
        let (identity, limits, events) = (self.identity.clone(), self.limits, self.events.clone());
        let address = self.addresses[order.to().0].to_string();
        let sending = order.clone();
        let file = snapshot_files::outgoing(&self.dir, order.to());
        let work = move || {
            let to = sending.to();
            let (started, index) = (Instant::now(), view.applied());
            let transfer = match send_snapshot(&identity, &address, &limits, (&sending, runs), &view, &file) {
                Ok(bytes) => {
                    let took = started.elapsed().as_secs_f64();
                    log::info!("sent {to} a snapshot up to index {index}: {bytes} bytes in {took:.1} s");
                    TransferOutcome::Arrived
                }
                Err(reason) => {
                    log::warn!("the snapshot up to index {index} for {to} failed: {reason}");
                    TransferOutcome::Failed
                }
            };
            // The file may not exist.
            let _ = fs::remove_file(&file);
            // If the loop has ended, the result does not matter.
            let _ = events.send(Event::SnapshotSent(sending, transfer));
        };
        let thread = thread::Builder::new().name(format!("snapshot for {}", order.to()));
        let spawned = thread.spawn(work);
        if let Err(error) = &spawned {
            log::error!("cannot start a thread to send a snapshot: {error}");
            self.finish(&order);
        }
        spawned.is_ok()
    }

    /// Removes a transfer that has ended.
    pub(super) fn finish(&mut self, order: &SnapshotTask) {
        self.in_flight.retain(|(in_flight, _)| in_flight != order);
    }

    /// Returns the lowest last index of the snapshots in flight, after which entries are still needed; `None` if there
    /// are no transfers.
    pub(super) fn oldest_index(&self) -> Option<Index> {
        self.in_flight.iter().map(|&(_, index)| index).min()
    }
}

/// Writes a snapshot and sends it. Returns its size in bytes.
fn send_snapshot(
    identity: &Identity,
    address: &str,
    limits: &Limits,
    (order, (from_run, to_run)): (&SnapshotTask, (u64, u64)),
    view: &View,
    path: &Path,
) -> Result<u64, String> {
    let message = order.message(view.applied(), view.applied_term(), Bytes::new());
    let message = message.ok_or("this server does not lead any more")?;
    let envelope = Envelope { from_run, to_run, saves: 0, message };
    // The image is written before the connection is opened, because a silent connection would time out.
    let bytes = view.write_image(path)?.bytes();
    let mut sender = SnapshotSender::open(identity, order.to(), address, limits, labgob::encode(&envelope))
        .map_err(|error| error.to_string())?;
    let on_disk = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(on_disk)?;
    loop {
        let mut chunk = vec![0; limits.chunk_bytes];
        let length = file.read(&mut chunk).map_err(on_disk)?;
        if length == 0 {
            break;
        }
        chunk.truncate(length);
        match sender.push(chunk.into()) {
            Ok(()) => {}
            Err(SnapshotError::EarlyVerdict(verdict)) => return check_verdict(verdict, bytes),
            Err(SnapshotError::Wire(error)) => return Err(error.to_string()),
        }
    }
    check_verdict(sender.finish(VERDICT_TIMEOUT).map_err(|error| error.to_string())?, bytes)
}

fn check_verdict(verdict: Verdict, bytes: u64) -> Result<u64, String> {
    match verdict {
        Verdict::Accepted(_) => Ok(bytes),
        Verdict::Refused(reason) => Err(reason),
    }
}

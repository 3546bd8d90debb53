//! Snapshots on their way to other servers. Each is made and sent by a thread of its own, from a view of the store as it was at
//! one moment; the loop goes on meanwhile.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft::rawnode::{SnapshotOrder, Transfer};
use raftapi::Index;

use super::event::Event;
use super::side_files;
use crate::storage::View;
use crate::wire::{Identity, Limits, SnapshotError, SnapshotSender, Verdict};

/// How long the other server may take to check what it has received.
const CHECK_WITHIN: Duration = Duration::from_secs(60);

/// The snapshots under way.
pub(super) struct Transfers {
    identity: Identity,
    addresses: Vec<SocketAddr>,
    limits: Limits,
    /// Where snapshots are made.
    dir: PathBuf,
    /// Where the loop is told how a transfer has ended.
    events: SyncSender<Event>,
    /// Each order under way, and the last index of its snapshot.
    under_way: Vec<(SnapshotOrder, Index)>,
}

impl Transfers {
    pub(super) fn new(
        identity: Identity,
        addresses: Vec<SocketAddr>,
        limits: Limits,
        dir: &Path,
        events: SyncSender<Event>,
    ) -> Transfers {
        Transfers { identity, addresses, limits, dir: dir.to_path_buf(), events, under_way: Vec::new() }
    }

    /// Sends what `view` shows to the server that needs it; `false` if there is no thread for it.
    pub(super) fn begin(&mut self, order: SnapshotOrder, view: View) -> bool {
        self.under_way.push((order.clone(), view.applied()));
        let (identity, limits, events) = (self.identity.clone(), self.limits, self.events.clone());
        let address = self.addresses[order.to().0].to_string();
        let sending = order.clone();
        let file = side_files::outgoing(&self.dir, order.to());
        let work = move || {
            let to = sending.to();
            let (begun, index) = (Instant::now(), view.applied());
            let transfer = match send(&identity, &address, &limits, &sending, &view, &file) {
                Ok(bytes) => {
                    let took = begun.elapsed().as_secs_f64();
                    log::info!("has sent {to} a snapshot up to {index}: {bytes} bytes in {took:.1} s");
                    Transfer::Arrived
                }
                Err(reason) => {
                    log::warn!("the snapshot up to {index} for {to} did not arrive: {reason}");
                    Transfer::Failed
                }
            };
            // It may never have been made.
            let _ = fs::remove_file(&file);
            // If the loop has ended, nobody wants to know.
            let _ = events.send(Event::SnapshotSent(sending, transfer));
        };
        let thread = thread::Builder::new().name(format!("snapshot for {}", order.to()));
        let spawned = thread.spawn(work);
        if let Err(error) = &spawned {
            log::error!("cannot start a thread to send a snapshot: {error}");
            self.ended(&order);
        }
        spawned.is_ok()
    }

    /// A transfer has ended.
    pub(super) fn ended(&mut self, order: &SnapshotOrder) {
        self.under_way.retain(|(under_way, _)| under_way != order);
    }

    /// The last index that no server needs which is about to receive a snapshot; `None` if none is.
    pub(super) fn needed_from(&self) -> Option<Index> {
        self.under_way.iter().map(|&(_, index)| index).min()
    }
}

/// Sends it; returns how many bytes it has.
fn send(
    identity: &Identity,
    address: &str,
    limits: &Limits,
    order: &SnapshotOrder,
    view: &View,
    path: &Path,
) -> Result<u64, String> {
    let message = order.message(view.applied(), view.applied_term(), Bytes::new());
    // Before the connection is made, which would be given up if nothing came over it for long.
    let bytes = view.write_image(path)?.bytes();
    let mut sender = SnapshotSender::open(identity, order.to(), address, limits, labgob::encode(&message))
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
            Err(SnapshotError::Judged(verdict)) => return judged(verdict, bytes),
            Err(SnapshotError::Wire(error)) => return Err(error.to_string()),
        }
    }
    judged(sender.finish(CHECK_WITHIN).map_err(|error| error.to_string())?, bytes)
}

fn judged(verdict: Verdict, bytes: u64) -> Result<u64, String> {
    match verdict {
        Verdict::Accepted(_) => Ok(bytes),
        Verdict::Refused(reason) => Err(reason),
    }
}

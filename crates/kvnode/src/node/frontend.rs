//! The handler of incoming requests and messages, on the threads of their connections. It hands most of them to the
//! loop unchanged. It first writes a snapshot to a file beside the store and checks it.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, SyncSender};

use bytes::Bytes;
use parking_lot::Mutex;
use raft::rawnode::{Body, Message};
use raftapi::{Index, ServerId};

use super::backup::Backups;
use super::command::Write;
use super::event::{Event, ReceivedSnapshot};
use super::greeting::Envelope;
use super::snapshot_files;
use crate::storage::{Image, Storage, private};
use crate::wire::{ClientReply, ClientRequest, Handler, ReplyTo, SnapshotChunks, Verdict};

/// Passes incoming requests and messages to the loop.
pub(super) struct RequestFrontend {
    events: SyncSender<Event>,
    /// The highest index that this server knows to be committed.
    committed: Arc<AtomicU64>,
    /// The file for an incoming snapshot. The lock admits one snapshot at a time.
    incoming: Mutex<PathBuf>,
    backups: Backups,
}

impl RequestFrontend {
    pub(super) fn new(
        events: SyncSender<Event>,
        committed: Arc<AtomicU64>,
        storage: Storage,
        data: &Path,
    ) -> RequestFrontend {
        let incoming = Mutex::new(snapshot_files::incoming(data));
        RequestFrontend { events, committed, incoming, backups: Backups::new(storage, data) }
    }

    /// Sends an event to the loop. If the loop has ended, the connections are about to end too, and the event is
    /// dropped.
    fn send_event(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Writes a snapshot to `file` and hands it to the loop. Returns when the file is no longer needed.
    fn receive(&self, envelope: Envelope, file: &Path, chunks: &mut SnapshotChunks<'_>) -> Result<(), String> {
        write_chunks(file, chunks)?;
        let image = Image::check(file)?;
        if snapshot_position(&envelope.message) != Some((image.last_included_index(), image.last_included_term())) {
            return Err("the snapshot's data does not match its description".to_string());
        }
        let (file_in_use, file_released) = mpsc::channel();
        self.send_event(Event::SnapshotReceived(ReceivedSnapshot { envelope, image, _file_in_use: file_in_use }));
        // No value is ever sent. `recv` returns when the sender is dropped.
        let _ = file_released.recv();
        Ok(())
    }
}

impl Handler for RequestFrontend {
    fn peer_message(&self, from: ServerId, message: Bytes) {
        match labgob::decode::<Envelope>(&message) {
            // A snapshot without its data is not valid here; it must come over a snapshot connection.
            Ok(envelope) if snapshot_position(&envelope.message).is_some() => {
                log::warn!("{from} sent a snapshot on its connection for messages")
            }
            Ok(envelope) if envelope.message.from == from => self.send_event(Event::Message(envelope)),
            Ok(envelope) => log::warn!("{from} sent a message in the name of {}", envelope.message.from),
            Err(error) => log::warn!("{from} sent bytes that are not a message: {error}"),
        }
    }

    fn client_request(&self, request: ClientRequest, reply: ReplyTo) {
        match request {
            ClientRequest::Get { key } => self.send_event(Event::Get(key, reply)),
            ClientRequest::Write { client, seq, key, op, value } => {
                self.send_event(Event::Write(Write { client, seq, key, op, value }, reply));
            }
            ClientRequest::Admin(request) => reply.send(match self.backups.piece(&request) {
                Ok(piece) => ClientReply::Admin(piece),
                Err(reason) => ClientReply::Refused(reason),
            }),
            ClientRequest::Status => self.send_event(Event::Status(reply)),
        }
    }

    fn snapshot(&self, from: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict {
        let envelope = match labgob::decode::<Envelope>(&meta) {
            Ok(envelope) if envelope.message.from == from => envelope,
            _ => return Verdict::Refused("the snapshot has no valid description".to_string()),
        };
        let Some((index, _)) = snapshot_position(&envelope.message) else {
            return Verdict::Refused("the description is not that of a snapshot".to_string());
        };
        let committed = Index(self.committed.load(Relaxed));
        if index <= committed {
            // Without the data the node rejects the snapshot, and its reply tells the leader this server's index.
            self.send_event(Event::Message(envelope));
            return Verdict::Refused(format!("this server already has everything up to {committed}"));
        }
        let Some(file) = self.incoming.try_lock() else {
            return Verdict::Refused("another snapshot is in flight".to_string());
        };
        let received = self.receive(envelope, &file, chunks);
        // The file may not exist.
        let _ = fs::remove_file(&*file);
        match received {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(reason) => Verdict::Refused(reason),
        }
    }
}

/// Returns the last included index and term of an InstallSnapshot message.
fn snapshot_position(message: &Message) -> Option<(Index, raftapi::Term)> {
    match &message.body {
        Body::InstallSnapshot { args, .. } => Some((args.last_included_index, args.last_included_term)),
        _ => None,
    }
}

/// Writes the chunks to a file and syncs it.
fn write_chunks(path: &Path, chunks: &mut SnapshotChunks<'_>) -> Result<(), String> {
    let on_disk = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(private::create(path).map_err(on_disk)?);
    while let Some(chunk) = chunks.next().map_err(|error| error.to_string())? {
        file.write_all(&chunk).map_err(on_disk)?;
    }
    file.into_inner().map_err(|error| on_disk(error.into_error()))?.sync_all().map_err(on_disk)
}

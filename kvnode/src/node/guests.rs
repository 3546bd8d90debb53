//! What comes over the connections, on their threads: most of it is handed to the loop as it is; a snapshot is first
//! collected and checked, in a file beside the store.

use std::fs::{self, File};
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

use super::command::Write;
use super::event::{Event, Received};
use super::side_files;
use crate::storage::Image;
use crate::wire::{ClientReply, ClientRequest, Handler, ReplyTo, SnapshotChunks, Verdict};

/// Hands over to the loop.
pub(super) struct Guests {
    events: SyncSender<Event>,
    /// How far this server knows to be committed.
    committed: Arc<AtomicU64>,
    /// Where a snapshot is collected; one at a time.
    incoming: Mutex<PathBuf>,
}

impl Guests {
    pub(super) fn new(events: SyncSender<Event>, committed: Arc<AtomicU64>, data: &Path) -> Guests {
        Guests { events, committed, incoming: Mutex::new(side_files::incoming(data)) }
    }

    /// Tells the loop. If that has ended, the connections are about to, too.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Collects a snapshot and hands it over; returns when the file is not needed any more.
    fn receive(&self, message: Message, file: &Path, chunks: &mut SnapshotChunks<'_>) -> Result<(), String> {
        collect(file, chunks)?;
        let image = Image::check(file)?;
        if place(&message) != Some((image.last_included_index(), image.last_included_term())) {
            return Err("the snapshot is another one than it says".to_string());
        }
        let (in_use, free) = mpsc::channel();
        self.tell(Event::SnapshotReceived(Received { message, image, _in_use: in_use }));
        // Nothing is ever sent: this ends when the other half is dropped.
        let _ = free.recv();
        Ok(())
    }
}

impl Handler for Guests {
    fn peer_message(&self, from: ServerId, message: Bytes) {
        match labgob::decode::<Message>(&message) {
            // Without its content it is none.
            Ok(message) if place(&message).is_some() => log::warn!("{from} sends a snapshot among its messages"),
            Ok(message) if message.from == from => self.tell(Event::Message(message)),
            Ok(message) => log::warn!("{from} sends a message as if it were {}", message.from),
            Err(error) => log::warn!("{from} sends what is no message: {error}"),
        }
    }

    fn client_request(&self, request: ClientRequest, reply: ReplyTo) {
        match request {
            ClientRequest::Get { key } => self.tell(Event::Get(key, reply)),
            ClientRequest::Write { client, seq, key, op, value } => {
                self.tell(Event::Write(Write { client, seq, key, op, value }, reply));
            }
            ClientRequest::Status => self.tell(Event::Status(reply)),
            _ => reply.send(ClientReply::Refused("this server does not know such a request".to_string())),
        }
    }

    fn snapshot(&self, from: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict {
        let message = match labgob::decode::<Message>(&meta) {
            Ok(message) if message.from == from => message,
            _ => return Verdict::Refused("the snapshot does not say what it is".to_string()),
        };
        let Some((index, _)) = place(&message) else {
            return Verdict::Refused("this is no snapshot".to_string());
        };
        let committed = Index(self.committed.load(Relaxed));
        if index <= committed {
            // The node will find it of no use without its content, and tells the leader how far this server is.
            self.tell(Event::Message(message));
            return Verdict::Refused(format!("everything up to {committed} is here already"));
        }
        let Some(file) = self.incoming.try_lock() else {
            return Verdict::Refused("another snapshot is just arriving".to_string());
        };
        let received = self.receive(message, &file, chunks);
        // It may never have been made.
        let _ = fs::remove_file(&*file);
        match received {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(reason) => Verdict::Refused(reason),
        }
    }
}

/// Which entry a snapshot covers last.
fn place(message: &Message) -> Option<(Index, raftapi::Term)> {
    match &message.body {
        Body::InstallSnapshot { args, .. } => Some((args.last_included_index, args.last_included_term)),
        _ => None,
    }
}

/// Writes the pieces into a file.
fn collect(path: &Path, chunks: &mut SnapshotChunks<'_>) -> Result<(), String> {
    let on_disk = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(File::create(path).map_err(on_disk)?);
    while let Some(chunk) = chunks.next().map_err(|error| error.to_string())? {
        file.write_all(&chunk).map_err(on_disk)?;
    }
    file.into_inner().map_err(|error| on_disk(error.into_error()))?.sync_all().map_err(on_disk)
}

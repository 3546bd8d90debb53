//! The sessions of admitted connections: a client, or another server with messages or with a snapshot. A session lasts
//! until the other side leaves or breaks a rule.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use super::frame::{self, FrameReader};
use super::hello::{Introduction, Purpose};
use super::hello_reply::hello_reply;
use super::listener_context::ListenerContext;
use super::messages::{ClientReply, PeerFrame, Request, ServerMessage, SnapshotFrame};
use super::noise::SealedConnection;
use super::outbox::Outbox;
use super::snapshot::SnapshotChunks;
use super::socket::{TimedReader, close_gracefully, write_with_timeout};
use super::{Handler, Limits, ReplyTo, WireError};

/// The bytes of output for a client that are collected before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// Serves a client.
pub(crate) fn serve_client<H: Handler>(
    stream: &Arc<TcpStream>,
    address: SocketAddr,
    mut reader: FrameReader<TimedReader>,
    outbox: &Arc<Outbox>,
    context: &ListenerContext<H>,
) {
    let limits = &context.limits;
    let writer = {
        let (stream, outbox, limits) = (Arc::clone(stream), Arc::clone(outbox), *limits);
        let thread = thread::Builder::new().name(format!("reply {address}"));
        thread.spawn(move || write_replies(&stream, &outbox, &limits))
    };
    let Ok(writer) = writer else {
        log::error!("{address}: refused: cannot start a thread");
        return;
    };
    if write_with_timeout(stream, &hello_reply(""), limits.frame).is_ok() {
        log::debug!("{address}: a client has connected");
        match read_requests(&mut reader, outbox, context) {
            Ok(()) => outbox.close(None),
            Err(error) if error.needs_no_reason() => {
                log::debug!("{address}: the client has left: {error}");
                outbox.close(None);
            }
            Err(error) => {
                context.warnings.warn(format_args!("{address}: the client is disconnected: {error}"));
                outbox.close(Some(error.to_string()));
            }
        }
    } else {
        outbox.close(None);
    }
    let _ = writer.join();
}

fn read_requests<H: Handler>(
    reader: &mut FrameReader<TimedReader>,
    outbox: &Arc<Outbox>,
    context: &ListenerContext<H>,
) -> Result<(), WireError> {
    let limits = &context.limits;
    loop {
        let bytes = match reader.next(limits.request_bytes, limits.idle, limits.frame) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            // The client waits for a reply.
            Err(WireError::TooSlow("the next frame")) if outbox.has_requests_in_flight() => continue,
            Err(error) => return Err(error),
        };
        let Request { id, request } = labgob::decode(bytes)?;
        if !outbox.admit() {
            return Ok(());
        }
        context.handler.client_request(request, ReplyTo::new(Arc::clone(outbox), id));
    }
}

/// Runs the writer thread of a client. When it ends, the connection ends.
fn write_replies(stream: &TcpStream, outbox: &Outbox, limits: &Limits) {
    let mut out = Vec::new();
    while let Some(replies) = outbox.take() {
        let mut count = 0;
        for reply in &replies {
            count += 1;
            put_reply(&mut out, reply, limits);
            let last = count == replies.len();
            if last || out.len() >= WRITE_BYTES {
                if let Err(error) = write_with_timeout(stream, &out, limits.frame) {
                    log::debug!("a client does not read its replies: {error}");
                    outbox.close(None);
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                out.clear();
                out.shrink_to(WRITE_BYTES);
            }
        }
        outbox.mark_written(replies.len());
        if let Some(ServerMessage::Closing(_)) = replies.last() {
            break;
        }
    }
    close_gracefully(stream);
}

fn put_reply(out: &mut Vec<u8>, reply: &ServerMessage, limits: &Limits) {
    if let ServerMessage::Reply { id, reply: ClientReply::Value(Some(value)) } = reply
        && value.len() > limits.reply_bytes.saturating_sub(super::messages::OVERHEAD_BYTES)
    {
        let reason = format!("the value has {} bytes, but the limit of a reply is {}", value.len(), limits.reply_bytes);
        return frame::append(out, &ServerMessage::Reply { id: *id, reply: ClientReply::Refused(reason) });
    }
    frame::append(out, reply);
}

/// Serves another server.
pub(crate) fn serve_server<H: Handler>(
    address: SocketAddr,
    introduction: &Introduction,
    mut sealed: SealedConnection,
    context: &ListenerContext<H>,
) {
    let Introduction { from, purpose, .. } = introduction;
    log::debug!("{address}: {from} has connected, for {}", purpose.name());
    let served = match purpose {
        Purpose::Messages => serve_messages(introduction, &mut sealed, context),
        Purpose::Snapshot => receive_snapshot(introduction, &mut sealed, context),
    };
    match served {
        Ok(()) => log::debug!("{address}: {from} has finished with {}", purpose.name()),
        Err(error) if error.needs_no_reason() => log::debug!("{address}: {from} has left: {error}"),
        Err(error) => context.warnings.warn(format_args!("{address}: {from} is disconnected: {error}")),
    }
}

fn serve_messages<H: Handler>(
    introduction: &Introduction,
    sealed: &mut SealedConnection,
    context: &ListenerContext<H>,
) -> Result<(), WireError> {
    let limits = &context.limits;
    let limit = limits.message_bytes + super::messages::OVERHEAD_BYTES;
    while let Some(bytes) = sealed.reader.next(limit, limits.silence, limits.frame)? {
        match labgob::decode(bytes)? {
            PeerFrame::Message(message) => context.handler.peer_message(introduction.from, message),
            PeerFrame::Ping => sealed.writer.write_frame(&PeerFrame::Pong)?,
            PeerFrame::Pong => return Err(WireError::Protocol("it sent a pong without a ping".into())),
        }
    }
    Ok(())
}

fn receive_snapshot<H: Handler>(
    introduction: &Introduction,
    sealed: &mut SealedConnection,
    context: &ListenerContext<H>,
) -> Result<(), WireError> {
    let limits = &context.limits;
    let limit = limits.chunk_bytes + super::messages::OVERHEAD_BYTES;
    let first = sealed.reader.next(limit, limits.silence, limits.frame)?.ok_or(WireError::Closed)?;
    let SnapshotFrame::Meta(meta) = labgob::decode::<SnapshotFrame>(first)? else {
        return Err(WireError::Protocol("its snapshot does not begin with a description".into()));
    };
    let mut chunks = SnapshotChunks::new(&mut sealed.reader, limits);
    let verdict = context.handler.snapshot(introduction.from, meta, &mut chunks);
    let broken = chunks.broken();
    if broken {
        return Err(WireError::Protocol("its snapshot is incomplete".into()));
    }
    sealed.writer.write_frame(&SnapshotFrame::Verdict(verdict))?;
    close_gracefully(sealed.writer.stream());
    Ok(())
}

//! Those who were let in: a client, or another server with messages or with a snapshot. Each is served until it leaves, or
//! breaks a rule.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use super::frame::{self, FrameReader};
use super::hello::{self, Introduction, Purpose};
use super::listener::House;
use super::messages::{ClientReply, FromServer, PeerFrame, Request, SnapshotFrame};
use super::noise::Sealed;
use super::outbox::Outbox;
use super::snapshot::SnapshotChunks;
use super::socket::{TimedReader, part, write_within};
use super::{Handler, Limits, ReplyTo, WireError};

/// How much output for a client is collected before it is written.
const WRITE_BYTES: usize = 256 << 10;

/// Serves a client.
pub(crate) fn client<H: Handler>(
    stream: &Arc<TcpStream>,
    address: SocketAddr,
    mut reader: FrameReader<TimedReader>,
    outbox: &Arc<Outbox>,
    house: &House<H>,
) {
    let limits = &house.limits;
    let writer = {
        let (stream, outbox, limits) = (Arc::clone(stream), Arc::clone(outbox), *limits);
        let thread = thread::Builder::new().name(format!("reply {address}"));
        thread.spawn(move || write_replies(&stream, &outbox, &limits))
    };
    let Ok(writer) = writer else {
        log::error!("{address} is turned away: there is no thread for it");
        return;
    };
    if write_within(stream, &hello::answer(""), limits.frame).is_ok() {
        log::debug!("{address}: a client has connected");
        match read_requests(&mut reader, outbox, house) {
            Ok(()) => outbox.close(None),
            Err(error) if error.is_farewell() => {
                log::debug!("{address}: the client is gone: {error}");
                outbox.close(None);
            }
            Err(error) => {
                log::warn!("{address}: the client is disconnected: {error}");
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
    house: &House<H>,
) -> Result<(), WireError> {
    let limits = &house.limits;
    loop {
        let bytes = match reader.next(limits.request_bytes, limits.idle, limits.frame) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            // It waits for us.
            Err(WireError::TooSlow("the next frame")) if outbox.is_busy() => continue,
            Err(error) => return Err(error),
        };
        let Request { id, request } = labgob::decode(bytes)?;
        if !outbox.begin() {
            return Ok(());
        }
        house.handler.client_request(request, ReplyTo::new(Arc::clone(outbox), id));
    }
}

/// The writer thread of a client. When it ends, so does the connection.
fn write_replies(stream: &TcpStream, outbox: &Outbox, limits: &Limits) {
    let mut out = Vec::new();
    while let Some(replies) = outbox.take() {
        let mut count = 0;
        for reply in &replies {
            count += 1;
            put_reply(&mut out, reply, limits);
            let last = count == replies.len();
            if last || out.len() >= WRITE_BYTES {
                if let Err(error) = write_within(stream, &out, limits.frame) {
                    log::debug!("a client does not take its replies: {error}");
                    outbox.close(None);
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                out.clear();
                out.shrink_to(WRITE_BYTES);
            }
        }
        outbox.written(replies.len());
        if let Some(FromServer::Bye(_)) = replies.last() {
            break;
        }
    }
    part(stream);
}

fn put_reply(out: &mut Vec<u8>, reply: &FromServer, limits: &Limits) {
    if let FromServer::Reply { id, reply: ClientReply::Value(Some(value)) } = reply
        && value.len() > limits.reply_bytes.saturating_sub(super::messages::OVERHEAD_BYTES)
    {
        let reason = format!("the value has {} bytes, and a reply {} at most", value.len(), limits.reply_bytes);
        return frame::put(out, &FromServer::Reply { id: *id, reply: ClientReply::Refused(reason) });
    }
    frame::put(out, reply);
}

/// Serves another server.
pub(crate) fn server<H: Handler>(
    address: SocketAddr,
    introduction: &Introduction,
    mut sealed: Sealed,
    house: &House<H>,
) {
    let Introduction { from, purpose, .. } = introduction;
    log::debug!("{address}: {from} has connected, for {}", purpose.name());
    let served = match purpose {
        Purpose::Messages => messages(introduction, &mut sealed, house),
        Purpose::Snapshot => snapshot(introduction, &mut sealed, house),
    };
    match served {
        Ok(()) => log::debug!("{address}: {from} is done with {}", purpose.name()),
        Err(error) if error.is_farewell() => log::debug!("{address}: {from} is gone: {error}"),
        Err(error) => log::warn!("{address}: {from} is disconnected: {error}"),
    }
}

fn messages<H: Handler>(introduction: &Introduction, sealed: &mut Sealed, house: &House<H>) -> Result<(), WireError> {
    let limits = &house.limits;
    let most = limits.message_bytes + super::messages::OVERHEAD_BYTES;
    while let Some(bytes) = sealed.reader.next(most, limits.silence, limits.frame)? {
        match labgob::decode(bytes)? {
            PeerFrame::Message(message) => house.handler.peer_message(introduction.from, message),
            PeerFrame::Ping => sealed.writer.write_frame(&PeerFrame::Pong)?,
            PeerFrame::Pong => return Err(WireError::Protocol("it answers what it was not asked".into())),
        }
    }
    Ok(())
}

fn snapshot<H: Handler>(introduction: &Introduction, sealed: &mut Sealed, house: &House<H>) -> Result<(), WireError> {
    let limits = &house.limits;
    let most = limits.chunk_bytes + super::messages::OVERHEAD_BYTES;
    let first = sealed.reader.next(most, limits.silence, limits.frame)?.ok_or(WireError::Closed)?;
    let SnapshotFrame::Meta(meta) = labgob::decode::<SnapshotFrame>(first)? else {
        return Err(WireError::Protocol("its snapshot does not begin with what it is".into()));
    };
    let mut chunks = SnapshotChunks::new(&mut sealed.reader, limits);
    let verdict = house.handler.snapshot(introduction.from, meta, &mut chunks);
    let broken = chunks.broken();
    if broken {
        return Err(WireError::Protocol("its snapshot ended before its end".into()));
    }
    sealed.writer.write_frame(&SnapshotFrame::Verdict(verdict))?;
    part(sealed.writer.stream());
    Ok(())
}

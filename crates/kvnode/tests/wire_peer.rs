//! Connections between servers: authentication, refusals and their reasons, reconnecting links, snapshots, partitions.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kvnode::proxy::{Mesh, Proxy, ProxyMode};
use kvnode::wire::{
    Identity, Limits, LinkChange, Listener, PeerLink, Secret, SnapshotError, SnapshotSender, Verdict, WireError,
};
use parking_lot::Mutex;
use raftapi::ServerId;
use support::{HandlerState, TIMEOUT, eventually, identity, listen, text, wait_for_log};

/// Limits with which an unreachable server is noticed soon.
fn quick() -> Limits {
    Limits { ping: Duration::from_millis(50), silence: Duration::from_secs(1), ..Limits::default() }
}

type Changes = Arc<Mutex<Vec<LinkChange>>>;

fn start_link(identity: Identity, to: usize, address: impl ToString, limits: Limits) -> (PeerLink, Changes) {
    let changes = Changes::default();
    let seen = Arc::clone(&changes);
    let link =
        PeerLink::start(identity, ServerId(to), address.to_string(), limits, move |_, change| seen.lock().push(change));
    (link, changes)
}

/// Sends `message` until it has arrived, as Raft does.
fn send_until_received(link: &PeerLink, state: &HandlerState, message: &str) {
    eventually(&format!("{message} has arrived"), || {
        link.send(Bytes::copy_from_slice(message.as_bytes()));
        state.messages.lock().iter().any(|(_, came)| came == message)
    });
}

/// Returns the result of a snapshot transfer without chunks: the shortest way to see a handshake from both sides.
fn try_handshake(identity: &Identity, to: usize, listener: &Listener) -> Result<Verdict, WireError> {
    let address = listener.address().to_string();
    let sender = SnapshotSender::open(identity, ServerId(to), &address, &Limits::default(), "meta".into())?;
    sender.finish(TIMEOUT)
}

#[test]
fn messages_arrive_whole_in_order_and_with_their_sender() {
    let (listener, state) = listen(0, 3, Limits::default());
    let (link, changes) = start_link(identity(1, 3), 0, listener.address(), Limits::default());
    eventually("the link is up", || link.is_up());
    let sent: Vec<Bytes> = (0..1000_usize).map(|n| vec![n as u8; n * 7 % 3000].into()).collect();
    for message in &sent {
        assert!(link.send(message.clone()), "the queue has room for a thousand messages");
    }
    // This message is longer than a record and than the buffers.
    let long: Bytes = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into();
    assert!(link.send(long.clone()));
    eventually("all have arrived", || state.messages.lock().len() == sent.len() + 1);
    let came = std::mem::take(&mut *state.messages.lock());
    assert!(came.iter().all(|(from, _)| *from == ServerId(1)));
    assert!(came.iter().map(|(_, message)| message).eq(sent.iter().chain([&long])), "the same, in the same order");
    assert_eq!(link.stats().sent, 1001);
    assert_eq!(*changes.lock(), [LinkChange::Up]);
    link.stop();
    listener.stop();
}

#[test]
fn a_server_of_another_cluster_is_refused() {
    let (listener, state) = listen(0, 3, Limits::default());
    let good = identity(1, 3);
    let stranger = Secret::new(b"another secret of the same length").expect("the secret is long enough");
    let cases = [
        (Identity { secret: stranger, ..good.clone() }, 0, "does not know this cluster's secret"),
        (Identity { cluster: "others".into(), ..good.clone() }, 0, "belongs to another"),
        (Identity { me: ServerId(3), servers: 4, ..good.clone() }, 0, "S0 to S2 only"),
        (Identity { me: ServerId(0), ..good.clone() }, 0, "two servers have the same id"),
        (good.clone(), 2, "the addresses of the cluster are mixed up"),
    ];
    for (identity, to, reason) in cases {
        match try_handshake(&identity, to, &listener) {
            Err(WireError::Refused(why)) => assert!(why.contains(reason), "{why}"),
            other => panic!("the server should be refused because {reason}: {other:?}"),
        }
    }
    assert!(state.snapshots.lock().is_empty(), "no refused server reached the handler");
    assert_eq!(try_handshake(&good, 0, &listener).expect("this server is admitted"), Verdict::Accepted("meta".into()));
    listener.stop();
}

#[test]
fn a_server_without_the_secret_is_not_trusted() {
    // The impostor welcomes every connection, and replies to a handshake with random-looking bytes.
    let impostor = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = impostor.local_addr().expect("an address").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = impostor.accept().expect("a connection");
        let mut hello = [0; 64];
        let _ = stream.read(&mut hello);
        let mut answer = b"kvnode\x00\x01\x00\x00\x00\x00".to_vec();
        answer.extend_from_slice(&48_u32.to_be_bytes());
        answer.extend_from_slice(&[7; 48]);
        stream.write_all(&answer).expect("the other side reads");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let opened = SnapshotSender::open(&identity(1, 3), ServerId(0), &address, &Limits::default(), "meta".into());
    let error = opened.expect_err("the impostor must not be trusted").to_string();
    assert!(error.contains("does not know this cluster's secret"), "{error}");
    thread.join().expect("the impostor ends");
}

#[test]
fn either_side_refuses_another_version_and_names_both() {
    let (listener, _) = listen(0, 3, Limits::default());
    let mut stream = TcpStream::connect(listener.address()).expect("the server listens");
    stream.write_all(b"kvnode\x00\x63").expect("the other side reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a reply");
    assert!(text(&answer).contains("version 99") && text(&answer).contains("version 1"), "{}", text(&answer));

    let newer = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = newer.local_addr().expect("an address").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = newer.accept().expect("a connection");
        let _ = stream.read(&mut [0; 64]);
        stream.write_all(b"kvnode\x00\x63\x00\x00\x00\x04text").expect("the other side reads");
    });
    let error =
        kvnode::wire::Connection::open(&address, &Limits::default()).expect_err("the server is newer").to_string();
    assert!(error.contains("version 99") && error.contains("same build"), "{error}");
    thread.join().expect("the newer server ends");
    listener.stop();
}

/// Forwards between two servers and records the bytes that the first one sends.
fn recorder(target: std::net::SocketAddr) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<u8>>) {
    let tap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = tap.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let (near, _) = tap.accept().expect("a connection");
        let far = TcpStream::connect(target).expect("the server listens");
        let (mut near_back, mut far_back) =
            (near.try_clone().expect("a second handle"), far.try_clone().expect("a second handle"));
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut far_back, &mut near_back);
            let _ = near_back.shutdown(Shutdown::Both);
        });
        let (mut recording, mut near, mut far) = (Vec::new(), near, far);
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = near.read(&mut buffer) {
            recording.extend_from_slice(&buffer[..read]);
            if far.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = far.shutdown(Shutdown::Both);
        back.join().expect("the thread ends");
        recording
    });
    (address, thread)
}

/// Returns the length of the greeting and of the first handshake message in the recorded bytes of a server.
fn opening_length(recording: &[u8]) -> usize {
    let mut at = 8;
    for _ in 0..2 {
        at += 4 + u32::from_be_bytes(recording[at..at + 4].try_into().expect("four bytes")) as usize;
    }
    at
}

/// The length of the reply: version, welcome, and the second message of the handshake.
const REPLY_BYTES: usize = 8 + 4 + 4 + 48;

#[test]
fn a_recorded_connection_cannot_be_replayed() {
    let (listener, state) = listen(0, 3, Limits::default());
    let (address, recorded) = recorder(listener.address());
    let (link, _) = start_link(identity(1, 3), 0, address, Limits::default());
    send_until_received(&link, &state, "pay 100");
    link.stop();
    let recording = recorded.join().expect("the recorder ends");
    let before = state.messages.lock().len();

    // The real server is connected meanwhile. A replay of its bytes must not close its connection.
    let (real_link, changes) = start_link(identity(1, 3), 0, listener.address(), Limits::default());
    eventually("the link is up", || real_link.is_up());
    // The server replies to the greeting and to the first handshake message, but the author of the replay cannot use
    // the later records.
    let opening = opening_length(&recording);
    for cut in [recording.len(), recording.len() - 1, opening + 1, opening] {
        let mut stream = TcpStream::connect(listener.address()).expect("the server listens");
        stream.write_all(&recording[..opening]).expect("the other side reads");
        let mut answer = [0; REPLY_BYTES];
        stream.read_exact(&mut answer).expect("a replayed first message gets a reply");
        let _ = stream.write_all(&recording[opening..cut]);
        let _ = stream.shutdown(Shutdown::Write);
        let address = stream.local_addr().expect("an address");
        let _ = stream.read_to_end(&mut Vec::new());
        if cut > opening + 1 {
            wait_for_log(address, "a record has a wrong seal");
        }
    }
    // The whole recording in one write.
    let mut stream = TcpStream::connect(listener.address()).expect("the server listens");
    let _ = stream.write_all(&recording);
    wait_for_log(stream.local_addr().expect("an address"), "it sent more data before the reply");
    assert_eq!(state.messages.lock().len(), before, "no replayed message reached the handler");
    send_until_received(&real_link, &state, "still connected");
    assert_eq!(*changes.lock(), [LinkChange::Up], "the link of the real server was never down");
    real_link.stop();
    listener.stop();
}

#[test]
fn a_modified_record_ends_the_connection() {
    let (listener, state) = listen(0, 3, Limits::default());
    let target = listener.address();
    let tap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = tap.local_addr().expect("an address");
    // Flips a bit in every read after the first kilobyte, on the first connection only.
    let thread = std::thread::spawn(move || {
        let (mut near, _) = tap.accept().expect("a connection");
        let mut far = TcpStream::connect(target).expect("the server listens");
        let (mut near_back, mut far_back) =
            (near.try_clone().expect("a second handle"), far.try_clone().expect("a second handle"));
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut far_back, &mut near_back);
            let _ = near_back.shutdown(Shutdown::Both);
        });
        let (mut seen, mut buffer) = (0, [0; 4096]);
        while let Ok(read @ 1..) = near.read(&mut buffer) {
            if seen + read > 1024 {
                buffer[read - 1] ^= 1;
            }
            seen += read;
            if far.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = far.shutdown(Shutdown::Both);
        back.join().expect("the thread ends");
    });
    let (link, changes) = start_link(identity(1, 3), 0, address, Limits::default());
    send_until_received(&link, &state, "good");
    let message = Bytes::from(vec![b'm'; 2000]);
    assert!(link.send(message.clone()));
    eventually("the link is lost", || changes.lock().iter().any(|change| matches!(change, LinkChange::Down { .. })));
    assert!(!state.messages.lock().iter().any(|(_, came)| came.len() == 2000), "the modified message is not delivered");
    link.stop();
    thread.join().expect("the tap ends");
    listener.stop();
}

#[test]
fn a_link_reconnects_to_a_restarted_server_and_reports_it() {
    let (listener, state) = listen(0, 2, quick());
    let address = listener.address().to_string();
    let (link, changes) = start_link(identity(1, 2), 0, &address, quick());
    send_until_received(&link, &state, "one");
    listener.stop();
    eventually("the link is down", || !link.is_up());
    assert!(!link.send("lost".into()), "a message to an unreachable server is dropped");
    assert!(link.stats().dropped >= 1);
    let server = support::TestHandler::default();
    let state = Arc::clone(&server.0);
    let bound = Listener::bind(&address).expect("the port is free again");
    let listener = bound.serve(identity(0, 2), quick(), server);
    send_until_received(&link, &state, "two");
    assert!(!state.messages.lock().iter().any(|(_, message)| message == "lost"));
    let seen: Vec<bool> = changes.lock().iter().map(|change| *change == LinkChange::Up).collect();
    assert!(seen.len() >= 3 && seen.iter().zip(seen.iter().skip(1)).all(|(a, b)| a != b), "up, down, up: {seen:?}");
    link.stop();
    listener.stop();
}

#[test]
fn a_full_queue_drops_messages_and_never_blocks() {
    // A peer that accepts and never reads would be noticed in the handshake, so this server is stuck in its handler.
    let limits = Limits { queued_messages: 16, queued_bytes: 1 << 20, ..Limits::default() };
    let (listener, state) = listen(0, 2, Limits::default());
    let (link, _) = start_link(identity(1, 2), 0, listener.address(), limits);
    send_until_received(&link, &state, "first");
    let stuck = state.messages.lock();
    let message = Bytes::from(vec![0; 100_000]);
    let mut dropped = 0;
    for _ in 0..1000 {
        dropped += usize::from(!link.send(message.clone()));
    }
    drop(stuck);
    assert!(dropped > 0, "a hundred megabytes do not fit into the queue");
    assert!(link.stats().dropped >= dropped as u64);
    send_until_received(&link, &state, "last");
    let too_long = Bytes::from(vec![0; limits.message_bytes + 1]);
    assert!(!link.send(too_long), "the message is above the limit");
    link.stop();
    listener.stop();
}

#[test]
fn a_new_connection_of_a_server_closes_its_old_one() {
    let (listener, state) = listen(0, 2, Limits::default());
    let (old, changes) = start_link(identity(1, 2), 0, listener.address(), Limits::default());
    send_until_received(&old, &state, "old");
    let (new, _) = start_link(identity(1, 2), 0, listener.address(), Limits::default());
    eventually("the old link is down", || changes.lock().len() > 1);
    old.stop();
    send_until_received(&new, &state, "new");
    new.stop();
    listener.stop();
}

fn sender(listener: &Listener, limits: &Limits) -> SnapshotSender {
    let address = listener.address().to_string();
    SnapshotSender::open(&identity(1, 2), ServerId(0), &address, limits, "index 7".into())
        .expect("the server is admitted")
}

#[test]
fn a_snapshot_arrives_whole_and_gets_a_verdict() {
    let limits = Limits::default();
    let (listener, state) = listen(0, 2, limits);
    let mut sender = sender(&listener, &limits);
    let chunk: Bytes = (0..limits.chunk_bytes).map(|n| n as u8).collect::<Vec<u8>>().into();
    for _ in 0..10 {
        sender.push(chunk.clone()).expect("the chunk is accepted");
    }
    sender.push(Bytes::new()).expect("a chunk may be empty");
    assert_eq!(sender.finish(TIMEOUT).expect("a verdict"), Verdict::Accepted("index 7".into()));
    let snapshots = state.snapshots.lock();
    let [(from, meta, Ok(bytes))] = &snapshots[..] else { panic!("one complete snapshot has arrived") };
    assert_eq!((*from, &meta[..]), (ServerId(1), &b"index 7"[..]));
    assert!(bytes.len() == 10 * chunk.len() && bytes.chunks(chunk.len()).all(|part| part == chunk));
    drop(snapshots);
    listener.stop();
}

#[test]
fn an_unwanted_snapshot_is_refused_before_its_end() {
    let (listener, state) = listen(0, 2, Limits::default());
    *state.refuse_snapshot_after.lock() = Some(1);
    let mut sender = sender(&listener, &Limits::default());
    let chunk = Bytes::from(vec![1; 100_000]);
    let refused = loop {
        if let Err(error) = sender.push(chunk.clone()) {
            break error;
        }
    };
    assert!(
        matches!(&refused, SnapshotError::EarlyVerdict(Verdict::Refused(why)) if why == "an old one"),
        "{refused} instead of the verdict"
    );
    listener.stop();
}

#[test]
fn an_aborted_snapshot_is_never_taken_for_a_complete_one() {
    let (listener, state) = listen(0, 2, Limits::default());
    let mut sender = sender(&listener, &Limits::default());
    sender.push("half".into()).expect("the chunk is accepted");
    drop(sender);
    eventually("the handler has seen the end of the snapshot", || !state.snapshots.lock().is_empty());
    assert!(state.snapshots.lock()[0].2.is_err(), "the snapshot is incomplete");
    listener.stop();
}

#[test]
fn heartbeats_pass_while_a_snapshot_is_in_flight() {
    let (listener, state) = listen(0, 2, Limits::default());
    let (link, _) = start_link(identity(1, 2), 0, listener.address(), Limits::default());
    let mut sender = sender(&listener, &Limits::default());
    for n in 0..20 {
        sender.push(vec![0; 1 << 20].into()).expect("the chunk is accepted");
        send_until_received(&link, &state, &format!("heartbeat {n}"));
    }
    assert!(state.snapshots.lock().is_empty(), "the snapshot is not complete yet");
    sender.finish(TIMEOUT).expect("a verdict");
    link.stop();
    listener.stop();
}

#[test]
fn a_link_notices_a_black_hole_and_recovers() {
    let (listener, state) = listen(0, 2, quick());
    let proxy = Proxy::start().expect("a free port");
    proxy.set_target(listener.address());
    let (link, changes) = start_link(identity(1, 2), 0, proxy.address(), quick());
    send_until_received(&link, &state, "before");
    proxy.set_mode(ProxyMode::Blackhole);
    eventually("the silence is noticed", || !link.is_up());
    let silent = |change: &LinkChange| matches!(change, LinkChange::Down { reason } if reason.contains("silent"));
    eventually("the reason is reported", || changes.lock().iter().any(silent));
    proxy.set_mode(ProxyMode::Open);
    send_until_received(&link, &state, "after");
    link.stop();
    proxy.stop();
    listener.stop();
}

#[test]
fn a_mesh_partitions_servers_and_heals() {
    const SERVERS: usize = 3;
    let mesh = Mesh::start(SERVERS).expect("free ports");
    let (listeners, states): (Vec<_>, Vec<_>) = (0..SERVERS).map(|me| listen(me, SERVERS, quick())).unzip();
    for (id, listener) in listeners.iter().enumerate() {
        mesh.set_target(ServerId(id), listener.address());
    }
    let pairs = || (0..SERVERS).flat_map(|from| (0..SERVERS).filter(move |to| *to != from).map(move |to| (from, to)));
    let links: Vec<((usize, usize), PeerLink)> = pairs()
        .map(|(from, to)| {
            let address = mesh.address(ServerId(from), ServerId(to));
            ((from, to), start_link(identity(from, SERVERS), to, address, quick()).0)
        })
        .collect();
    let exchange_messages = |what: &str| {
        for ((from, to), link) in &links {
            send_until_received(link, &states[*to], &format!("{what} {from}->{to}"));
        }
    };
    exchange_messages("whole");
    for cut in [ProxyMode::Severed, ProxyMode::Blackhole] {
        mesh.partition(&[&[ServerId(0), ServerId(1)], &[ServerId(2)]], cut);
        for ((from, to), link) in &links {
            if *from == 2 || *to == 2 {
                eventually("the link across is down", || !link.is_up());
                assert!(!link.send("across".into()));
            }
        }
        for ((from, to), link) in &links {
            if *from != 2 && *to != 2 {
                send_until_received(link, &states[*to], &format!("{cut:?} {from}->{to}"));
            }
        }
        mesh.heal();
        exchange_messages(&format!("healed {cut:?}"));
    }
    assert!(states.iter().all(|state| state.messages.lock().iter().all(|(_, message)| message != "across")));
    drop(links);
    drop(listeners);
}

#[test]
fn a_short_secret_is_refused_and_no_secret_is_shown() {
    let error = Secret::new(b"  short \n").expect_err("the secret is too short");
    assert!(error.contains("5 bytes") && error.contains("openssl rand"), "{error}");
    let shown = format!("{:?}", identity(0, 1));
    assert!(!shown.contains("secret of") && shown.contains("Secret(..)"), "{shown}");
}

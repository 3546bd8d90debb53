//! Servers among themselves: who is let in, what is refused and why, links that come back, snapshots, partitions.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kvnode::proxy::{Mesh, Proxy, Way};
use kvnode::wire::{
    Identity, Limits, Link, LinkChange, Listener, Secret, SnapshotError, SnapshotSender, Verdict, WireError,
};
use parking_lot::Mutex;
use raftapi::ServerId;
use support::{Desk, PATIENCE, eventually, identity, listen, logged, text};

/// Limits under which a server that is away is noticed soon.
fn quick() -> Limits {
    Limits { ping: Duration::from_millis(50), silence: Duration::from_secs(1), ..Limits::default() }
}

type Changes = Arc<Mutex<Vec<LinkChange>>>;

fn link(identity: Identity, to: usize, address: impl ToString, limits: Limits) -> (Link, Changes) {
    let changes = Changes::default();
    let seen = Arc::clone(&changes);
    let link =
        Link::start(identity, ServerId(to), address.to_string(), limits, move |_, change| seen.lock().push(change));
    (link, changes)
}

/// Sends `message` until it has arrived, as Raft does.
fn insist(link: &Link, desk: &Desk, message: &str) {
    eventually(&format!("{message} has arrived"), || {
        link.send(Bytes::copy_from_slice(message.as_bytes()));
        desk.messages.lock().iter().any(|(_, came)| came == message)
    });
}

/// What a connection for a snapshot comes to: the shortest way to see a handshake from both sides.
fn try_handshake(identity: &Identity, to: usize, listener: &Listener) -> Result<Verdict, WireError> {
    let address = listener.address().to_string();
    let sender = SnapshotSender::open(identity, ServerId(to), &address, &Limits::default(), "meta".into())?;
    sender.finish(PATIENCE)
}

#[test]
fn messages_come_whole_in_order_and_from_whom_they_say() {
    let (listener, desk) = listen(0, 3, Limits::default());
    let (link, changes) = link(identity(1, 3), 0, listener.address(), Limits::default());
    eventually("the link is up", || link.is_up());
    let sent: Vec<Bytes> = (0..1000_usize).map(|n| vec![n as u8; n * 7 % 3000].into()).collect();
    for message in &sent {
        assert!(link.send(message.clone()), "there is room for a thousand");
    }
    // Longer than a record, and than the buffers.
    let long: Bytes = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into();
    assert!(link.send(long.clone()));
    eventually("all have arrived", || desk.messages.lock().len() == sent.len() + 1);
    let came = std::mem::take(&mut *desk.messages.lock());
    assert!(came.iter().all(|(from, _)| *from == ServerId(1)));
    assert!(came.iter().map(|(_, message)| message).eq(sent.iter().chain([&long])), "the same, in the same order");
    assert_eq!(link.stats().sent, 1001);
    assert_eq!(*changes.lock(), [LinkChange::Up]);
    link.stop();
    listener.stop();
}

#[test]
fn who_is_not_of_the_cluster_is_not_let_in() {
    let (listener, desk) = listen(0, 3, Limits::default());
    let good = identity(1, 3);
    let stranger = Secret::new(b"another secret of the same length").expect("it is long enough");
    let cases = [
        (Identity { secret: stranger, ..good.clone() }, 0, "does not know this cluster's secret"),
        (Identity { cluster: "others".into(), ..good.clone() }, 0, "of another"),
        (Identity { me: ServerId(3), servers: 4, ..good.clone() }, 0, "S0 to S2 only"),
        (Identity { me: ServerId(0), ..good.clone() }, 0, "two servers have the same id"),
        (good.clone(), 2, "the addresses of the cluster are mixed up"),
    ];
    for (identity, to, reason) in cases {
        match try_handshake(&identity, to, &listener) {
            Err(WireError::Refused(why)) => assert!(why.contains(reason), "{why}"),
            other => panic!("it should be refused because {reason}: {other:?}"),
        }
    }
    assert!(desk.snapshots.lock().is_empty(), "nobody came as far as the handler");
    assert_eq!(try_handshake(&good, 0, &listener).expect("this one is let in"), Verdict::Accepted("meta".into()));
    listener.stop();
}

#[test]
fn a_server_that_does_not_know_the_secret_is_not_believed() {
    // It welcomes everybody, and answers a handshake with something that looks like one.
    let impostor = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = impostor.local_addr().expect("it has an address").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = impostor.accept().expect("somebody comes");
        let mut hello = [0; 64];
        let _ = stream.read(&mut hello);
        let mut answer = b"kvnode\x00\x01\x00\x00\x00\x00".to_vec();
        answer.extend_from_slice(&48_u32.to_be_bytes());
        answer.extend_from_slice(&[7; 48]);
        stream.write_all(&answer).expect("it is read");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let opened = SnapshotSender::open(&identity(1, 3), ServerId(0), &address, &Limits::default(), "meta".into());
    let error = opened.expect_err("it must not be believed").to_string();
    assert!(error.contains("does not know this cluster's secret"), "{error}");
    thread.join().expect("the impostor ends");
}

#[test]
fn another_version_is_refused_by_either_side_with_both_numbers() {
    let (listener, _) = listen(0, 3, Limits::default());
    let mut stream = TcpStream::connect(listener.address()).expect("it listens");
    stream.write_all(b"kvnode\x00\x63").expect("it is read");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(text(&answer).contains("version 99") && text(&answer).contains("version 1"), "{}", text(&answer));

    let newer = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = newer.local_addr().expect("it has an address").to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = newer.accept().expect("somebody comes");
        let _ = stream.read(&mut [0; 64]);
        stream.write_all(b"kvnode\x00\x63\x00\x00\x00\x04text").expect("it is read");
    });
    let error = kvnode::wire::Connection::open(&address, &Limits::default()).expect_err("it is newer").to_string();
    assert!(error.contains("version 99") && error.contains("same build"), "{error}");
    thread.join().expect("the newer server ends");
    listener.stop();
}

/// Stands between two servers and keeps what the first one says.
fn recorder(target: std::net::SocketAddr) -> (std::net::SocketAddr, std::thread::JoinHandle<Vec<u8>>) {
    let tap = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = tap.local_addr().expect("it has an address");
    let thread = std::thread::spawn(move || {
        let (near, _) = tap.accept().expect("somebody comes");
        let far = TcpStream::connect(target).expect("the server listens");
        let (mut near_back, mut far_back) = (near.try_clone().expect("two"), far.try_clone().expect("two"));
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut far_back, &mut near_back);
            let _ = near_back.shutdown(Shutdown::Both);
        });
        let (mut said, mut near, mut far) = (Vec::new(), near, far);
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = near.read(&mut buffer) {
            said.extend_from_slice(&buffer[..read]);
            if far.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = far.shutdown(Shutdown::Both);
        back.join().expect("it ends");
        said
    });
    (address, thread)
}

/// The bytes of the greeting and of the first message of the handshake, in all that a server has said.
fn opening_bytes(said: &[u8]) -> usize {
    let mut at = 8;
    for _ in 0..2 {
        at += 4 + u32::from_be_bytes(said[at..at + 4].try_into().expect("four bytes")) as usize;
    }
    at
}

/// The bytes of the answer: version, welcome, and the second message of the handshake.
const ANSWER_BYTES: usize = 8 + 4 + 4 + 48;

#[test]
fn a_recorded_conversation_cannot_be_played_again() {
    let (listener, desk) = listen(0, 3, Limits::default());
    let (address, recorded) = recorder(listener.address());
    let (link, _) = link(identity(1, 3), 0, address, Limits::default());
    insist(&link, &desk, "pay 100");
    link.stop();
    let said = recorded.join().expect("the recorder ends");
    let before = desk.messages.lock().len();

    // The true server is connected meanwhile; who repeats its words must not push it out.
    let (true_link, changes) = self::link(identity(1, 3), 0, listener.address(), Limits::default());
    eventually("the link is up", || true_link.is_up());
    // The greeting and the first message of the handshake are answered, and what comes then is of no use to who repeats it.
    let opening = opening_bytes(&said);
    for cut in [said.len(), said.len() - 1, opening + 1, opening] {
        let mut stream = TcpStream::connect(listener.address()).expect("it listens");
        stream.write_all(&said[..opening]).expect("it is read");
        let mut answer = [0; ANSWER_BYTES];
        stream.read_exact(&mut answer).expect("a repeated first message is answered as the first time");
        let _ = stream.write_all(&said[opening..cut]);
        let _ = stream.shutdown(Shutdown::Write);
        let address = stream.local_addr().expect("it has one");
        let _ = stream.read_to_end(&mut Vec::new());
        if cut > opening + 1 {
            logged(address, "a record with a wrong seal");
        }
    }
    // All at once.
    let mut stream = TcpStream::connect(listener.address()).expect("it listens");
    let _ = stream.write_all(&said);
    logged(stream.local_addr().expect("it has one"), "it sent more before it was answered");
    assert_eq!(desk.messages.lock().len(), before, "nothing of it has come to the handler");
    insist(&true_link, &desk, "still here");
    assert_eq!(*changes.lock(), [LinkChange::Up], "the true link was never down");
    true_link.stop();
    listener.stop();
}

#[test]
fn a_record_that_was_changed_on_its_way_ends_the_connection() {
    let (listener, desk) = listen(0, 3, Limits::default());
    let target = listener.address();
    let tap = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = tap.local_addr().expect("it has an address");
    // Flips a bit of everything behind the first kilobyte, on the first connection alone.
    let thread = std::thread::spawn(move || {
        let (mut near, _) = tap.accept().expect("somebody comes");
        let mut far = TcpStream::connect(target).expect("the server listens");
        let (mut near_back, mut far_back) = (near.try_clone().expect("two"), far.try_clone().expect("two"));
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
        back.join().expect("it ends");
    });
    let (link, changes) = link(identity(1, 3), 0, address, Limits::default());
    insist(&link, &desk, "good");
    let message = Bytes::from(vec![b'm'; 2000]);
    assert!(link.send(message.clone()));
    eventually("the link is lost", || changes.lock().iter().any(|change| matches!(change, LinkChange::Down { .. })));
    assert!(!desk.messages.lock().iter().any(|(_, came)| came.len() == 2000), "what was changed is not delivered");
    link.stop();
    thread.join().expect("the tap ends");
    listener.stop();
}

#[test]
fn a_link_comes_back_with_the_server_and_says_so() {
    let (listener, desk) = listen(0, 2, quick());
    let address = listener.address().to_string();
    let (link, changes) = link(identity(1, 2), 0, &address, quick());
    insist(&link, &desk, "one");
    listener.stop();
    eventually("the link is down", || !link.is_up());
    assert!(!link.send("lost".into()), "what is for a server that is away is dropped");
    assert!(link.stats().dropped >= 1);
    let server = support::Server::default();
    let desk = Arc::clone(&server.0);
    let bound = Listener::bind(&address).expect("the port is free again");
    let listener = bound.serve(identity(0, 2), quick(), server);
    insist(&link, &desk, "two");
    assert!(!desk.messages.lock().iter().any(|(_, message)| message == "lost"));
    let seen: Vec<bool> = changes.lock().iter().map(|change| *change == LinkChange::Up).collect();
    assert!(seen.len() >= 3 && seen.iter().zip(seen.iter().skip(1)).all(|(a, b)| a != b), "up, down, up: {seen:?}");
    link.stop();
    listener.stop();
}

#[test]
fn a_queue_that_is_full_drops_and_never_blocks() {
    // Somebody who accepts and never reads would be noticed in the handshake; so a server that is stuck.
    let limits = Limits { queued_messages: 16, queued_bytes: 1 << 20, ..Limits::default() };
    let (listener, desk) = listen(0, 2, Limits::default());
    let (link, _) = link(identity(1, 2), 0, listener.address(), limits);
    insist(&link, &desk, "first");
    let stuck = desk.messages.lock();
    let message = Bytes::from(vec![0; 100_000]);
    let mut dropped = 0;
    for _ in 0..1000 {
        dropped += usize::from(!link.send(message.clone()));
    }
    drop(stuck);
    assert!(dropped > 0, "a hundred megabytes do not fit");
    assert!(link.stats().dropped >= dropped as u64);
    insist(&link, &desk, "last");
    let too_long = Bytes::from(vec![0; limits.message_bytes + 1]);
    assert!(!link.send(too_long), "it is longer than messages may be");
    link.stop();
    listener.stop();
}

#[test]
fn a_server_that_connects_again_takes_the_place_of_its_old_connection() {
    let (listener, desk) = listen(0, 2, Limits::default());
    let (old, changes) = link(identity(1, 2), 0, listener.address(), Limits::default());
    insist(&old, &desk, "old");
    let (new, _) = link(identity(1, 2), 0, listener.address(), Limits::default());
    eventually("the old one is told", || changes.lock().len() > 1);
    old.stop();
    insist(&new, &desk, "new");
    new.stop();
    listener.stop();
}

fn sender(listener: &Listener, limits: &Limits) -> SnapshotSender {
    let address = listener.address().to_string();
    SnapshotSender::open(&identity(1, 2), ServerId(0), &address, limits, "index 7".into()).expect("it is let in")
}

#[test]
fn a_snapshot_comes_whole_and_is_judged() {
    let limits = Limits::default();
    let (listener, desk) = listen(0, 2, limits);
    let mut sender = sender(&listener, &limits);
    let chunk: Bytes = (0..limits.chunk_bytes).map(|n| n as u8).collect::<Vec<u8>>().into();
    for _ in 0..10 {
        sender.push(chunk.clone()).expect("it is wanted");
    }
    sender.push(Bytes::new()).expect("a piece may be empty");
    assert_eq!(sender.finish(PATIENCE).expect("it is judged"), Verdict::Accepted("index 7".into()));
    let snapshots = desk.snapshots.lock();
    let [(from, meta, Ok(bytes))] = &snapshots[..] else { panic!("one has come, whole") };
    assert_eq!((*from, &meta[..]), (ServerId(1), &b"index 7"[..]));
    assert!(bytes.len() == 10 * chunk.len() && bytes.chunks(chunk.len()).all(|part| part == chunk));
    drop(snapshots);
    listener.stop();
}

#[test]
fn a_snapshot_that_is_not_wanted_is_refused_before_its_end() {
    let (listener, desk) = listen(0, 2, Limits::default());
    *desk.refuse_snapshot_after.lock() = Some(1);
    let mut sender = sender(&listener, &Limits::default());
    let chunk = Bytes::from(vec![1; 100_000]);
    let refused = loop {
        if let Err(error) = sender.push(chunk.clone()) {
            break error;
        }
    };
    assert!(
        matches!(&refused, SnapshotError::Judged(Verdict::Refused(why)) if why == "an old one"),
        "{refused} instead of the verdict"
    );
    listener.stop();
}

#[test]
fn a_snapshot_that_breaks_off_is_never_taken_for_a_whole_one() {
    let (listener, desk) = listen(0, 2, Limits::default());
    let mut sender = sender(&listener, &Limits::default());
    sender.push("half".into()).expect("it is wanted");
    drop(sender);
    eventually("the handler has seen its end", || !desk.snapshots.lock().is_empty());
    assert!(desk.snapshots.lock()[0].2.is_err(), "it is broken");
    listener.stop();
}

#[test]
fn heartbeats_pass_while_a_snapshot_is_under_way() {
    let (listener, desk) = listen(0, 2, Limits::default());
    let (link, _) = link(identity(1, 2), 0, listener.address(), Limits::default());
    let mut sender = sender(&listener, &Limits::default());
    for n in 0..20 {
        sender.push(vec![0; 1 << 20].into()).expect("it is wanted");
        insist(&link, &desk, &format!("heartbeat {n}"));
    }
    assert!(desk.snapshots.lock().is_empty(), "the snapshot is not at its end yet");
    sender.finish(PATIENCE).expect("it is judged");
    link.stop();
    listener.stop();
}

#[test]
fn a_black_hole_is_noticed_and_left_again() {
    let (listener, desk) = listen(0, 2, quick());
    let proxy = Proxy::start().expect("there is a port");
    proxy.set_target(listener.address());
    let (link, changes) = link(identity(1, 2), 0, proxy.address(), quick());
    insist(&link, &desk, "before");
    proxy.set_way(Way::Blackhole);
    eventually("the silence is noticed", || !link.is_up());
    let silent = |change: &LinkChange| matches!(change, LinkChange::Down { reason } if reason.contains("silent"));
    eventually("the reason is told", || changes.lock().iter().any(silent));
    proxy.set_way(Way::Open);
    insist(&link, &desk, "after");
    link.stop();
    proxy.stop();
    listener.stop();
}

#[test]
fn a_mesh_partitions_servers_and_heals() {
    const SERVERS: usize = 3;
    let mesh = Mesh::start(SERVERS).expect("there are ports");
    let (listeners, desks): (Vec<_>, Vec<_>) = (0..SERVERS).map(|me| listen(me, SERVERS, quick())).unzip();
    for (id, listener) in listeners.iter().enumerate() {
        mesh.set_target(ServerId(id), listener.address());
    }
    let pairs = || (0..SERVERS).flat_map(|from| (0..SERVERS).filter(move |to| *to != from).map(move |to| (from, to)));
    let links: Vec<((usize, usize), Link)> = pairs()
        .map(|(from, to)| {
            let address = mesh.address(ServerId(from), ServerId(to));
            ((from, to), link(identity(from, SERVERS), to, address, quick()).0)
        })
        .collect();
    let all_speak = |what: &str| {
        for ((from, to), link) in &links {
            insist(link, &desks[*to], &format!("{what} {from}->{to}"));
        }
    };
    all_speak("whole");
    for cut in [Way::Severed, Way::Blackhole] {
        mesh.partition(&[&[ServerId(0), ServerId(1)], &[ServerId(2)]], cut);
        for ((from, to), link) in &links {
            if *from == 2 || *to == 2 {
                eventually("the link across is down", || !link.is_up());
                assert!(!link.send("across".into()));
            }
        }
        for ((from, to), link) in &links {
            if *from != 2 && *to != 2 {
                insist(link, &desks[*to], &format!("{cut:?} {from}->{to}"));
            }
        }
        mesh.heal();
        all_speak(&format!("healed {cut:?}"));
    }
    assert!(desks.iter().all(|desk| desk.messages.lock().iter().all(|(_, message)| message != "across")));
    drop(links);
    drop(listeners);
}

#[test]
fn a_secret_that_can_be_guessed_is_none() {
    let error = Secret::new(b"  short \n").expect_err("it is too short");
    assert!(error.contains("5 bytes") && error.contains("openssl rand"), "{error}");
    let shown = format!("{:?}", identity(0, 1));
    assert!(!shown.contains("secret of") && shown.contains("Secret(..)"), "{shown}");
}

//! Strangers: a thousand connections with rubbish, while good clients and servers go on as if they were alone. Everything is
//! drawn from a seed; `WIRE_SEED=n` draws other rubbish.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{Clerk, ClerkSettings, ClientReply, ClientRequest, Connection, Limits, Link};
use raftapi::ServerId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::{PATIENCE, eventually, identity, listen, logged, text};

const RUBBISH: usize = 1000;

/// A client's first words, which are right.
const HELLO: &[u8] = b"kvnode\x00\x01\x00\x00\x00\x01\x00";

fn seed() -> u64 {
    std::env::var("WIRE_SEED").ok().map_or(1, |seed| seed.parse().expect("WIRE_SEED is a number"))
}

fn below(rng: &mut ChaCha8Rng, most: usize) -> usize {
    (rng.next_u64() % most as u64) as usize
}

fn random_bytes(rng: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; below(rng, most)];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// What one stranger sends.
fn rubbish(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let frame = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let noise = random_bytes(rng, 3000);
    match below(rng, 9) {
        0 => noise,
        1 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // A length of four gigabytes, in the hello and after it.
        2 => [&HELLO[..8], &[0xff; 4], &noise].concat(),
        3 => [HELLO, &[0xff; 4], &noise].concat(),
        // A right greeting cut short.
        4 => HELLO[..below(rng, HELLO.len())].to_vec(),
        // Frames with something else in them, as a hello, as a handshake, and as a request.
        5 => [&HELLO[..8], &frame(&noise)].concat(),
        6 => {
            let hello = [&[1, 5][..], b"tests", &[1, 0, 0]].concat();
            [&HELLO[..8], &frame(&hello), &frame(&noise[..noise.len().min(200)])].concat()
        }
        7 => [HELLO, &frame(&noise)].concat(),
        // A request that is right but for one bit.
        _ => {
            let mut request = [&[7, 1, 200, 0, 1][..], b"k", &[0, 1], b"v"].concat();
            let at = below(rng, request.len());
            request[at] ^= 1 << below(rng, 8);
            [HELLO, &frame(&request)].concat()
        }
    }
}

/// Sends rubbish in one of several manners; returns when the server has ended the connection, or this side has.
fn be_a_nuisance(address: SocketAddr, rng: &mut ChaCha8Rng) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let bytes = rubbish(rng);
    let _ = match below(rng, 3) {
        0 => stream.write_all(&bytes),
        1 => bytes.chunks(100).try_for_each(|part| stream.write_all(part)),
        _ => stream.write_all(&bytes[..bytes.len() / 2]),
    };
    match below(rng, 3) {
        // Gone at once, with whatever was not read.
        0 => drop(stream),
        // Half-open: it says no more and waits.
        1 => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        _ => {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = stream.read(&mut [0; 1000]);
        }
    }
}

#[test]
fn a_thousand_strangers_harm_nobody() {
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let (listener, desk) = listen(0, 2, limits);
    let address = listener.address();
    let link = Link::start(identity(1, 2), ServerId(0), address.to_string(), Limits::default(), |_, _| {});
    eventually("the link is up", || link.is_up());
    let good = Connection::open(&address.to_string(), &Limits::default()).expect("it is let in");
    let over = AtomicBool::new(false);
    let (mut asked, mut messages) = (0, 0);
    std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed());
                    rng.set_stream(n);
                    for _ in 0..RUBBISH / 8 {
                        be_a_nuisance(address, &mut rng);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            strangers.into_iter().for_each(|stranger| stranger.join().expect("a stranger ends"));
            over.store(true, SeqCst);
        });
        while !over.load(SeqCst) {
            let reply = good.call(ClientRequest::Get { key: "good".into() }, PATIENCE);
            assert_eq!(reply, Ok(ClientReply::Value(None)), "the good client is answered");
            assert!(link.send(Bytes::from_static(b"good")), "the good server's link stays up");
            asked += 1;
            messages += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    assert!(asked > 10, "it was asked meanwhile");
    eventually("every message of the good server has arrived", || desk.messages.lock().len() == messages);
    assert!(desk.messages.lock().iter().all(|(from, message)| *from == ServerId(1) && message == "good"));
    assert_eq!(link.stats().connected, 1, "the link was never lost");
    eventually("the strangers are gone", || listener.connections() == 2);
    link.stop();
    listener.stop();
}

/// Waits until the server has ended the connection; what it said last.
fn until_ended(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the server has not ended the connection; it said {}", text(&said))
        }
        _ => text(&said),
    }
}

#[test]
fn who_sends_a_byte_now_and_then_is_disconnected_all_the_same() {
    let patience = Duration::from_millis(300);
    let limits = Limits { handshake: patience, frame: patience, ..Limits::default() };
    let (listener, _) = listen(0, 2, limits);
    // In the greeting, and in a request.
    for greeting in [&b""[..], HELLO] {
        let mut stream = TcpStream::connect(listener.address()).expect("it listens");
        stream.write_all(greeting).expect("it is read");
        let begun = Instant::now();
        let mut drops = HELLO.iter().chain(std::iter::repeat(&0)).copied();
        if !greeting.is_empty() {
            stream.write_all(&1000_u32.to_be_bytes()).expect("it is read");
        }
        let address = stream.local_addr().expect("it has one");
        while stream.write_all(&[drops.next().expect("there are always more")]).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it is still connected");
            std::thread::sleep(Duration::from_millis(50));
        }
        logged(address, "waited too long for the ");
    }
    listener.stop();
}

#[test]
fn who_says_nothing_is_disconnected_with_a_reason() {
    let (listener, _) = listen(0, 2, Limits { handshake: Duration::from_millis(200), ..Limits::default() });
    let said = until_ended(TcpStream::connect(listener.address()).expect("it listens"));
    assert!(said.contains("waited too long for the greeting"), "{said}");
    listener.stop();
}

#[test]
fn a_frame_with_something_else_in_it_is_answered_with_a_reason() {
    let (listener, _) = listen(0, 2, Limits::default());
    for (bytes, reason) in [
        ([HELLO, &[0xff; 4]].concat(), "4294967295 bytes, where 1048576 are allowed"),
        ([HELLO, &[0, 0, 0, 2, 0, 99]].concat(), "cannot decode"),
        ([&HELLO[..8], &[0, 0, 8, 0]].concat(), "2048 bytes, where 1024 are allowed"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "it speaks something else"),
    ] {
        let mut stream = TcpStream::connect(listener.address()).expect("it listens");
        stream.write_all(&bytes).expect("it is read");
        let address = stream.local_addr().expect("it has one");
        let said = until_ended(stream);
        logged(address, reason);
        assert!(said.contains(reason), "{said:?} instead of {reason}");
    }
    listener.stop();
}

#[test]
fn those_who_stall_in_the_handshake_go_when_others_come() {
    let limits = Limits { handshakes: 4, handshake: Duration::from_secs(600), ..Limits::default() };
    let (listener, _) = listen(0, 2, limits);
    let stalling: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(listener.address()).expect("it listens")).collect();
    let mut clerk = Clerk::new(
        [listener.address().to_string()],
        ClerkSettings { deadline: Some(PATIENCE), ..ClerkSettings::default() },
    );
    assert_eq!(clerk.get("k"), Ok(None), "a client comes through");
    let link = Link::start(identity(1, 2), ServerId(0), listener.address().to_string(), Limits::default(), |_, _| {});
    eventually("a server comes through", || link.is_up());
    eventually("only some stall still", || listener.connections() <= 2 + 4);
    link.stop();
    let begun = Instant::now();
    listener.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "those who stall keep nobody: it took {:?}", begun.elapsed());
    drop(stalling);
}

#[test]
fn a_client_that_does_not_read_is_disconnected_and_others_are_served() {
    let limits = Limits { frame: Duration::from_millis(500), ..Limits::default() };
    let (listener, desk) = listen(0, 2, limits);
    desk.store.lock().insert("long".into(), vec![b'x'; 8 << 20]);
    let mut deaf = TcpStream::connect(listener.address()).expect("it listens");
    deaf.write_all(HELLO).expect("it is read");
    for id in 0..20 {
        deaf.write_all(&[&[0, 0, 0, 7, id, 0, 4][..], b"long"].concat()).expect("it is read");
    }
    eventually("it has asked", || *desk.requests.lock() > 0);
    let good = Connection::open(&listener.address().to_string(), &Limits::default()).expect("it is let in");
    let reply = good.call(ClientRequest::Get { key: "k".into() }, PATIENCE);
    assert_eq!(reply, Ok(ClientReply::Value(None)));
    eventually("the other one is disconnected", || listener.connections() == 1);
    listener.stop();
}

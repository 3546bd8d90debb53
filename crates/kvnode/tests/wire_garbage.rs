//! Strangers: a thousand connections with garbage, while good clients and servers must be unaffected. A seed determines
//! all random choices; `WIRE_SEED=n` selects another seed.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{Clerk, ClerkSettings, ClientReply, ClientRequest, Connection, Limits, PeerLink};
use raftapi::ServerId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use support::{TIMEOUT, eventually, identity, listen, text, wait_for_log};

const CONNECTIONS: usize = 1000;

/// A client's valid greeting.
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

/// Returns the bytes of one stranger.
fn garbage(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let frame = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let noise = random_bytes(rng, 3000);
    match below(rng, 9) {
        0 => noise,
        1 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // A length of four gigabytes, in the hello and after it.
        2 => [&HELLO[..8], &[0xff; 4], &noise].concat(),
        3 => [HELLO, &[0xff; 4], &noise].concat(),
        // A valid greeting, cut short.
        4 => HELLO[..below(rng, HELLO.len())].to_vec(),
        // Frames with random content, as a hello, as a handshake, and as a request.
        5 => [&HELLO[..8], &frame(&noise)].concat(),
        6 => {
            let hello = [&[1, 5][..], b"tests", &[1, 0, 0]].concat();
            [&HELLO[..8], &frame(&hello), &frame(&noise[..noise.len().min(200)])].concat()
        }
        7 => [HELLO, &frame(&noise)].concat(),
        // A valid request with one flipped bit.
        _ => {
            let mut request = [&[7, 1, 200, 0, 1][..], b"k", &[0, 1], b"v"].concat();
            let at = below(rng, request.len());
            request[at] ^= 1 << below(rng, 8);
            [HELLO, &frame(&request)].concat()
        }
    }
}

/// Sends garbage in one of several ways. Returns when the server or this side has closed the connection.
fn send_garbage(address: SocketAddr, rng: &mut ChaCha8Rng) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let bytes = garbage(rng);
    let _ = match below(rng, 3) {
        0 => stream.write_all(&bytes),
        1 => bytes.chunks(100).try_for_each(|part| stream.write_all(part)),
        _ => stream.write_all(&bytes[..bytes.len() / 2]),
    };
    match below(rng, 3) {
        // Close at once, with unread data.
        0 => drop(stream),
        // Half-open: send no more, and wait.
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
fn a_thousand_strangers_do_not_disturb_good_connections() {
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let (listener, state) = listen(0, 2, limits);
    let address = listener.address();
    let link = PeerLink::start(identity(1, 2), ServerId(0), address.to_string(), Limits::default(), |_, _| {});
    eventually("the link is up", || link.is_up());
    let good = Connection::open(&address.to_string(), &Limits::default()).expect("the client is admitted");
    let over = AtomicBool::new(false);
    let (mut requests, mut messages) = (0, 0);
    std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed());
                    rng.set_stream(n);
                    for _ in 0..CONNECTIONS / 8 {
                        send_garbage(address, &mut rng);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            strangers.into_iter().for_each(|stranger| stranger.join().expect("a stranger ends"));
            over.store(true, SeqCst);
        });
        while !over.load(SeqCst) {
            let reply = good.call(ClientRequest::Get { key: "good".into() }, TIMEOUT);
            assert_eq!(reply, Ok(ClientReply::Value(None)), "the good client gets its reply");
            assert!(link.send(Bytes::from_static(b"good")), "the good server's link stays up");
            requests += 1;
            messages += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    assert!(requests > 10, "requests were sent meanwhile");
    eventually("every message of the good server has arrived", || state.messages.lock().len() == messages);
    assert!(state.messages.lock().iter().all(|(from, message)| *from == ServerId(1) && message == "good"));
    assert_eq!(link.stats().connected, 1, "the link was never lost");
    eventually("the strangers are gone", || listener.connections() == 2);
    link.stop();
    listener.stop();
}

/// Waits until the server has closed the connection. Returns the data that it sent.
fn read_until_closed(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(TIMEOUT)).expect("the timeout can be set");
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("the server has not closed the connection; it sent {}", text(&received))
        }
        _ => text(&received),
    }
}

#[test]
fn a_sender_of_single_bytes_is_disconnected() {
    let patience = Duration::from_millis(300);
    let limits = Limits { handshake: patience, frame: patience, ..Limits::default() };
    let (listener, _) = listen(0, 2, limits);
    // Once in the greeting, and once in a request.
    for greeting in [&b""[..], HELLO] {
        let mut stream = TcpStream::connect(listener.address()).expect("the server listens");
        stream.write_all(greeting).expect("the server reads");
        let started = Instant::now();
        let mut bytes_to_send = HELLO.iter().chain(std::iter::repeat(&0)).copied();
        if !greeting.is_empty() {
            stream.write_all(&1000_u32.to_be_bytes()).expect("the server reads");
        }
        let address = stream.local_addr().expect("an address");
        while stream.write_all(&[bytes_to_send.next().expect("the iterator is endless")]).is_ok() {
            assert!(started.elapsed() < TIMEOUT, "the client is still connected");
            std::thread::sleep(Duration::from_millis(50));
        }
        wait_for_log(address, "waited too long for the ");
    }
    listener.stop();
}

#[test]
fn a_silent_connection_is_closed_with_a_reason() {
    let (listener, _) = listen(0, 2, Limits { handshake: Duration::from_millis(200), ..Limits::default() });
    let received = read_until_closed(TcpStream::connect(listener.address()).expect("the server listens"));
    assert!(received.contains("waited too long for the greeting"), "{received}");
    listener.stop();
}

#[test]
fn an_invalid_frame_is_refused_with_a_reason() {
    let (listener, _) = listen(0, 2, Limits::default());
    for (bytes, reason) in [
        ([HELLO, &[0xff; 4]].concat(), "4294967295 bytes, but the limit is 1048576"),
        ([HELLO, &[0, 0, 0, 2, 0, 99]].concat(), "cannot decode"),
        ([&HELLO[..8], &[0, 0, 8, 0]].concat(), "2048 bytes, but the limit is 1024"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "it speaks another protocol"),
    ] {
        let mut stream = TcpStream::connect(listener.address()).expect("the server listens");
        stream.write_all(&bytes).expect("the server reads");
        let address = stream.local_addr().expect("an address");
        let received = read_until_closed(stream);
        wait_for_log(address, reason);
        assert!(received.contains(reason), "{received:?} instead of {reason}");
    }
    listener.stop();
}

#[test]
fn stalled_handshakes_are_closed_when_others_connect() {
    let limits = Limits { handshakes: 4, handshake: Duration::from_secs(600), ..Limits::default() };
    let (listener, _) = listen(0, 2, limits);
    let stalling: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(listener.address()).expect("the server listens")).collect();
    let mut clerk = Clerk::new(
        [listener.address().to_string()],
        ClerkSettings { deadline: Some(TIMEOUT), ..ClerkSettings::default() },
    );
    assert_eq!(clerk.get("k"), Ok(None), "a client can connect");
    let link =
        PeerLink::start(identity(1, 2), ServerId(0), listener.address().to_string(), Limits::default(), |_, _| {});
    eventually("a server can connect", || link.is_up());
    eventually("only some stalled handshakes are left", || listener.connections() <= 2 + 4);
    link.stop();
    let started = Instant::now();
    listener.stop();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "stalled handshakes do not delay the stop: it took {:?}",
        started.elapsed()
    );
    drop(stalling);
}

#[test]
fn a_client_that_does_not_read_is_disconnected_alone() {
    let limits = Limits { frame: Duration::from_millis(500), ..Limits::default() };
    let (listener, state) = listen(0, 2, limits);
    state.store.lock().insert("long".into(), vec![b'x'; 8 << 20]);
    let mut unread = TcpStream::connect(listener.address()).expect("the server listens");
    unread.write_all(HELLO).expect("the server reads");
    for id in 0..20 {
        unread.write_all(&[&[0, 0, 0, 7, id, 0, 4][..], b"long"].concat()).expect("the server reads");
    }
    eventually("a request has arrived", || *state.requests.lock() > 0);
    let good = Connection::open(&listener.address().to_string(), &Limits::default()).expect("the client is admitted");
    let reply = good.call(ClientRequest::Get { key: "k".into() }, TIMEOUT);
    assert_eq!(reply, Ok(ClientReply::Value(None)));
    eventually("the client that does not read is disconnected", || listener.connections() == 1);
    listener.stop();
}

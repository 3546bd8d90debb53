//! What the wire costs: messages of 100 bytes between two servers, in the clear, sealed, and through a whole link; a snapshot;
//! and a client's round trip. All over the loopback interface. `cargo bench -p kvnode --bench wire`.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::frame::{self, FrameReader};
use kvnode::wire::noise::{self, Sealed};
use kvnode::wire::socket::{Source, TimedReader, write_within};
use kvnode::wire::{
    ClientReply, ClientRequest, Connection, Handler, Identity, Limits, Link, Listener, ReplyTo, Secret, SnapshotChunks,
    SnapshotSender, Verdict,
};
use raftapi::ServerId;

const MESSAGES: usize = 200_000;
const MESSAGE: [u8; 100] = [7; 100];

/// How often each row is measured; the median counts.
const ROUNDS: usize = 5;

const PATIENCE: Duration = Duration::from_secs(60);

/// What a server says before it answers a handshake: its version, and that it has nothing against it.
const WELCOME: &[u8] = b"kvnode\x00\x01\x00\x00\x00\x00";

fn main() {
    for batch in [1, 16, 256] {
        row(&format!("messages of 100 B in the clear, {batch} a write"), MESSAGES, || clear(batch));
        row(&format!("messages of 100 B sealed, {batch} a write"), MESSAGES, || sealed(batch));
    }
    row("messages of 100 B through a link to a handler", MESSAGES, link);
    row("a snapshot of 64 MiB, in MiB", 64, snapshot);
    let limits = Limits::default();
    let (listener, _) = serve();
    let connection = Connection::open(&listener.address().to_string(), &limits).expect("it is let in");
    row("round trips of one client, one request at a time", 20_000, || round_trips(&connection, 20_000, 1));
    row("requests of one client, 64 at a time", 200_000, || round_trips(&connection, 200_000, 64));
}

/// Prints the median of some rounds: how many a second, and the time of each.
fn row(what: &str, count: usize, mut body: impl FnMut() -> Duration) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| body().as_secs_f64()).collect();
    rounds.sort_by(f64::total_cmp);
    let seconds = rounds[ROUNDS / 2];
    let (rate, micros) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{what:<52} {rate:>12.0} /s {micros:>10.2} us each");
}

fn pair() -> (Arc<TcpStream>, Arc<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let near = TcpStream::connect(listener.local_addr().expect("it has an address")).expect("it listens");
    let (far, _) = listener.accept().expect("somebody has come");
    near.set_nodelay(true).expect("it is open");
    (Arc::new(near), Arc::new(far))
}

fn reader(stream: &Arc<TcpStream>) -> FrameReader<TimedReader> {
    FrameReader::new(TimedReader::new(Arc::clone(stream), Instant::now() + PATIENCE))
}

fn read_all<S: Source>(mut reader: FrameReader<S>) {
    for _ in 0..MESSAGES {
        let frame = reader.next(1000, PATIENCE, PATIENCE).expect("it comes").expect("it is not the end");
        let message: Bytes = labgob::decode(frame).expect("it is a message");
        assert_eq!(message.len(), MESSAGE.len());
    }
}

/// Writes all messages, so many at a time.
fn write_all(batch: usize, mut write: impl FnMut(&[u8])) {
    let message = Bytes::from_static(&MESSAGE);
    let mut frames = Vec::new();
    for n in 1..=MESSAGES {
        frame::put(&mut frames, &message);
        if n % batch == 0 || n == MESSAGES {
            write(&frames);
            frames.clear();
        }
    }
}

fn clear(batch: usize) -> Duration {
    let (near, far) = pair();
    let begun = Instant::now();
    let reading = thread::spawn(move || read_all(reader(&far)));
    write_all(batch, |frames| write_within(&near, frames, PATIENCE).expect("it is read"));
    reading.join().expect("all were read");
    begun.elapsed()
}

fn sealed(batch: usize) -> Duration {
    let (near, far) = pair();
    let secret = secret();
    let deadline = Instant::now() + PATIENCE;
    let answering = {
        let secret = secret.clone();
        thread::spawn(move || noise::respond(&secret, b"", WELCOME, &far, reader(&far), deadline, PATIENCE))
    };
    let near = noise::initiate(&secret, b"", &near, reader(&near), deadline, PATIENCE);
    let Sealed { mut writer, .. } = near.expect("both know the secret");
    let far = answering.join().expect("it answers").expect("both know the secret");
    let begun = Instant::now();
    let reading = thread::spawn(move || read_all(far.reader));
    write_all(batch, |frames| writer.write(frames).expect("it is read"));
    reading.join().expect("all were read");
    begun.elapsed()
}

fn secret() -> Secret {
    Secret::new(b"the secret of the cluster of the benchmark").expect("it is long enough")
}

/// Counts messages, answers every Get with 16 bytes, and takes every snapshot.
struct Counter(Arc<AtomicUsize>);

impl Handler for Counter {
    fn peer_message(&self, _: ServerId, message: Bytes) {
        assert_eq!(message.len(), MESSAGE.len());
        self.0.fetch_add(1, Relaxed);
    }

    fn client_request(&self, _: ClientRequest, reply: ReplyTo) {
        reply.send(ClientReply::Value(Some(Bytes::from_static(&[7; 16]))));
    }

    fn snapshot(&self, _: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict {
        while chunks.next().expect("it comes to its end").is_some() {}
        Verdict::Accepted(meta)
    }
}

fn identity(me: usize) -> Identity {
    Identity { cluster: "bench".into(), me: ServerId(me), servers: 2, secret: secret() }
}

fn serve() -> (Listener, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let bound = Listener::bind("127.0.0.1:0").expect("there is a port");
    let listener = bound.serve(identity(0), Limits::default(), Counter(Arc::clone(&count)));
    (listener, count)
}

fn link() -> Duration {
    let (listener, count) = serve();
    let link = Link::start(identity(1), ServerId(0), listener.address().to_string(), Limits::default(), |_, _| {});
    while !link.is_up() {
        thread::sleep(Duration::from_millis(1));
    }
    let message = Bytes::from_static(&MESSAGE);
    let begun = Instant::now();
    for _ in 0..MESSAGES {
        // The queue is full: what waits is written first.
        while !link.send(message.clone()) {
            thread::yield_now();
        }
    }
    while count.load(Relaxed) < MESSAGES {
        thread::yield_now();
    }
    begun.elapsed()
}

fn snapshot() -> Duration {
    let (listener, _) = serve();
    let address = listener.address().to_string();
    let begun = Instant::now();
    let sender = SnapshotSender::open(&identity(1), ServerId(0), &address, &Limits::default(), Bytes::new());
    let mut sender = sender.expect("it is let in");
    let chunk = Bytes::from(vec![7; 256 << 10]);
    for _ in 0..4 * 64 {
        sender.push(chunk.clone()).expect("it is wanted");
    }
    sender.finish(PATIENCE).expect("it is judged");
    begun.elapsed()
}

fn round_trips(connection: &Connection, count: usize, batch: usize) -> Duration {
    let begun = Instant::now();
    for _ in 0..count / batch {
        let requests = (0..batch).map(|_| ClientRequest::Get { key: "key".into() }).collect();
        for pending in connection.submit_all(requests).expect("it is sent") {
            pending.wait(PATIENCE).expect("it is answered");
        }
    }
    begun.elapsed()
}

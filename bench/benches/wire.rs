//! The cost of the wire: messages of 100 bytes between two servers, unencrypted, sealed, and through a whole link; a
//! snapshot; and a client's round trip. All over the loopback interface. `cargo bench --manifest-path bench/Cargo.toml
//! --bench wire`.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::frame::{self, FrameReader};
use kvnode::wire::noise::{self, SealedConnection};
use kvnode::wire::socket::{DeadlineRead, TimedReader, write_with_timeout};
use kvnode::wire::{
    AdmitAll, ClientReply, ClientRequest, Connection, Handler, Identity, Limits, Listener, PeerLink, ReplyTo, Secret,
    SnapshotChunks, SnapshotSender, Verdict,
};
use raftapi::ServerId;

const MESSAGES: usize = 200_000;
const MESSAGE: [u8; 100] = [7; 100];

/// The number of measurements of each row, of which the median is printed.
const ROUNDS: usize = 5;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The reply of a server to a hello: its version, and an empty refusal.
const WELCOME: &[u8] = b"kvnode\x00\x01\x00\x00\x00\x00";

fn main() {
    for batch in [1, 16, 256] {
        row(&format!("messages of 100 B unencrypted, {batch} a write"), MESSAGES, || unencrypted(batch));
        row(&format!("messages of 100 B sealed, {batch} a write"), MESSAGES, || sealed(batch));
    }
    row("messages of 100 B through a link to a handler", MESSAGES, link);
    row("a snapshot of 64 MiB, in MiB", 64, snapshot);
    let limits = Limits::default();
    let (listener, _) = serve();
    let connection = Connection::open(&listener.address().to_string(), &limits).expect("the connection is admitted");
    row("round trips of one client, one request at a time", 20_000, || round_trips(&connection, 20_000, 1));
    row("requests of one client, 64 at a time", 200_000, || round_trips(&connection, 200_000, 64));
}

/// Prints the median of some rounds: the rate per second, and the time of each item.
fn row(what: &str, count: usize, mut body: impl FnMut() -> Duration) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| body().as_secs_f64()).collect();
    rounds.sort_by(f64::total_cmp);
    let seconds = rounds[ROUNDS / 2];
    let (rate, micros) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{what:<52} {rate:>12.0} /s {micros:>10.2} us each");
}

fn pair() -> (Arc<TcpStream>, Arc<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("the server listens");
    let (far, _) = listener.accept().expect("a connection");
    near.set_nodelay(true).expect("the socket is open");
    (Arc::new(near), Arc::new(far))
}

fn reader(stream: &Arc<TcpStream>) -> FrameReader<TimedReader> {
    FrameReader::new(TimedReader::new(Arc::clone(stream), Instant::now() + TIMEOUT))
}

fn read_all<S: DeadlineRead>(mut reader: FrameReader<S>) {
    for _ in 0..MESSAGES {
        let frame = reader.next(1000, TIMEOUT, TIMEOUT).expect("a frame").expect("not the end");
        let message: Bytes = labgob::decode(frame).expect("a message");
        assert_eq!(message.len(), MESSAGE.len());
    }
}

/// Writes all messages, `batch` in each write.
fn write_all(batch: usize, mut write: impl FnMut(&[u8])) {
    let message = Bytes::from_static(&MESSAGE);
    let mut frames = Vec::new();
    for n in 1..=MESSAGES {
        frame::append(&mut frames, &message);
        if n % batch == 0 || n == MESSAGES {
            write(&frames);
            frames.clear();
        }
    }
}

fn unencrypted(batch: usize) -> Duration {
    let (near, far) = pair();
    let started = Instant::now();
    let reading = thread::spawn(move || read_all(reader(&far)));
    write_all(batch, |frames| write_with_timeout(&near, frames, TIMEOUT).expect("the other side reads"));
    reading.join().expect("all were read");
    started.elapsed()
}

fn sealed(batch: usize) -> Duration {
    let (near, far) = pair();
    let secret = secret();
    let deadline = Instant::now() + TIMEOUT;
    let answering = {
        let secret = secret.clone();
        thread::spawn(move || noise::respond(&secret, b"", WELCOME, &far, reader(&far), deadline, TIMEOUT))
    };
    let near = noise::initiate(&secret, b"", &near, reader(&near), deadline, TIMEOUT);
    let SealedConnection { mut writer, .. } = near.expect("both know the secret");
    let far = answering.join().expect("the thread ends").expect("both know the secret");
    let started = Instant::now();
    let reading = thread::spawn(move || read_all(far.reader));
    write_all(batch, |frames| writer.write(frames).expect("the other side reads"));
    reading.join().expect("all were read");
    started.elapsed()
}

fn secret() -> Secret {
    Secret::new(b"the secret of the cluster of the benchmark").expect("the secret is long enough")
}

/// A handler that counts messages, replies to every Get with 16 bytes, and accepts every snapshot.
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
        while chunks.next().expect("the snapshot is complete").is_some() {}
        Verdict::Accepted(meta)
    }
}

fn identity(me: usize) -> Identity {
    Identity { cluster: "bench".into(), me: ServerId(me), servers: 2, secret: secret(), greeter: Arc::new(AdmitAll) }
}

fn serve() -> (Listener, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let bound = Listener::bind("127.0.0.1:0").expect("a free port");
    let listener = bound.serve(identity(0), Limits::default(), Counter(Arc::clone(&count)));
    (listener, count)
}

fn link() -> Duration {
    let (listener, count) = serve();
    let link = PeerLink::start(identity(1), ServerId(0), listener.address().to_string(), Limits::default(), |_, _| {});
    while !link.is_up() {
        thread::sleep(Duration::from_millis(1));
    }
    let message = Bytes::from_static(&MESSAGE);
    let started = Instant::now();
    for _ in 0..MESSAGES {
        // The queue is full: the waiting messages are written first.
        while !link.send(message.clone()) {
            thread::yield_now();
        }
    }
    while count.load(Relaxed) < MESSAGES {
        thread::yield_now();
    }
    started.elapsed()
}

fn snapshot() -> Duration {
    let (listener, _) = serve();
    let address = listener.address().to_string();
    let started = Instant::now();
    let sender = SnapshotSender::open(&identity(1), ServerId(0), &address, &Limits::default(), Bytes::new());
    let mut sender = sender.expect("the connection is admitted");
    let chunk = Bytes::from(vec![7; 256 << 10]);
    for _ in 0..4 * 64 {
        sender.push(chunk.clone()).expect("the chunk is accepted");
    }
    sender.finish(TIMEOUT).expect("a verdict");
    started.elapsed()
}

fn round_trips(connection: &Connection, count: usize, batch: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..count / batch {
        let requests = (0..batch).map(|_| ClientRequest::Get { key: "key".into() }).collect();
        for pending in connection.submit_all(requests).expect("the requests are sent") {
            pending.wait(TIMEOUT).expect("a reply");
        }
    }
    started.elapsed()
}

//! A server behind the wire that remembers what came, and a key/value service of one server, for the tests of the wire.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{
    ClientReply, ClientRequest, Handler, Identity, Limits, Listener, ReplyTo, Secret, SnapshotChunks, Verdict, WriteOp,
};
use parking_lot::Mutex;
use raftapi::ServerId;

/// Long enough for anything that should happen, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SECRET: &[u8] = b"the secret of the cluster of the tests";

pub(crate) fn identity(me: usize, servers: usize) -> Identity {
    let secret = Secret::new(SECRET).expect("it is long enough");
    Identity { cluster: "tests".into(), me: ServerId(me), servers, secret }
}

/// Waits until `what` holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps what is logged as a warning.
struct Log(Mutex<Vec<String>>);

static LOG: Log = Log(Mutex::new(Vec::new()));

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Waits until a line of the log says that the connection from `address` has ended because of `reason`.
pub(crate) fn logged(address: SocketAddr, reason: &str) {
    let begun = Instant::now();
    let starts = format!("{address}: ");
    loop {
        let lines: Vec<String> = LOG.0.lock().iter().filter(|line| line.starts_with(&starts)).cloned().collect();
        if lines.iter().any(|line| line.contains(reason)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{reason:?} is not logged, only {lines:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A snapshot: from whom, what it says it is, and its bytes or why there are not all of them.
type Received = (ServerId, Bytes, Result<Vec<u8>, String>);

/// What a server has got, and how it answers.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) messages: Mutex<Vec<(ServerId, Bytes)>>,
    pub(crate) snapshots: Mutex<Vec<Received>>,
    /// Refuse snapshots after so many pieces.
    pub(crate) refuse_snapshot_after: Mutex<Option<usize>>,
    pub(crate) store: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The last write of each client.
    pub(crate) done: Mutex<HashMap<u64, u64>>,
    /// Answers everything with this, if it is set.
    pub(crate) answer: Mutex<Option<ClientReply>>,
    /// Keeps requests instead of answering them, while it is set.
    pub(crate) keep: Mutex<bool>,
    pub(crate) kept: Mutex<Vec<(ClientRequest, ReplyTo)>>,
    /// Executes a write and then lets go of the request, so many times.
    pub(crate) forget: Mutex<usize>,
    pub(crate) requests: Mutex<usize>,
}

#[derive(Clone, Default)]
pub(crate) struct Server(pub(crate) Arc<Desk>);

impl Handler for Server {
    fn peer_message(&self, from: ServerId, message: Bytes) {
        self.0.messages.lock().push((from, message));
    }

    fn client_request(&self, request: ClientRequest, reply: ReplyTo) {
        let desk = &self.0;
        *desk.requests.lock() += 1;
        if *desk.keep.lock() {
            desk.kept.lock().push((request, reply));
            return;
        }
        if let Some(answer) = desk.answer.lock().clone() {
            return reply.send(answer);
        }
        match request {
            ClientRequest::Get { key } => {
                reply.send(ClientReply::Value(desk.store.lock().get(&key).map(|value| value.clone().into())));
            }
            ClientRequest::Write { client, seq, key, op, value } => {
                let mut done = desk.done.lock();
                if done.get(&client).is_none_or(|last| *last < seq) {
                    done.insert(client, seq);
                    let mut store = desk.store.lock();
                    let old = store.entry(key).or_default();
                    if op == WriteOp::Put {
                        old.clear();
                    }
                    old.extend_from_slice(&value);
                }
                let mut forget = desk.forget.lock();
                if *forget > 0 {
                    *forget -= 1;
                    return;
                }
                reply.send(ClientReply::Written);
            }
            ClientRequest::Status => reply.send(ClientReply::Status(Bytes::from_static(b"fine"))),
            ClientRequest::Admin(what) => reply.send(ClientReply::Admin(what)),
            other => reply.send(ClientReply::Refused(format!("{other:?} is unknown"))),
        }
    }

    fn snapshot(&self, from: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict {
        let refuse_after = *self.0.refuse_snapshot_after.lock();
        let mut all = Vec::new();
        let mut count = 0;
        let result = loop {
            if refuse_after.is_some_and(|most| count >= most) {
                return Verdict::Refused("an old one".into());
            }
            match chunks.next() {
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => break Ok(all),
                Err(error) => break Err(error.to_string()),
            }
            count += 1;
        };
        self.0.snapshots.lock().push((from, meta.clone(), result));
        Verdict::Accepted(meta)
    }
}

/// A listener on a free port, and what it hands its guests to.
pub(crate) fn listen(me: usize, servers: usize, limits: Limits) -> (Listener, Arc<Desk>) {
    // The first test of the process does it for all.
    let _ = log::set_logger(&LOG).map(|()| log::set_max_level(log::LevelFilter::Warn));
    let server = Server::default();
    let desk = Arc::clone(&server.0);
    let bound = Listener::bind("127.0.0.1:0").expect("there is a free port");
    (bound.serve(identity(me, servers), limits, server), desk)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! A handler for the tests of the wire. It records messages and snapshots, and acts as a key/value service of one
//! server.

#![allow(dead_code, reason = "each test file uses only part of this module")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{
    AdmitAll, ClientReply, ClientRequest, Handler, Identity, Limits, Listener, ReplyTo, Secret, SnapshotChunks,
    Verdict, WriteOp,
};
use parking_lot::Mutex;
use raftapi::ServerId;

/// Time limit for any expected event, on any machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const SECRET: &[u8] = b"the secret of the cluster of the tests";

pub(crate) fn identity(me: usize, servers: usize) -> Identity {
    let secret = Secret::new(SECRET).expect("the secret is long enough");
    Identity { cluster: "tests".into(), me: ServerId(me), servers, secret, greeter: Arc::new(AdmitAll) }
}

/// Waits until `holds` returns true. `what` describes the condition.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < TIMEOUT, "timeout while waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A logger that keeps warnings and errors.
struct CapturedLog(Mutex<Vec<String>>);

static CAPTURED_LOG: CapturedLog = CapturedLog(Mutex::new(Vec::new()));

impl log::Log for CapturedLog {
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
pub(crate) fn wait_for_log(address: SocketAddr, reason: &str) {
    let started = Instant::now();
    let starts = format!("{address}: ");
    loop {
        let lines: Vec<String> =
            CAPTURED_LOG.0.lock().iter().filter(|line| line.starts_with(&starts)).cloned().collect();
        if lines.iter().any(|line| line.contains(reason)) {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "{reason:?} is not wait_for_log, only {lines:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A received snapshot: the sender, the description, and the data or the reason why it is incomplete.
type Received = (ServerId, Bytes, Result<Vec<u8>, String>);

/// The state of a test handler: what it has received, and how it replies.
#[derive(Default)]
pub(crate) struct HandlerState {
    pub(crate) messages: Mutex<Vec<(ServerId, Bytes)>>,
    pub(crate) snapshots: Mutex<Vec<Received>>,
    /// If set, the handler refuses a snapshot after this many chunks.
    pub(crate) refuse_snapshot_after: Mutex<Option<usize>>,
    pub(crate) store: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The sequence number of the last write of each client.
    pub(crate) last_seq: Mutex<HashMap<u64, u64>>,
    /// If set, this is the reply to every request.
    pub(crate) fixed_reply: Mutex<Option<ClientReply>>,
    /// While set, the handler holds requests instead of replying.
    pub(crate) hold: Mutex<bool>,
    pub(crate) held: Mutex<Vec<(ClientRequest, ReplyTo)>>,
    /// The number of writes that the handler executes without replying.
    pub(crate) replies_to_drop: Mutex<usize>,
    pub(crate) requests: Mutex<usize>,
}

#[derive(Clone, Default)]
pub(crate) struct TestHandler(pub(crate) Arc<HandlerState>);

impl Handler for TestHandler {
    fn peer_message(&self, from: ServerId, message: Bytes) {
        self.0.messages.lock().push((from, message));
    }

    fn client_request(&self, request: ClientRequest, reply: ReplyTo) {
        let state = &self.0;
        *state.requests.lock() += 1;
        if *state.hold.lock() {
            state.held.lock().push((request, reply));
            return;
        }
        if let Some(fixed_reply) = state.fixed_reply.lock().clone() {
            return reply.send(fixed_reply);
        }
        match request {
            ClientRequest::Get { key } => {
                reply.send(ClientReply::Value(state.store.lock().get(&key).map(|value| value.clone().into())));
            }
            ClientRequest::Write { client, seq, key, op, value } => {
                let mut last_seq = state.last_seq.lock();
                if last_seq.get(&client).is_none_or(|last| *last < seq) {
                    last_seq.insert(client, seq);
                    let mut store = state.store.lock();
                    let old = store.entry(key).or_default();
                    if op == WriteOp::Put {
                        old.clear();
                    }
                    old.extend_from_slice(&value);
                }
                let mut replies_to_drop = state.replies_to_drop.lock();
                if *replies_to_drop > 0 {
                    *replies_to_drop -= 1;
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
            if refuse_after.is_some_and(|limit| count >= limit) {
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

/// Returns a listener on a free port, and the state of its handler.
pub(crate) fn listen(me: usize, servers: usize, limits: Limits) -> (Listener, Arc<HandlerState>) {
    // The first test of the process installs the logger for all tests.
    let _ = log::set_logger(&CAPTURED_LOG).map(|()| log::set_max_level(log::LevelFilter::Warn));
    let server = TestHandler::default();
    let state = Arc::clone(&server.0);
    let bound = Listener::bind("127.0.0.1:0").expect("there is a free port");
    (bound.serve(identity(me, servers), limits, server), state)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

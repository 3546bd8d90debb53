//! Sample records of runs, written as code: the events that a tester and servers would have reported.

use ids::{Index, ServerId, Term};
use record::{
    AnnotationShape, CheckStep, Event, EventKind, Excerpt, Fault, Level, Linearizable, Loss, OperationKind, Peer, Role,
    Verdict,
};

/// A text that would change the page if it became HTML.
pub(crate) const HOSTILE: &str = "</script><b id=injected>&lt;{{data}}";

const MS: u64 = 1_000_000;

/// A record under construction.
#[derive(Default)]
pub(crate) struct RecordBuilder(pub(crate) Vec<Event>);

impl RecordBuilder {
    fn add(&mut self, ms: u64, server: Option<usize>, kind: EventKind) {
        self.0.push(Event { at: ms * MS, server: server.map(ServerId), kind });
    }

    fn begin(servers: usize, scenario: &str) -> RecordBuilder {
        let mut record = RecordBuilder::default();
        record.add(0, None, EventKind::RunBegun { scenario: scenario.into(), seed: 7, servers, simulated: true });
        record
    }

    /// Adds a call; `delivered` and `answered` are in milliseconds.
    fn call(&mut self, number: u64, from: usize, to: usize, method: &'static str, times: [u64; 3]) {
        let [sent, delivered, answered] = times;
        self.sent(number, from, to, method, sent);
        self.add(delivered, Some(to), EventKind::RpcDelivered { call: number });
        self.add(answered, Some(from), EventKind::RpcReplied { call: number, bytes: 12 });
    }

    fn sent(&mut self, call: u64, from: usize, to: usize, method: &'static str, at: u64) {
        let (from, to) = (Some(ServerId(from)), Peer::Server(ServerId(to)));
        self.add(at, from.map(|from| from.0), EventKind::RpcSent { call, from, to, method: method.into(), bytes: 30 });
    }

    fn role(&mut self, ms: u64, server: usize, role: Role, term: u64) {
        self.add(ms, Some(server), EventKind::RoleChanged { role, term: Term(term) });
    }

    fn vote(&mut self, ms: u64, server: usize, to: usize, term: u64) {
        self.add(ms, Some(server), EventKind::VoteGranted { term: Term(term), to: ServerId(to) });
    }

    fn append(&mut self, ms: u64, server: usize, term: u64, first: u64, last: u64) {
        let (first, last) = (Index(first), Index(last));
        self.add(ms, Some(server), EventKind::LogAppended { term: Term(term), first, last });
    }

    fn commit(&mut self, ms: u64, server: usize, index: u64, term: u64) {
        self.add(ms, Some(server), EventKind::Committed { index: Index(index) });
        self.add(ms, Some(server), EventKind::Applied { index: Index(index), term: Term(term) });
    }

    fn fault(&mut self, ms: u64, fault: Fault) {
        self.add(ms, None, EventKind::Fault(fault));
    }

    fn check(&mut self, ms: u64, check: u64, step: CheckStep, text: &str) {
        self.add(ms, None, EventKind::Check { check, step, text: text.into() });
    }

    fn begun(&mut self, ms: u64, operation: u64, client: u32, kind: OperationKind, key: &str, value: &str) {
        let (key, value) = (key.into(), Excerpt::from(value));
        self.add(ms, None, EventKind::OperationBegun { operation, client, kind, key, value });
    }

    fn ended(&mut self, ms: u64, operation: u64, value: &str) {
        self.add(ms, None, EventKind::OperationEnded { operation, value: Excerpt::from(value) });
    }

    fn line(&mut self, ms: u64, server: usize, level: Level, message: &str) {
        let (target, message) = ("raft::election".into(), message.into());
        self.add(ms, Some(server), EventKind::LogLine { level, target, message });
    }

    /// Sorts the events by time, as they are in a record.
    fn sorted(mut self) -> Vec<Event> {
        self.0.sort_by_key(|event| event.at);
        self.0
    }
}

/// A passed run with three servers: S1 leads, is cut off, and reconnects with entries that no other server has; S0
/// crashes and restarts.
pub(crate) fn passed() -> Vec<Event> {
    let mut record = RecordBuilder::begin(3, "sample_3B");
    record.role(100, 1, Role::Candidate, 1);
    record.vote(100, 1, 1, 1);
    record.call(1, 1, 0, "Raft.RequestVote", [100, 105, 112]);
    record.sent(2, 1, 2, "Raft.RequestVote", 100);
    record.vote(105, 0, 1, 1);
    record.role(112, 1, Role::Leader, 1);
    record.add(140, Some(1), EventKind::RpcLost { call: 2, reason: Loss::RequestDropped });

    record.check(149, 0, CheckStep::Begun, "agreement on 100");
    record.append(150, 1, 1, 1, 1);
    record.add(150, Some(1), EventKind::CommandSubmitted { index: Index(1), term: Term(1), bytes: 8 });
    record.call(3, 1, 0, "Raft.AppendEntries", [151, 155, 160]);
    record.append(155, 0, 1, 1, 1);
    record.sent(4, 1, 2, "Raft.AppendEntries", 151);
    record.add(156, Some(2), EventKind::RpcDelivered { call: 4 });
    record.add(156, Some(2), EventKind::TermChanged { term: Term(1) });
    record.append(156, 2, 1, 1, 1);
    record.add(190, Some(1), EventKind::RpcLost { call: 4, reason: Loss::ReplyDropped });
    record.commit(160, 1, 1, 1);
    record.commit(170, 0, 1, 1);
    record.add(171, None, EventKind::CommandAgreed { index: Index(1), servers: 2 });
    record.check(175, 0, CheckStep::Passed, "index 1");

    record.fault(200, Fault::Disconnect(vec![ServerId(1)]));
    record.role(300, 2, Role::Candidate, 2);
    record.vote(300, 2, 2, 2);
    record.vote(305, 0, 2, 2);
    record.role(310, 2, Role::Leader, 2);
    record.append(320, 2, 2, 2, 2);
    record.append(325, 0, 2, 2, 2);
    record.append(330, 1, 1, 2, 3);
    record.fault(350, Fault::Connect(vec![ServerId(1)]));
    record.add(360, Some(1), EventKind::TermChanged { term: Term(2) });
    record.add(360, Some(1), EventKind::LogTruncated { last: Index(1) });
    record.append(360, 1, 2, 2, 2);
    for server in 0..3 {
        record.commit(380, server, 2, 2);
    }
    record.add(400, Some(0), EventKind::SnapshotTaken { index: Index(2), bytes: 500 });
    record.add(401, Some(0), EventKind::LogCompacted { index: Index(2), term: Term(2) });
    record.fault(420, Fault::Crash(vec![ServerId(0)]));
    record.fault(480, Fault::Restart(vec![ServerId(0)]));
    let (term, vote) = (Term(2), Some(ServerId(2)));
    let restored = EventKind::Restored { term, vote, snapshot_index: Index(2), snapshot_term: Term(2) };
    record.add(480, Some(0), restored);
    record.append(480, 0, 2, 3, 3);
    record.line(500, 2, Level::Warn, &format!("hello {HOSTILE}"));
    let (tag, label, details) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    record.add(520, Some(2), EventKind::Annotated { tag, label, details, shape: AnnotationShape::Point });

    record.begun(200, 0, 0, OperationKind::Put, HOSTILE, "v");
    record.begun(250, 1, 1, OperationKind::Get, HOSTILE, "");
    record.ended(260, 0, "");
    record.ended(290, 1, "v");
    record.begun(300, 2, 0, OperationKind::Append, "other", "w");
    let (key, orders) = (HOSTILE.into(), vec![vec![0, 1]]);
    record.add(590, None, EventKind::HistoryChecked { key, linearizable: Linearizable::Yes, orders });
    record.add(590, None, EventKind::CallsOmitted { since: 550 * MS, calls: 42, bytes: 4200 });
    record.add(600, None, EventKind::RunEnded { verdict: Verdict::Passed, trace_hash: 1, steps: 1 });
    record.sorted()
}

/// A failed run with three servers that report nothing, a read value that no client wrote, a check that fails, and the
/// end of the run.
pub(crate) fn failed() -> Vec<Event> {
    let mut record = RecordBuilder::begin(3, "sample_4A");
    record.call(1, 0, 1, "Raft.AppendEntries", [10, 12, 15]);
    record.add(100, Some(0), EventKind::CommandSubmitted { index: Index(1), term: Term(3), bytes: 8 });
    record.fault(120, Fault::Partition(vec![vec![ServerId(0)], vec![ServerId(1), ServerId(2)]]));
    record.begun(100, 0, 0, OperationKind::Put, "x", "a");
    record.ended(150, 0, "");
    record.begun(200, 1, 1, OperationKind::Get, "x", "");
    record.ended(250, 1, "z");
    record.check(280, 5, CheckStep::Begun, "one leader");
    record.check(300, 5, CheckStep::Failed, "no leader after 10 looks");
    let (key, orders) = ("x".into(), vec![vec![0]]);
    record.add(400, None, EventKind::HistoryChecked { key, linearizable: Linearizable::No, orders });
    record.add(400, None, EventKind::Failed { text: format!("it broke: {HOSTILE}") });
    record.add(400, None, EventKind::RunEnded { verdict: Verdict::Failed, trace_hash: 1, steps: 1 });
    record.sorted()
}

/// A record as large as those of the largest runs: five servers and twenty clients, with these numbers of calls,
/// entries and operations. Its numbers come from a small generator, so that they are as hard to compress as those of a
/// real run.
pub(crate) fn large(calls: u64, entries: u64, operations: u64) -> impl Iterator<Item = Event> {
    const SERVERS: u64 = 5;
    const CLIENTS: u64 = 20;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let end = calls.max(1) * 50_000;
    let mut events = RecordBuilder::begin(SERVERS as usize, "large_4B").0;
    let at = |at: u64, server: Option<u64>, kind| Event { at, server: server.map(|s| ServerId(s as usize)), kind };
    for call in 0..calls {
        let (leader, follower) = (call * 3 / calls, random(SERVERS - 1));
        let follower = if follower >= leader { follower + 1 } else { follower };
        let sent = call * 50_000 + random(50_000);
        let delivered = sent + random(20_000_000);
        let from = Some(ServerId(leader as usize));
        let (to, method) = (Peer::Server(ServerId(follower as usize)), "Raft.AppendEntries".into());
        events.push(at(sent, Some(leader), EventKind::RpcSent { call, from, to, method, bytes: 40 + random(400) }));
        if random(50) == 0 {
            events.push(at(delivered, Some(leader), EventKind::RpcLost { call, reason: Loss::RequestDropped }));
        } else {
            let answered = delivered + random(20_000_000);
            events.push(at(delivered, Some(follower), EventKind::RpcDelivered { call }));
            events.push(at(answered, Some(leader), EventKind::RpcReplied { call, bytes: 20 }));
        }
    }
    for entry in 1..=entries {
        for server in 0..SERVERS {
            let time = entry * (end / entries) + random(end / entries);
            let (index, term) = (Index(entry), Term(1));
            events.push(at(time, Some(server), EventKind::LogAppended { term, first: index, last: index }));
            events.push(at(time + 1_000, Some(server), EventKind::Applied { index, term }));
        }
    }
    for operation in 0..operations {
        let (client, turn) = ((operation % CLIENTS) as u32, operation / CLIENTS);
        let length = end / (operations / CLIENTS);
        let begun = turn * length + random(length / 2);
        let (key, value) = (client.to_string(), format!("x {client} {turn} y"));
        let (kind, value) = (OperationKind::Append, Excerpt::from(value.as_str()));
        events.push(at(begun, None, EventKind::OperationBegun { operation, client, kind, key, value }));
        let value = Excerpt::default();
        events.push(at(begun + random(length / 2), None, EventKind::OperationEnded { operation, value }));
    }
    events.sort_by_key(|event| event.at);
    for client in 0..CLIENTS {
        let orders = vec![(0..operations).filter(|operation| operation % CLIENTS == client).collect()];
        let (key, linearizable) = (client.to_string(), Linearizable::Yes);
        events.push(at(end + 50_000_000, None, EventKind::HistoryChecked { key, linearizable, orders }));
    }
    events.into_iter()
}

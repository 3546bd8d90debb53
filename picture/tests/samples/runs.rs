//! Records of runs to look at and to test with, written as code: what a tester and servers would have reported.

use record::{
    CheckStep, Event, EventKind, Excerpt, Fault, Index, Legal, Level, Loss, OperationKind, Peer, Role, ServerId, Shape,
    Term, Verdict,
};

/// A text that would be more than a text if it became HTML.
pub(crate) const HOSTILE: &str = "</script><b id=injected>&lt;{{data}}";

const MS: u64 = 1_000_000;

/// A record that grows.
#[derive(Default)]
pub(crate) struct Story(pub(crate) Vec<Event>);

impl Story {
    fn add(&mut self, ms: u64, server: Option<usize>, kind: EventKind) {
        self.0.push(Event { at: ms * MS, server: server.map(ServerId), kind });
    }

    fn begin(servers: usize, scenario: &str) -> Story {
        let mut story = Story::default();
        story.add(0, None, EventKind::RunBegun { scenario: scenario.into(), seed: 7, servers, simulated: true });
        story
    }

    /// A call; `delivered` and `answered` in milliseconds.
    fn call(&mut self, number: u64, from: usize, to: usize, method: &'static str, times: [u64; 3]) {
        let [sent, delivered, answered] = times;
        self.sent(number, from, to, method, sent);
        self.add(delivered, Some(to), EventKind::RpcDelivered { call: number });
        self.add(answered, Some(from), EventKind::RpcAnswered { call: number, bytes: 12 });
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

    fn begun(&mut self, ms: u64, operation: u64, client: u32, what: OperationKind, key: &str, value: &str) {
        let (key, value) = (key.into(), Excerpt::from(value));
        self.add(ms, None, EventKind::OperationBegun { operation, client, what, key, value });
    }

    fn ended(&mut self, ms: u64, operation: u64, value: &str) {
        self.add(ms, None, EventKind::OperationEnded { operation, value: Excerpt::from(value) });
    }

    fn line(&mut self, ms: u64, server: usize, level: Level, message: &str) {
        let (target, message) = ("raft::election".into(), message.into());
        self.add(ms, Some(server), EventKind::LogLine { level, target, message });
    }

    /// In the order of time, as a record is.
    fn sorted(mut self) -> Vec<Event> {
        self.0.sort_by_key(|event| event.at);
        self.0
    }
}

/// Three servers: S1 leads, is cut off, and comes back with entries that nobody else has; S0 is crashed and restarted.
pub(crate) fn passed() -> Vec<Event> {
    let mut story = Story::begin(3, "sample_3B");
    story.role(100, 1, Role::Candidate, 1);
    story.vote(100, 1, 1, 1);
    story.call(1, 1, 0, "Raft.RequestVote", [100, 105, 112]);
    story.sent(2, 1, 2, "Raft.RequestVote", 100);
    story.vote(105, 0, 1, 1);
    story.role(112, 1, Role::Leader, 1);
    story.add(140, Some(1), EventKind::RpcLost { call: 2, why: Loss::RequestDropped });

    story.check(149, 0, CheckStep::Begun, "agreement on 100");
    story.append(150, 1, 1, 1, 1);
    story.add(150, Some(1), EventKind::CommandSubmitted { index: Index(1), term: Term(1), bytes: 8 });
    story.call(3, 1, 0, "Raft.AppendEntries", [151, 155, 160]);
    story.append(155, 0, 1, 1, 1);
    story.sent(4, 1, 2, "Raft.AppendEntries", 151);
    story.add(156, Some(2), EventKind::RpcDelivered { call: 4 });
    story.add(156, Some(2), EventKind::TermChanged { term: Term(1) });
    story.append(156, 2, 1, 1, 1);
    story.add(190, Some(1), EventKind::RpcLost { call: 4, why: Loss::ReplyDropped });
    story.commit(160, 1, 1, 1);
    story.commit(170, 0, 1, 1);
    story.add(171, None, EventKind::CommandAgreed { index: Index(1), servers: 2 });
    story.check(175, 0, CheckStep::Passed, "index 1");

    story.fault(200, Fault::Disconnect(vec![ServerId(1)]));
    story.role(300, 2, Role::Candidate, 2);
    story.vote(300, 2, 2, 2);
    story.vote(305, 0, 2, 2);
    story.role(310, 2, Role::Leader, 2);
    story.append(320, 2, 2, 2, 2);
    story.append(325, 0, 2, 2, 2);
    story.append(330, 1, 1, 2, 3);
    story.fault(350, Fault::Connect(vec![ServerId(1)]));
    story.add(360, Some(1), EventKind::TermChanged { term: Term(2) });
    story.add(360, Some(1), EventKind::LogTruncated { last: Index(1) });
    story.append(360, 1, 2, 2, 2);
    for server in 0..3 {
        story.commit(380, server, 2, 2);
    }
    story.add(400, Some(0), EventKind::SnapshotTaken { index: Index(2), bytes: 500 });
    story.add(401, Some(0), EventKind::LogCompacted { index: Index(2), term: Term(2) });
    story.fault(420, Fault::Crash(vec![ServerId(0)]));
    story.fault(480, Fault::Restart(vec![ServerId(0)]));
    let (term, vote) = (Term(2), Some(ServerId(2)));
    let restored = EventKind::Restored { term, vote, snapshot_index: Index(2), snapshot_term: Term(2) };
    story.add(480, Some(0), restored);
    story.append(480, 0, 2, 3, 3);
    story.line(500, 2, Level::Warn, &format!("hello {HOSTILE}"));
    let (tag, label, details) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    story.add(520, Some(2), EventKind::Annotated { tag, label, details, shape: Shape::Point });

    story.begun(200, 0, 0, OperationKind::Put, HOSTILE, "v");
    story.begun(250, 1, 1, OperationKind::Get, HOSTILE, "");
    story.ended(260, 0, "");
    story.ended(290, 1, "v");
    story.begun(300, 2, 0, OperationKind::Append, "other", "w");
    let (key, orders) = (HOSTILE.into(), vec![vec![0, 1]]);
    story.add(590, None, EventKind::Linearized { key, legal: Legal::Yes, orders });
    story.add(590, None, EventKind::CallsOmitted { since: 550 * MS, calls: 42, bytes: 4200 });
    story.add(600, None, EventKind::RunEnded { verdict: Verdict::Passed, trace_hash: 1, steps: 1 });
    story.sorted()
}

/// Three servers that report nothing, a value that nobody wrote, a check that fails, and the end of the run.
pub(crate) fn failed() -> Vec<Event> {
    let mut story = Story::begin(3, "sample_4A");
    story.call(1, 0, 1, "Raft.AppendEntries", [10, 12, 15]);
    story.add(100, Some(0), EventKind::CommandSubmitted { index: Index(1), term: Term(3), bytes: 8 });
    story.fault(120, Fault::Partition(vec![vec![ServerId(0)], vec![ServerId(1), ServerId(2)]]));
    story.begun(100, 0, 0, OperationKind::Put, "x", "a");
    story.ended(150, 0, "");
    story.begun(200, 1, 1, OperationKind::Get, "x", "");
    story.ended(250, 1, "z");
    story.check(280, 5, CheckStep::Begun, "one leader");
    story.check(300, 5, CheckStep::Failed, "no leader after 10 looks");
    let (key, orders) = ("x".into(), vec![vec![0]]);
    story.add(400, None, EventKind::Linearized { key, legal: Legal::No, orders });
    story.add(400, None, EventKind::Failed { text: format!("it broke: {HOSTILE}") });
    story.add(400, None, EventKind::RunEnded { verdict: Verdict::Failed, trace_hash: 1, steps: 1 });
    story.sorted()
}

/// A record as large as the largest runs leave: five servers, twenty clients, with so many calls, entries and operations.
/// Numbers come from a little generator, so that they are as hard to compress as those of a real run.
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
    let mut events = Story::begin(SERVERS as usize, "large_4B").0;
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
            events.push(at(delivered, Some(leader), EventKind::RpcLost { call, why: Loss::RequestDropped }));
        } else {
            let answered = delivered + random(20_000_000);
            events.push(at(delivered, Some(follower), EventKind::RpcDelivered { call }));
            events.push(at(answered, Some(leader), EventKind::RpcAnswered { call, bytes: 20 }));
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
        let (what, value) = (OperationKind::Append, Excerpt::from(value.as_str()));
        events.push(at(begun, None, EventKind::OperationBegun { operation, client, what, key, value }));
        let value = Excerpt::default();
        events.push(at(begun + random(length / 2), None, EventKind::OperationEnded { operation, value }));
    }
    events.sort_by_key(|event| event.at);
    for client in 0..CLIENTS {
        let orders = vec![(0..operations).filter(|operation| operation % CLIENTS == client).collect()];
        let (key, legal) = (client.to_string(), Legal::Yes);
        events.push(at(end + 50_000_000, None, EventKind::Linearized { key, legal, orders }));
    }
    events.into_iter()
}

//! Every kind of event: its line of text, its topic and its level. The hash of a stream of them all never changes.

use ids::{Index, ServerId, Term};
use record::{
    AnnotationShape, CheckStep, Event, EventKind, Excerpt, Level, Linearizable, Loss, OperationKind, Options, Peer,
    Recorder, Role, Topic, Verdict,
};

const S: [ServerId; 5] = [ServerId(0), ServerId(1), ServerId(2), ServerId(3), ServerId(4)];

/// Events and their lines. The times go up by 1,234,567 ns.
fn samples() -> Vec<(Event, &'static str)> {
    use EventKind::*;
    let samples = [
        (
            None,
            RunBegun { scenario: "figure_8_3C".into(), seed: 7, servers: 5, simulated: true },
            "000000 TEST -- figure_8_3C begins: seed 7, 5 servers, simulated",
        ),
        (
            Some(S[0]),
            RpcSent { call: 17, from: Some(S[0]), to: S[2].into(), method: "Raft.RequestVote".into(), bytes: 38 },
            "000012 RPCS S0 #17 S0 -> S2 Raft.RequestVote, 38 bytes",
        ),
        (
            None,
            RpcSent { call: 18, from: None, to: Peer::Named("node\n9".into()), method: "KV.Get".into(), bytes: 1 },
            "000024 RPCS -- #18 -- -> node\\n9 KV.Get, 1 bytes",
        ),
        (Some(S[2]), RpcDelivered { call: 17 }, "000037 RPCS S2 #17 reaches its handler"),
        (Some(S[0]), RpcReplied { call: 17, bytes: 3 }, "000049 RPCS S0 #17 gets its reply, 3 bytes"),
        (None, RpcLost { call: 18, reason: Loss::ReplyDropped }, "000061 DROP -- #18 is lost: the reply was dropped"),
        (Some(S[1]), RoleChanged { role: Role::Leader, term: Term(3) }, "000074 LEAD S1 becomes leader in term 3"),
        (Some(S[1]), TermChanged { term: Term(4) }, "000086 TERM S1 moves to term 4"),
        (Some(S[1]), VoteGranted { term: Term(4), to: S[3] }, "000098 VOTE S1 votes for S3 in term 4"),
        (
            Some(S[4]),
            LogAppended { term: Term(4), first: Index(5), last: Index(9) },
            "000111 LOG1 S4 appends index 5 to 9, term 4",
        ),
        (
            Some(S[4]),
            LogAppended { term: Term(4), first: Index(5), last: Index(5) },
            "000123 LOG1 S4 appends index 5, term 4",
        ),
        (Some(S[4]), LogTruncated { last: Index(6) }, "000135 LOG1 S4 truncates its log after index 6"),
        (Some(S[4]), Committed { index: Index(6) }, "000148 CMIT S4 commits up to index 6"),
        (Some(S[4]), Applied { index: Index(6), term: Term(4) }, "000160 APLY S4 applies index 6, term 4"),
        (Some(S[4]), SnapshotTaken { index: Index(6), bytes: 80 }, "000172 SNAP S4 snapshots up to index 6, 80 bytes"),
        (
            Some(S[4]),
            SnapshotInstalled { index: Index(7), term: Term(4) },
            "000185 SNAP S4 installs a snapshot up to index 7, term 4",
        ),
        (Some(S[4]), Persisted { bytes: 120 }, "000197 PERS S4 saves 120 bytes"),
        (None, Fault(record::Fault::Crash(vec![S[0], S[1]])), "000209 FALT -- crashes [S0 S1]"),
        (
            None,
            Fault(record::Fault::Partition(vec![S[..2].to_vec(), S[2..].to_vec()])),
            "000222 FALT -- partitions [S0 S1] [S2 S3 S4]",
        ),
        (
            None,
            Check { check: 3, step: CheckStep::Neutral, text: "one leader".into() },
            "000234 CHEK -- check 3 is undecided: one leader",
        ),
        (
            Some(S[1]),
            CommandSubmitted { index: Index(8), term: Term(4), bytes: 12 },
            "000246 CLNT S1 accepts a command at index 8, term 4, 12 bytes",
        ),
        (None, CommandAgreed { index: Index(8), servers: 3 }, "000259 CLNT -- index 8 is agreed on by 3 servers"),
        (
            Some(S[1]),
            Annotated {
                tag: "lease".into(),
                label: "ends".into(),
                details: "a\tb".into(),
                shape: AnnotationShape::Point,
            },
            "000271 NOTE S1 [lease] ends: a\\tb",
        ),
        (
            None,
            Annotated {
                tag: "t".into(),
                label: "burst".into(),
                details: "x".into(),
                shape: AnnotationShape::Since(2_000_000),
            },
            "000283 NOTE -- [t] burst, since 000020: x",
        ),
        (
            Some(S[3]),
            LogLine { level: Level::Warn, target: "raft::core".into(), message: "slow".into() },
            "000296 INFO S3 WARN raft::core: slow",
        ),
        (
            Some(S[3]),
            Failed { text: "two leaders\nin term 4".into() },
            "000308 ERRO S3 FAILED: two leaders\\nin term 4",
        ),
        (
            None,
            RunEnded { verdict: Verdict::Failed, trace_hash: 0xabc, steps: 48_211 },
            "000320 TEST -- the run ends: failed, 48211 steps, trace 0000000000000abc",
        ),
        (
            None,
            OperationBegun {
                operation: 5,
                client: 2,
                kind: OperationKind::Get,
                key: "k\n".into(),
                value: Excerpt::default(),
            },
            "000333 CLNT -- client 2 begins operation 5: get 'k\\n'",
        ),
        (
            None,
            OperationBegun {
                operation: 6,
                client: 0,
                kind: OperationKind::Append,
                key: "k".into(),
                value: Excerpt::from("x 0 1 y"),
            },
            "000345 CLNT -- client 0 begins operation 6: append 'k', 'x 0 1 y'",
        ),
        (
            None,
            OperationEnded { operation: 5, value: Excerpt::from("x 0 0 yx 0 1 yx 0 2 yx 0 3 yx 0 4 yx 0 5 yx 0 6 y") },
            "000358 CLNT -- operation 5 returns '[9 bytes]0 1 yx 0 2 yx 0 3 yx 0 4 yx 0 5 yx 0 6 y'",
        ),
        (
            None,
            CallsOmitted { since: 1_000_000, calls: 12, bytes: 800 },
            "000370 RPCS -- 12 completed calls since 000010 are omitted, 800 bytes",
        ),
        (
            None,
            HistoryChecked { key: "3".into(), linearizable: Linearizable::Unknown, orders: vec![vec![4, 5], vec![5]] },
            "000382 CHEK -- key '3' is undecided: the longest order has 2 operations",
        ),
        (
            Some(S[0]),
            Restored { term: Term(0), vote: None, snapshot_index: Index(0), snapshot_term: Term(0) },
            "000395 PERS S0 starts in term 0",
        ),
        (
            Some(S[0]),
            Restored { term: Term(4), vote: Some(S[2]), snapshot_index: Index(7), snapshot_term: Term(3) },
            "000407 PERS S0 starts in term 4, has voted for S2, with a snapshot up to index 7, term 3",
        ),
        (
            Some(S[1]),
            LogCompacted { index: Index(9), term: Term(4) },
            "000419 LOG1 S1 compacts its log up to index 9, term 4",
        ),
        (None, FaultCutoff { at: 1_250_000_000 }, "000432 TEST -- faults end at 012500"),
    ];
    let events = samples.into_iter().zip(0..);
    events.map(|((server, kind, line), n)| (Event { at: n * 1_234_567, server, kind }, line)).collect()
}

fn recorded() -> Recorder {
    let recorder = Recorder::new(Options::default());
    samples().into_iter().for_each(|(event, _)| recorder.record(event));
    recorder
}

#[test]
fn every_kind_has_its_line_of_text() {
    for (event, line) in samples() {
        assert_eq!(event.to_string(), line);
    }
}

#[test]
fn the_samples_contain_every_kind() {
    // The encoding of a kind begins with its number. The error for too large a number gives the number of kinds.
    let mut numbers: Vec<u8> = samples().iter().map(|(event, _)| labgob::encode(&event.kind)[0]).collect();
    numbers.sort();
    numbers.dedup();
    let error = labgob::decode::<EventKind>(&[250]).unwrap_err().to_string();
    assert!(error.ends_with(&format!("0 <= i < {}", numbers.len())), "{error}, but the samples hold {}", numbers.len());
}

#[test]
fn every_kind_has_its_level() {
    for (event, line) in samples() {
        let expected = match event.kind.topic() {
            Topic::Rpc | Topic::Drop => Level::Trace,
            Topic::Failure => Level::Error,
            Topic::Line => Level::Warn,
            Topic::Test if line.contains("failed") => Level::Error,
            Topic::Test | Topic::Fault | Topic::Check | Topic::Note => Level::Info,
            _ => Level::Debug,
        };
        assert_eq!(event.kind.level(), expected, "{line}");
    }
    let failed = EventKind::Check { check: 1, step: CheckStep::Failed, text: String::new() };
    assert_eq!(failed.level(), Level::Error);
}

#[test]
fn recorded_events_come_back_unchanged_and_in_order() {
    let expected: Vec<Event> = samples().into_iter().map(|(event, _)| event).collect();
    let recorder = recorded();
    assert_eq!(recorder.events().collect::<Vec<_>>(), expected);
    assert_eq!(recorder.len(), expected.len() as u64);
    assert_eq!(recorder.count(Topic::Rpc), 5);
    assert_eq!(recorder.count(Topic::Log), 4);
}

#[test]
fn the_hash_of_a_fixed_stream_never_changes() {
    // If this fails, the format of records has changed: old record files and hashes have lost their meaning. Kinds that
    // were added later are not in the stream.
    let recorder = Recorder::new(Options::default());
    let old = samples().into_iter().filter(|(event, _)| !matches!(event.kind, EventKind::FaultCutoff { .. }));
    old.for_each(|(event, _)| recorder.record(event));
    assert_eq!(recorder.hash(), 0xe0ae_f1d1_0ad7_883f, "{:#x}", recorder.hash());
}

#[test]
fn the_streams_hash_is_the_hash_of_the_encoded_bytes() {
    let recorder = recorded();
    let bytes = recorder.encoded().concat();
    assert_eq!(recorder.hash(), xxhash_rust::xxh3::xxh3_64(&bytes));
    let decoded: Event = labgob::Decoder::new(&bytes).take().unwrap();
    assert_eq!(decoded, samples()[0].0);
}

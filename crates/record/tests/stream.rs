//! The stream: its order, its hash, its limit, and the scope through which the threads of a run find it.

use ids::{Index, ServerId, Term};
use labstd::{simulate, thread, time::Duration};
use record::{Event, EventKind, Loss, Options, Recorder, Scope};

const BYTES_SENT: u64 = 100;

fn sent(call: u64) -> EventKind {
    EventKind::RpcSent {
        call,
        from: Some(ServerId(0)),
        to: ServerId(1).into(),
        method: "Raft.AppendEntries".into(),
        bytes: BYTES_SENT,
    }
}

fn event(at: u64, kind: EventKind) -> Event {
    Event { at, server: None, kind }
}

fn stream_of(events: impl IntoIterator<Item = Event>) -> Recorder {
    let recorder = Recorder::default();
    events.into_iter().for_each(|event| recorder.record(event));
    recorder
}

#[test]
fn a_new_stream_is_empty() {
    let recorder = Recorder::default();
    assert!(recorder.is_empty());
    assert_eq!(recorder.events().next(), None);
    assert_eq!(recorder.encoded().len(), 0);
}

#[test]
fn streams_have_equal_hashes_only_if_they_are_equal() {
    let stream = || vec![event(1, sent(1)), event(2, sent(2))];
    let hash = stream_of(stream()).hash();
    assert_eq!(stream_of(stream()).hash(), hash);

    let mut later = stream();
    later[1].at += 1;
    let mut elsewhere = stream();
    elsewhere[0].server = Some(ServerId(0));
    let swapped = vec![event(1, sent(2)), event(2, sent(1))];
    let shorter = stream()[..1].to_vec();
    for other in [later, elsewhere, swapped, shorter, vec![]] {
        assert_ne!(stream_of(other).hash(), hash);
    }
}

#[test]
fn a_long_stream_comes_back_whole() {
    let recorder = stream_of((0..10_000).map(|n| event(n * 1000, sent(n))));
    assert!(recorder.encoded().len() > 2, "the stream must need several pieces");
    assert!(recorder.events().enumerate().all(|(n, got)| got == event(n as u64 * 1000, sent(n as u64))));
    assert_eq!(recorder.events().count(), 10_000);
}

#[test]
fn an_event_larger_than_a_piece_is_kept() {
    let text = "x".repeat(1 << 20);
    let recorder =
        stream_of([event(0, sent(1)), event(1, EventKind::Failed { text: text.clone() }), event(2, sent(2))]);
    assert_eq!(recorder.events().nth(1).unwrap().kind, EventKind::Failed { text });
    assert_eq!(recorder.events().count(), 3);
}

#[test]
fn a_clone_is_the_same_stream() {
    let recorder = Recorder::default();
    recorder.clone().record(event(5, sent(1)));
    assert_eq!(recorder.len(), 1);
}

#[test]
fn times_never_decrease() {
    let recorder = stream_of([event(9, sent(1)), event(4, sent(2)), event(10, sent(3))]);
    assert_eq!(recorder.events().map(|event| event.at).collect::<Vec<_>>(), [9, 9, 10]);
}

/// Sixty seconds of calls. Every seventh call is lost, and each has a change of term beside it.
fn long_run() -> impl Iterator<Item = Event> {
    const CALLS: u64 = 60_000;
    (0..CALLS).flat_map(|n| {
        let at = n * 1_000_000;
        let end = if n % 7 == 0 {
            EventKind::RpcLost { call: n, reason: Loss::ReplyDropped }
        } else {
            EventKind::RpcReplied { call: n, bytes: 5 }
        };
        let kinds = [sent(n), EventKind::RpcDelivered { call: n }, EventKind::TermChanged { term: Term(n) }, end];
        kinds.map(|kind| event(at, kind))
    })
}

#[test]
fn beyond_the_limit_completed_calls_become_counts() {
    const KEPT: usize = 3 << 20;
    let (small, large) = (Recorder::new(Options { kept_bytes_max: KEPT, ..Options::default() }), stream_of(long_run()));
    long_run().for_each(|event| small.record(event));

    assert_eq!((large.omitted(), large.events().count() as u64), (0, large.len()));
    assert_eq!((small.hash(), small.len()), (large.hash(), large.len()));
    let kept: usize = small.encoded().iter().map(|piece| piece.len()).sum();
    let all: usize = large.encoded().iter().map(|piece| piece.len()).sum();
    assert!(kept < KEPT + (128 << 10) && all > 3 * KEPT / 2, "{kept} bytes of {all} are kept");

    let is_of_completed_call = |event: &Event| match event.kind {
        EventKind::RpcSent { call, .. } | EventKind::RpcDelivered { call } => call % 7 != 0,
        EventKind::RpcReplied { .. } => true,
        _ => false,
    };
    let others = |recorder: &Recorder| {
        let omission = |event: &Event| matches!(event.kind, EventKind::CallsOmitted { .. });
        recorder.events().filter(|event| !is_of_completed_call(event) && !omission(event)).collect::<Vec<_>>()
    };
    assert_eq!(others(&small), others(&large));

    let (mut omitted, mut bytes) = (0, 0);
    let mut latest = 0;
    for event in small.events() {
        assert!(event.at >= latest, "times never decrease");
        latest = event.at;
        if let EventKind::CallsOmitted { since, calls, bytes: window_bytes } = event.kind {
            assert!(since < event.at && event.at <= 50_000_000_000, "the last ten seconds are kept whole");
            assert!(since > 1_000_000_000, "the beginning is kept whole");
            (omitted, bytes) = (omitted + calls, bytes + window_bytes);
        }
    }
    assert_eq!(small.omitted(), 3 * omitted);
    let left: Vec<Event> = small.events().filter(is_of_completed_call).collect();
    assert_eq!(left.len() as u64 + small.omitted(), large.events().filter(is_of_completed_call).count() as u64);
    assert_eq!(bytes, omitted * (5 + BYTES_SENT));
}

#[test]
fn recent_events_are_kept_whatever_the_limit() {
    let recorder = Recorder::new(Options { kept_bytes_max: 1000, ..Options::default() });
    (0..20_000).for_each(|n| recorder.record(event(n, sent(n))));
    assert_eq!((recorder.omitted(), recorder.events().count()), (0, 20_000));
}

#[test]
fn outside_of_a_run_nothing_is_recorded() {
    assert!(!record::enabled());
    assert!(record::scope().is_none());
    record::emit(sent(1));
    record::emit_for(Some(ServerId(1)), sent(2));
}

#[test]
fn a_recorder_that_is_off_records_nothing_and_says_so() {
    let recorder = Recorder::new(Options::off());
    let stream = recorder.clone();
    simulate(3, move || {
        Scope::new(&stream, Some(ServerId(2))).enter("S2", || {
            assert!(!record::enabled());
            assert!(record::scope().is_none());
            record::emit(sent(1));
            record::emit_for(None, sent(2));
            thread::spawn("worker", || record::emit(sent(3))).join().unwrap();
            stream.record(event(1, sent(4)));
        });
    });
    assert!(recorder.is_empty());
    assert_eq!((recorder.events().count(), recorder.hash()), (0, Recorder::default().hash()));
}

#[test]
fn threads_report_for_their_groups_server_at_the_runs_time() {
    let recorder = Recorder::default();
    let stream = recorder.clone();
    simulate(3, move || {
        assert!(!record::enabled(), "the run has no scope of its own");
        let tester = Scope::new(&stream, None);
        tester.enter("tester", || {
            record::emit(EventKind::CommandAgreed { index: Index(1), servers: 3 });
            let server = Scope::new(&stream, Some(ServerId(2)));
            let worker = server.enter("S2", || {
                thread::spawn("worker", || {
                    thread::sleep(Duration::from_millis(5));
                    assert!(record::enabled());
                    assert_eq!(record::scope().unwrap().server, Some(ServerId(2)));
                    record::emit(EventKind::Committed { index: Index(1) });
                    record::emit_for(Some(ServerId(4)), EventKind::TermChanged { term: Term(2) });
                })
            });
            worker.join().unwrap();
        });
    });
    let lines: Vec<String> = recorder.events().map(|event| event.to_string()).collect();
    assert_eq!(
        lines,
        [
            "000000 CLNT -- index 1 is agreed on by 3 servers",
            "000050 CMIT S2 commits up to index 1",
            "000050 TERM S4 moves to term 2",
        ]
    );
}

#[test]
fn concurrent_os_threads_lose_no_event() {
    let recorder = Recorder::default();
    std::thread::scope(|threads| {
        for server in 0..4 {
            let recorder = &recorder;
            threads.spawn(move || {
                for n in 0..1000 {
                    recorder.record(Event { at: n, server: Some(ServerId(server)), kind: sent(n) });
                }
            });
        }
    });
    for server in 0..4 {
        let calls = recorder.events().filter(|event| event.server == Some(ServerId(server))).map(|event| event.kind);
        assert!(calls.eq((0..1000).map(sent)), "the events of one thread stay in their order");
    }
    let times: Vec<u64> = recorder.events().map(|event| event.at).collect();
    assert!(times.is_sorted());
}

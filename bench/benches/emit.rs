//! The cost of reporting an event, with a recorder that is on, with one that is off, and without one: `cargo bench
//! --manifest-path bench/Cargo.toml --bench emit`. It includes the cost of creating the event, because every reporter
//! pays it.
//!
//! A sample is a new run with a stream of its own, in which one thread reports an event [`EVENTS`] times. The time of
//! one event is the inverse of the throughput in items.

use divan::Bencher;
use divan::counter::ItemsCount;
use ids::{Index, ServerId, Term};
use record::{EventKind, Excerpt, OperationKind, Options, Recorder, Scope};

const EVENTS: u64 = 10_000;

/// The measured states of the recorder.
const STATES: [RecorderState; 3] = [RecorderState::On, RecorderState::Off, RecorderState::Absent];

#[derive(Clone, Copy, Debug)]
enum RecorderState {
    On,
    Off,
    Absent,
}

fn main() {
    divan::main();
}

/// One of the three events that each call has, the most frequent ones.
#[divan::bench(args = STATES)]
fn call_delivered(bencher: Bencher<'_, '_>, state: RecorderState) {
    report(bencher, state, |n| record::emit_for(Some(ServerId(1)), EventKind::RpcDelivered { call: n }));
}

#[divan::bench(args = STATES)]
fn call_sent(bencher: Bencher<'_, '_>, state: RecorderState) {
    report(bencher, state, |n| {
        // As in the network, which gets the method's name from its caller.
        record::with_scope(|scope| {
            let method = std::hint::black_box("Raft.AppendEntries");
            scope.emit_rpc_sent(n, &ServerId(1).into(), method, 97);
        });
    });
}

#[divan::bench(args = STATES)]
fn entry_applied(bencher: Bencher<'_, '_>, state: RecorderState) {
    report(bencher, state, |n| record::emit(EventKind::Applied { index: Index(n), term: Term(3) }));
}

#[divan::bench(args = STATES)]
fn operation_begun(bencher: Bencher<'_, '_>, state: RecorderState) {
    report(bencher, state, |n| {
        if record::enabled() {
            let (key, value) = (std::hint::black_box("7").to_string(), Excerpt::from("x 3 141 y"));
            let kind = OperationKind::Append;
            record::emit(EventKind::OperationBegun { operation: n, client: 3, kind, key, value });
        }
    });
}

fn report(bencher: Bencher<'_, '_>, state: RecorderState, event: impl Fn(u64) + Copy + Send + Sync + 'static) {
    let stream = || match state {
        RecorderState::On => Some(Recorder::default()),
        RecorderState::Off => Some(Recorder::new(Options::off())),
        RecorderState::Absent => None,
    };
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(stream).bench_values(move |stream| {
        labstd::simulate(1, move || match &stream {
            None => (0..EVENTS).for_each(event),
            Some(stream) => Scope::new(stream, Some(ServerId(0))).enter("S0", || (0..EVENTS).for_each(event)),
        });
    });
}

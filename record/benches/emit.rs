//! What it costs to report an event, with a recorder that is on, with one that is off, and where nobody records:
//! `cargo bench -p record --bench emit`. The cost of making the event is part of it, as it is for whoever reports.
//!
//! A sample is a new run with a stream of its own, in which one thread reports an event [`EVENTS`] times; the time of one
//! is the inverse of the throughput in items.

use divan::Bencher;
use divan::counter::ItemsCount;
use record::{EventKind, Excerpt, Index, OperationKind, Options, Recorder, Scope, ServerId, Term};

const EVENTS: u64 = 10_000;

/// Whom the reports go to.
const RECORDERS: [Recorded; 3] = [Recorded::On, Recorded::Off, Recorded::Nowhere];

#[derive(Clone, Copy, Debug)]
enum Recorded {
    On,
    Off,
    Nowhere,
}

fn main() {
    divan::main();
}

/// The most frequent ones: a call has three.
#[divan::bench(args = RECORDERS)]
fn call_delivered(bencher: Bencher<'_, '_>, recorded: Recorded) {
    report(bencher, recorded, |n| record::emit_for(Some(ServerId(1)), EventKind::RpcDelivered { call: n }));
}

#[divan::bench(args = RECORDERS)]
fn call_sent(bencher: Bencher<'_, '_>, recorded: Recorded) {
    report(bencher, recorded, |n| {
        // As in the network, which has the name of the method from its caller.
        record::with_scope(|scope| {
            let method = std::hint::black_box("Raft.AppendEntries");
            scope.emit_sent(n, &ServerId(1).into(), method, 97);
        });
    });
}

#[divan::bench(args = RECORDERS)]
fn entry_applied(bencher: Bencher<'_, '_>, recorded: Recorded) {
    report(bencher, recorded, |n| record::emit(EventKind::Applied { index: Index(n), term: Term(3) }));
}

#[divan::bench(args = RECORDERS)]
fn operation_begun(bencher: Bencher<'_, '_>, recorded: Recorded) {
    report(bencher, recorded, |n| {
        if record::enabled() {
            let (key, value) = (std::hint::black_box("7").to_string(), Excerpt::from("x 3 141 y"));
            let what = OperationKind::Append;
            record::emit(EventKind::OperationBegun { operation: n, client: 3, what, key, value });
        }
    });
}

fn report(bencher: Bencher<'_, '_>, recorded: Recorded, event: impl Fn(u64) + Copy + Send + Sync + 'static) {
    let stream = || match recorded {
        Recorded::On => Some(Recorder::default()),
        Recorded::Off => Some(Recorder::new(Options::off())),
        Recorded::Nowhere => None,
    };
    bencher.counter(ItemsCount::new(EVENTS)).with_inputs(stream).bench_values(move |stream| {
        labstd::simulate(1, move || match &stream {
            None => (0..EVENTS).for_each(event),
            Some(stream) => Scope::new(stream, Some(ServerId(0))).enter("S0", || (0..EVENTS).for_each(event)),
        });
    });
}

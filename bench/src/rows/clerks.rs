//! Throughput and latency of clerks with three servers on threads.

use std::time::Duration;

use bench::sample::median;

use crate::clerks::{Until, put};
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const PUT_1: Row = Row {
    name: "put-1",
    what: "Puts of 16 bytes, 3 servers on threads, maxraftstate 1000, 1 clerk, two cores",
    against: "Go: 7.6 k/s",
    targets: &[Target { label: "", unit: Unit::EachSecond, must: 23e3, goal: 150e3 }],
    slow: false,
    measure: put_1,
};

pub(super) const PUT_32: Row = Row {
    name: "put-32",
    what: "the same, 32 clerks, one key each",
    against: "Go: 6.1 k/s; 9.2 ms",
    targets: &[
        Target { label: "Puts", unit: Unit::EachSecond, must: 122e3, goal: 365e3 },
        Target { label: "99th percentile", unit: Unit::Seconds, must: 0.9e-3, goal: 0.3e-3 },
    ],
    slow: false,
    measure: put_32,
};

pub(super) const LONG_LOG: Row = Row {
    name: "long-log",
    what: "the same with maxraftstate -1, after 50,000 operations",
    against: "at the start of the same run",
    targets: &[
        Target { label: "1 clerk", unit: Unit::TimesTheSpeed, must: 0.8, goal: 0.95 },
        Target { label: "32 clerks", unit: Unit::TimesTheSpeed, must: 0.8, goal: 0.95 },
    ],
    slow: false,
    measure: long_log,
};

/// The size in bytes of the saved Raft state at which the services of the lab make a snapshot.
pub(super) const MAX_RAFT_STATE: usize = 1000;

/// Duration of each measurement.
pub(super) const MEASURED: Duration = Duration::from_secs(3);

fn put_1(setting: &Setting) -> Measured {
    let mut medians = Vec::new();
    let rounds = (0..setting.rounds).map(|_| {
        let operations = put(1, Some(MAX_RAFT_STATE), Until::Elapsed(MEASURED));
        medians.push(operations.latency(0.5));
        [operations.a_second()]
    });
    let samples = Samples::of_rounds(rounds);
    Ok(samples.note(format!("median latency {}", Unit::Seconds.show(median(&medians)))))
}

fn put_32(setting: &Setting) -> Measured {
    let mut medians = Vec::new();
    let rounds = (0..setting.rounds).map(|_| {
        let operations = put(32, Some(MAX_RAFT_STATE), Until::Elapsed(MEASURED));
        medians.push(operations.latency(0.5));
        [operations.a_second(), operations.latency(0.99)]
    });
    let samples = Samples::of_rounds(rounds);
    Ok(samples.note(format!("median latency {}", Unit::Seconds.show(median(&medians)))))
}

/// Number of warm-up operations, which do not count.
const WARM: usize = 2_000;

/// The length of a long log, in entries.
const LONG: usize = 50_000;

/// Number of operations that are timed at each end.
const WINDOW: usize = 10_000;

fn long_log(setting: &Setting) -> Measured {
    Ok(Samples::of_rounds((0..setting.rounds).map(|_| [1, 32].map(speed_kept))))
}

/// Returns the speed of `clerks` clerks with a long log, divided by their speed with a short one.
fn speed_kept(clerks: usize) -> f64 {
    let ends = put(clerks, None, Until::Operations((LONG + WINDOW + 1) as u64)).ends;
    let window = |first: usize| (ends[first + WINDOW] - ends[first]).as_secs_f64();
    window(WARM) / window(LONG)
}

//! Our core compared with that of `raft-rs`, without threads, network and encoding.

use bench::sample::{Alternating, median};

use crate::core;
use crate::cpu;
use crate::peers::raft_rs;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const CORE_1: Row = Row {
    name: "core-1",
    what: "the core alone: 3 servers, one thread, CPU time, 16-byte proposals one by one, applied on all three",
    against: "raft-rs 0.7, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheSpeed, must: 1.0, goal: 3.0 }],
    slow: false,
    measure: |setting| compare::<1>(setting),
};

pub(super) const CORE_64: Row = Row {
    name: "core-64",
    what: "the same, 64 proposals at once",
    against: "raft-rs 0.7, one message of 64, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheSpeed, must: 0.7, goal: 1.5 }],
    slow: false,
    measure: |setting| compare::<64>(setting),
};

/// Number of proposals in each measurement.
const PROPOSALS: usize = 200_000;

fn compare<const BATCH: usize>(setting: &Setting) -> Measured {
    let commands = [*b"16 bytes of text"; BATCH];
    let ours = || {
        let mut cluster = core::Cluster::new();
        Ok(proposals_a_second(BATCH, || cluster.replicate(&commands)))
    };
    let theirs = || {
        let mut cluster = raft_rs::Cluster::new();
        Ok(proposals_a_second(BATCH, || cluster.replicate(&commands)))
    };
    let turns = cpu::on_cores(1, || Alternating::measure(setting.rounds, ours, theirs))?;
    let shown = [&turns.a, &turns.b].map(|samples| Unit::EachSecond.show(median(samples)));
    let [ours, theirs] = shown;
    Ok(Samples::of_rounds(turns.ratios()).note(format!("{ours}; raft-rs: {theirs}")))
}

/// Returns the proposals per second of CPU time of `replicate`, which makes `batch` proposals in each call. CPU time is
/// right, because it runs on one thread that never waits.
fn proposals_a_second(batch: usize, mut replicate: impl FnMut()) -> f64 {
    let ((), seconds) = cpu::spent(|| (0..PROPOSALS / batch).for_each(|_| replicate()));
    (PROPOSALS / batch * batch) as f64 / seconds
}

//! Our service compared with `openraft`, on two cores.

use bench::sample::{Alternating, median};

use crate::clerks::{Until, put};
use crate::peers::openraft::puts_a_second;
use crate::pipeline;
use crate::row::{Measured, Row, Samples, Setting};
use crate::rows::clerks::{MAX_RAFT_STATE, MEASURED};
use crate::target::{Target, Unit};

pub(super) const OPENRAFT_64: Row = Row {
    name: "openraft-64",
    what: "Puts of 16 bytes, 3 servers, 64 clerks, two cores",
    against: "openraft, 64 clients, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheSpeed, must: 0.7, goal: 1.5 }],
    slow: false,
    measure: |setting| compare(setting, 64, || put(64, Some(MAX_RAFT_STATE), Until::Elapsed(MEASURED)).a_second()),
};

pub(super) const OPENRAFT_1024: Row = Row {
    name: "openraft-1024",
    what: "1,024 operations in flight, two cores",
    against: "openraft, 1,024 clients, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheSpeed, must: 0.7, goal: 2.0 }],
    slow: false,
    measure: |setting| compare(setting, 1024, || pipeline::puts_a_second(1024, MEASURED)),
};

/// Measures our service and `openraft` in turns.
fn compare(setting: &Setting, clients: u64, mut ours: impl FnMut() -> f64) -> Measured {
    let turns = Alternating::measure(setting.rounds, || Ok(ours()), || Ok(puts_a_second(clients, MEASURED)))?;
    let [ours, theirs] = [&turns.a, &turns.b].map(|samples| Unit::EachSecond.show(median(samples)));
    Ok(Samples::of_rounds(turns.ratios()).note(format!("{ours}; openraft: {theirs}")))
}

//! Our service beside `openraft`, on two cores.

use bench::sample::{Turns, median};

use crate::clerks::{Until, put};
use crate::figure::{Bar, Unit};
use crate::peers::openraft::puts_a_second;
use crate::pipeline;
use crate::row::{Figures, Measured, Row, Setting};
use crate::rows::clerks::{MAX_RAFT_STATE, MEASURED};

pub(super) const OPENRAFT_64: Row = Row {
    name: "openraft-64",
    what: "Puts of 16 bytes, 3 servers, 64 clerks, two cores",
    against: "openraft, 64 clients, in the same run",
    bars: &[Bar { label: "", unit: Unit::TimesTheSpeed, must: 0.7, goal: 1.5 }],
    slow: false,
    measure: |setting| beside(setting, 64, || put(64, Some(MAX_RAFT_STATE), Until::Elapsed(MEASURED)).a_second()),
};

pub(super) const OPENRAFT_1024: Row = Row {
    name: "openraft-1024",
    what: "1,024 operations in flight, two cores",
    against: "openraft, 1,024 clients, in the same run",
    bars: &[Bar { label: "", unit: Unit::TimesTheSpeed, must: 0.7, goal: 2.0 }],
    slow: false,
    measure: |setting| beside(setting, 1024, || pipeline::puts_a_second(1024, MEASURED)),
};

/// Ours and theirs in turns.
fn beside(setting: &Setting, clients: u64, mut ours: impl FnMut() -> f64) -> Measured {
    let turns = Turns::take(setting.rounds, || Ok(ours()), || Ok(puts_a_second(clients, MEASURED)))?;
    let [ours, theirs] = [&turns.a, &turns.b].map(|figures| Unit::EachSecond.show(median(figures)));
    Ok(Figures::of_rounds(turns.ratios()).note(format!("{ours}; openraft: {theirs}")))
}

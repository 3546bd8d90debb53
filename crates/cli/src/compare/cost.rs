//! The cost of a test, in the columns that both Go and we print, and medians of costs.

use tester::Metrics;

use crate::summary::upper_median;

/// The cost of one test. A column that was not printed is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) rpcs: u64,
    pub(super) bytes: Option<u64>,
    pub(super) commands: Option<u64>,
}

impl From<Metrics> for Cost {
    fn from(figures: Metrics) -> Cost {
        let Metrics { elapsed, servers: _, rpcs, bytes, commands } = figures;
        Cost { seconds: elapsed.as_secs_f64(), rpcs, bytes: Some(bytes), commands: Some(commands) }
    }
}

/// Returns the median of each column; with an even number, the upper of the two middle values. `None` if `costs` is
/// empty.
pub(super) fn medians(costs: &[Cost]) -> Option<Cost> {
    let optional = |column: fn(&Cost) -> Option<u64>| upper_median(costs.iter().filter_map(column).collect(), Ord::cmp);
    Some(Cost {
        seconds: upper_median(costs.iter().map(|cost| cost.seconds).collect(), f64::total_cmp)?,
        rpcs: upper_median(costs.iter().map(|cost| cost.rpcs).collect(), Ord::cmp)?,
        bytes: optional(|cost| cost.bytes),
        commands: optional(|cost| cost.commands),
    })
}

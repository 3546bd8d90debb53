//! A load and its result, the same types for both clusters.

use std::time::Duration;

use bench::sample::{median, percentile};

/// Duration of the warm-up, whose operations do not count. `raftlab bench` has its own warm-up.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// The load of one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Number of concurrent clients. Each makes one Put after the other.
    pub(crate) clients: usize,
    /// `true` if the servers wait for the disk before they reply.
    pub(crate) sync: bool,
    /// Duration of the measurement, in seconds.
    pub(crate) seconds: u64,
}

/// The result of one round, or the medians of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LoadResult {
    /// Operations of all clients per second.
    pub(crate) a_second: f64,
    /// The median latency, in milliseconds.
    pub(crate) p50_ms: f64,
    /// The 99th percentile of the latency, in milliseconds.
    pub(crate) p99_ms: f64,
}

impl LoadResult {
    /// Computes the result of the operations that ended within `measured`.
    ///
    /// # Errors
    ///
    /// If there are no operations.
    pub(crate) fn of_latencies(mut latencies: Vec<Duration>, measured: Duration) -> Result<LoadResult, String> {
        if latencies.is_empty() {
            return Err(format!("no operation ended in {} s", measured.as_secs()));
        }
        latencies.sort_unstable();
        let [p50_ms, p99_ms] = [0.5, 0.99].map(|share| percentile(&latencies, share).as_secs_f64() * 1e3);
        Ok(LoadResult { a_second: latencies.len() as f64 / measured.as_secs_f64(), p50_ms, p99_ms })
    }

    /// Returns the median of each figure; `None` if there are no rounds.
    pub(crate) fn medians(rounds: &[LoadResult]) -> Option<LoadResult> {
        let middle = |figure: fn(&LoadResult) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        (!rounds.is_empty()).then(|| LoadResult {
            a_second: middle(|round| round.a_second),
            p50_ms: middle(|round| round.p50_ms),
            p99_ms: middle(|round| round.p99_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_counts_the_operations_that_ended_in_time() {
        let latencies = (1..=1000).rev().map(Duration::from_millis).collect();
        let result = LoadResult::of_latencies(latencies, Duration::from_secs(2)).expect("there are operations");
        assert_eq!(result, LoadResult { a_second: 500.0, p50_ms: 501.0, p99_ms: 991.0 });
        assert!(LoadResult::of_latencies(Vec::new(), Duration::from_secs(2)).is_err());
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let round = |a_second, p50_ms, p99_ms| LoadResult { a_second, p50_ms, p99_ms };
        let rounds = [round(1.0, 20.0, 100.0), round(2.0, 30.0, 300.0), round(3.0, 10.0, 200.0)];
        assert_eq!(LoadResult::medians(&rounds), Some(round(2.0, 20.0, 200.0)));
        assert_eq!(LoadResult::medians(&[]), None);
    }
}

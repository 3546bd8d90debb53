//! A load, and what comes of it: the same for each of the clusters that are compared.

use std::time::Duration;

use bench::sample::{median, percentile};

/// How long clients work before their operations count. `raftlab bench` has its own.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// What a cluster has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// How many clients put at the same time, each one Put after the other.
    pub(crate) clients: usize,
    /// Whether the servers wait for the disk before they answer.
    pub(crate) sync: bool,
    /// How long it counts.
    pub(crate) seconds: u64,
}

/// What a cluster has done in one round, or in the middle of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    /// Operations a second, of all clients.
    pub(crate) a_second: f64,
    /// The latency that half of them do not exceed, in milliseconds.
    pub(crate) p50_ms: f64,
    /// The latency that 99 of a hundred do not exceed, in milliseconds.
    pub(crate) p99_ms: f64,
}

impl Figures {
    /// Of the operations that ended within `measured`.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub(crate) fn of_latencies(mut latencies: Vec<Duration>, measured: Duration) -> Result<Figures, String> {
        if latencies.is_empty() {
            return Err(format!("no operation ended in {} s", measured.as_secs()));
        }
        latencies.sort_unstable();
        let [p50_ms, p99_ms] = [0.5, 0.99].map(|share| percentile(&latencies, share).as_secs_f64() * 1e3);
        Ok(Figures { a_second: latencies.len() as f64 / measured.as_secs_f64(), p50_ms, p99_ms })
    }

    /// The median of each figure; nothing of no rounds.
    pub(crate) fn medians(rounds: &[Figures]) -> Option<Figures> {
        let middle = |figure: fn(&Figures) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        (!rounds.is_empty()).then(|| Figures {
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
    fn figures_are_of_what_ended_in_the_time() {
        let latencies = (1..=1000).rev().map(Duration::from_millis).collect();
        let figures = Figures::of_latencies(latencies, Duration::from_secs(2)).expect("there are operations");
        assert_eq!(figures, Figures { a_second: 500.0, p50_ms: 501.0, p99_ms: 991.0 });
        assert!(Figures::of_latencies(Vec::new(), Duration::from_secs(2)).is_err());
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let round = |a_second, p50_ms, p99_ms| Figures { a_second, p50_ms, p99_ms };
        let rounds = [round(1.0, 20.0, 100.0), round(2.0, 30.0, 300.0), round(3.0, 10.0, 200.0)];
        assert_eq!(Figures::medians(&rounds), Some(round(2.0, 20.0, 200.0)));
        assert_eq!(Figures::medians(&[]), None);
    }
}

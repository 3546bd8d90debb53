//! Tools for tests of code that runs under both clocks.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::run::{Run, run};

/// Limit of the virtual time of one simulated test, so that an endless wait fails.
const SIMULATED_TIME_LIMIT: Duration = Duration::from_secs(300);

/// Runs a test body in the simulation with each of these seeds, for at most 300 s of virtual time each.
///
/// # Panics
///
/// With the failure and the seed, if a run fails.
pub fn simulate_seeds(seeds: RangeInclusive<u64>, body: impl Fn() + Send + Sync + Copy + 'static) {
    for seed in seeds {
        let outcome = Run::simulated(seed).time_limit(SIMULATED_TIME_LIMIT).execute(boxed(body));
        outcome.result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"));
    }
}

/// Runs a test body in the simulation with each of these seeds, and once on threads.
///
/// # Panics
///
/// If a run fails.
pub fn under_both_clocks(seeds: RangeInclusive<u64>, body: impl Fn() + Send + Sync + Copy + 'static) {
    simulate_seeds(seeds, body);
    run(boxed(body));
}

/// Hides the type of a body, so that a run is compiled once for all bodies.
fn boxed(body: impl FnOnce() + Send + 'static) -> Box<dyn FnOnce() + Send> {
    Box::new(body)
}

/// Turns each named function into two tests: `simulated::NAME` runs it with these seeds, `threads::NAME` on OS threads.
///
/// ```
/// labstd::under_both_clocks! { seeds 1..=8; locks_exclude, channels_deliver }
///
/// fn locks_exclude() {}
/// fn channels_deliver() {}
/// # fn main() {}
/// ```
// The pointers have one type, so what runs them is compiled once for all tests of a program.
#[macro_export]
macro_rules! under_both_clocks {
    (seeds $seeds:expr; $($name:ident),+ $(,)?) => {
        /// Each test in the simulation.
        mod simulated {
            $(#[test] fn $name() { $crate::testing::simulate_seeds($seeds, super::$name as fn()); })+
        }
        /// Each test on threads.
        mod threads {
            $(#[test] fn $name() { $crate::run(super::$name as fn()); })+
        }
    };
}

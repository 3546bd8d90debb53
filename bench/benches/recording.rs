//! The cost of recording: all simulated scenarios of the course with the recorder on and off, on one thread.
//!
//! `cargo bench --manifest-path bench/Cargo.toml --bench recording` runs each scenario with recording on and then off,
//! in three rounds; `cargo bench --bench recording -- 10` makes ten rounds. The fastest time of each scenario counts,
//! because other load of the machine only adds to it. The checker, which judges the clients' history after the run,
//! counts as part of the run; the last column excludes it. With recording on, all scenarios together must take at most
//! 1.3 times as long as with it off.

use std::time::{Duration, Instant};

use kvraft::KvServer;
use record::Options;
use tester::{Clock, KvSubject, Part, Scenario, Subject, kv_scenarios, raft_scenarios, runner};

const ROUNDS: usize = 3;

const LIMIT: f64 = 1.3;

/// The fastest times of one or more scenarios.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// With recording on and off, including the checker.
    whole: [Duration; 2],
    /// The same without the checker.
    run: [Duration; 2],
}

impl Times {
    const ZERO: Times = Times { whole: [Duration::ZERO; 2], run: [Duration::ZERO; 2] };
    const MAX: Times = Times { whole: [Duration::MAX; 2], run: [Duration::MAX; 2] };

    fn add(&mut self, other: &Times) {
        for side in 0..2 {
            self.whole[side] += other.whole[side];
            self.run[side] += other.run[side];
        }
    }

    fn ratio([on, off]: [Duration; 2]) -> f64 {
        on.as_secs_f64() / off.as_secs_f64()
    }
}

fn main() {
    let mut scenarios = raft_scenarios(&Subject::of::<raft::Raft>());
    scenarios.extend(kv_scenarios(&KvSubject::of::<KvServer<raft::Raft>>()));
    scenarios.retain(|scenario| scenario.info.from_course);
    assert_eq!(scenarios.len(), 51, "the scenarios of the course");
    // cargo adds `--bench`.
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);

    let mut fastest = vec![Times::MAX; scenarios.len()];
    for _ in 0..rounds {
        for (scenario, times) in scenarios.iter().zip(&mut fastest) {
            for (side, options) in [Options::default(), Options::off()].into_iter().enumerate() {
                let (whole, run) = measure(scenario, options);
                times.whole[side] = times.whole[side].min(whole);
                times.run[side] = times.run[side].min(run);
            }
        }
    }

    println!("{:<5} {:>10} {:>10} {:>7} {:>18}", "part", "on", "off", "ratio", "without checker");
    let mut all = Times::ZERO;
    for part in Part::ALL {
        let mut of_part = Times::ZERO;
        for (_, times) in scenarios.iter().zip(&fastest).filter(|(scenario, _)| scenario.info.part == part) {
            of_part.add(times);
        }
        row(part.number(), &of_part);
        all.add(&of_part);
    }
    row("all", &all);
    let verdict = if Times::ratio(all.whole) <= LIMIT { "at most" } else { "MORE THAN" };
    println!("with recording on, the scenarios take {verdict} {LIMIT} times what they take with it off");
}

/// Returns the duration of a run, with the checker and without.
fn measure(scenario: &Scenario, options: Options) -> (Duration, Duration) {
    let begun = Instant::now();
    let report = runner::run_with(scenario, Clock::Simulated, 1, options);
    let whole = begun.elapsed();
    assert!(report.passed(), "{}: {:?}", report.info.name, report.verdict);
    (whole, report.stats.wall_time)
}

fn row(name: &str, times: &Times) {
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let [on, off] = times.whole.map(milliseconds);
    let (ratio, without) = (Times::ratio(times.whole), Times::ratio(times.run));
    println!("{name:<5} {on:>10} {off:>10} {ratio:>7.3} {without:>18.3}");
}

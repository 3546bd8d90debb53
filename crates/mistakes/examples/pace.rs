//! Measures how the pace of the clients in the generic tests of part 4 changes the cost of finding a mistake.
//!
//! `cargo run --release -p mistakes --example pace` runs the course's scenarios against each mistake of a key/value
//! service, at several paces. It prints the CPU seconds spent per run that failed, for each mistake and pace; `-` means
//! that no run failed. Below are the geometric mean over the mistakes that every pace finds, the number of operations
//! of all scenarios together, and their CPU time without a mistake. `-- 20` runs 20 seeds of each scenario, not 3.

use std::fs;
use std::process::ExitCode;

use labstd::time::Duration;
use mistakes::{KvMistake, KvServer, Raft};
use tester::{Clock, KvSubject, PACE, Scenario, Verdict, kv_scenarios_at_pace, runner};

#[path = "../tests/kv_subjects/mod.rs"]
mod kv_subjects;

/// The mean pauses to measure, in milliseconds.
const PACES_MS: [u64; 7] = [0, 5, 10, 15, 20, 25, 35];

/// Number of seeds of each scenario, without an argument.
const SEEDS: u64 = 3;

/// The cost of the scenarios at one pace.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: Duration,
    failed: u32,
    operations: u64,
}

impl Cost {
    /// CPU seconds per failed run.
    fn of_a_catch(&self) -> Option<f64> {
        (self.failed > 0).then(|| self.cpu.as_secs_f64() / f64::from(self.failed))
    }
}

fn main() -> ExitCode {
    let seeds = match std::env::args().nth(1).map(|text| text.parse()) {
        None => SEEDS,
        Some(Ok(seeds)) => seeds,
        Some(Err(error)) => {
            eprintln!("error: the number of seeds: {error}");
            return ExitCode::from(2);
        }
    };
    println!("CPU seconds per run that fails, by the mean pause in ms ({} is the pace of the tests)", PACE.as_millis());
    println!("{:34} {}", "", PACES_MS.map(|ms| format!("{ms:>7}")).concat());
    let mut found_by_all = Vec::new();
    for mistake in KvMistake::ALL.iter().copied() {
        let costs = PACES_MS.map(|ms| cost(kv_subjects::scenarios_with(mistake, Duration::from_millis(ms)), seeds));
        let catches = costs.map(|cost| cost.of_a_catch());
        println!("{:34} {}", format!("{mistake:?}"), catches.map(cell).concat());
        found_by_all.extend(catches.iter().copied().collect::<Option<Vec<f64>>>());
    }
    let means: [f64; PACES_MS.len()] = std::array::from_fn(|pace| {
        let logarithms = found_by_all.iter().map(|catches: &Vec<f64>| catches[pace].ln());
        (logarithms.sum::<f64>() / found_by_all.len() as f64).exp()
    });
    println!("{:34} {}", "geometric mean", means.map(|seconds| cell(Some(seconds))).concat());
    let correct = PACES_MS.map(|ms| cost(correct(Duration::from_millis(ms)), seeds));
    let each = |cost: Cost| cost.operations / seeds;
    println!("{:34} {}", "operations of all scenarios", correct.map(|cost| format!("{:>7}", each(cost))).concat());
    let cpu = correct.map(|cost| cell(Some(cost.cpu.as_secs_f64() / seeds as f64)));
    println!("{:34} {}", "CPU seconds without a mistake", cpu.concat());
    ExitCode::SUCCESS
}

/// Returns the scenarios, run against servers and clerks without a mistake.
fn correct(pace: Duration) -> Vec<Scenario> {
    kv_scenarios_at_pace(&KvSubject::with_factory(<KvServer<Raft>>::factory(None)), pace)
}

fn cell(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| format!("{:>7}", "-"), |seconds| format!("{seconds:>7.3}"))
}

/// Runs the course's scenarios.
fn cost(scenarios: Vec<Scenario>, seeds: u64) -> Cost {
    let mut sum = Cost::default();
    let begun = cpu_time();
    for scenario in scenarios.iter().filter(|scenario| scenario.info.from_course) {
        for seed in 1..=seeds {
            let report = runner::run(scenario, Clock::Simulated, seed);
            match report.verdict {
                Verdict::Passed(stages) => {
                    sum.operations += stages.iter().map(|stage| stage.metrics.commands).sum::<u64>()
                }
                _ => sum.failed += 1,
            }
        }
    }
    sum.cpu = cpu_time() - begun;
    sum
}

/// Returns the CPU time of this process.
fn cpu_time() -> Duration {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("this measurement needs Linux");
    // The name of the process, in parentheses, may contain spaces. The times are the fields 14 and 15.
    let fields = stat.rsplit(')').next().expect("the fields after the name").split(' ').skip(12).take(2);
    let ticks: f64 = fields.map(|field| field.parse::<f64>().expect("a number of ticks")).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

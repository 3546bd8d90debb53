//! The cost of the course's scenarios, in this process: simulated, with and without the recorder, and on threads.

use std::thread;
use std::time::Duration;

use bench::sample::{Alternating, median};
use kvraft::KvServer;
use record::Options;
use tester::{
    Clock, KvSubject, Report, Scenario, Subject, Verdict, kv_scenarios, kv_scenarios_at_pace, raft_scenarios,
    runner::{self, run_with},
};

use crate::cpu;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const RAFT_SIM: Row = Row {
    name: "raft-sim",
    what: "the course's 28 Raft scenarios simulated once, one core, CPU time",
    against: "0.32 s for 23 of them, best known",
    targets: &[Target { label: "", unit: Unit::Seconds, must: 0.4, goal: 0.2 }],
    slow: false,
    measure: raft_sim,
};

pub(super) const KV_SIM: Row = Row {
    name: "kv-sim",
    what: "the course's 23 key/value scenarios simulated once, with clients that do not pause, checking included, one core, CPU time an operation of a clerk",
    against: "17-46 us an RPC, best known simulation",
    targets: &[Target { label: "", unit: Unit::Seconds, must: 10e-6, goal: 4e-6 }],
    slow: false,
    measure: kv_sim,
};

pub(super) const RECORDING: Row = Row {
    name: "recording",
    what: "the 28 + 23 scenarios simulated, with recording on, CPU time",
    against: "recording off, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheCost, must: 1.3, goal: 1.1 }],
    slow: false,
    measure: recording,
};

pub(super) const RAFT_CPU: Row = Row {
    name: "raft-cpu",
    what: "the 28 Raft scenarios on threads, all at once, CPU time",
    against: "Go: 11.3 s",
    targets: &[Target { label: "", unit: Unit::Seconds, must: 6.0, goal: 3.0 }],
    slow: false,
    measure: raft_cpu,
};

/// Returns the course's scenarios of Raft, run against the reference.
pub(super) fn raft_scenarios_of_course() -> Vec<Scenario> {
    select_course(raft_scenarios(&Subject::of::<raft::Raft>()), 28)
}

/// Returns the course's scenarios of the key/value service, run against the reference.
pub(super) fn kv_scenarios_of_course() -> Vec<Scenario> {
    select_course(kv_scenarios(&KvSubject::of::<KvServer<raft::Raft>>()), 23)
}

fn select_course(mut scenarios: Vec<Scenario>, expected: usize) -> Vec<Scenario> {
    scenarios.retain(|scenario| scenario.info.from_course);
    assert_eq!(scenarios.len(), expected, "the scenarios of the course");
    scenarios
}

fn raft_sim(setting: &Setting) -> Measured {
    let scenarios = raft_scenarios_of_course();
    let round = || simulate_all(&scenarios, Options::default()).map(|(_, seconds)| [seconds]);
    let rounds: Result<Vec<_>, String> = (0..setting.rounds).map(|_| round()).collect();
    Ok(Samples::of_rounds(rounds?))
}

fn kv_sim(setting: &Setting) -> Measured {
    let subject = KvSubject::of::<KvServer<raft::Raft>>();
    let without_pauses = select_course(kv_scenarios_at_pace(&subject, Duration::ZERO), 23);
    let at_the_pace = kv_scenarios_of_course();
    let (mut each, mut whole, mut paced, mut operations) = (Vec::new(), Vec::new(), Vec::new(), [0, 0]);
    for _ in 0..setting.rounds {
        let (done, seconds) = simulate_all(&without_pauses, Options::default())?;
        let (paced_operations, paced_seconds) = simulate_all(&at_the_pace, Options::default())?;
        operations = [done, paced_operations];
        whole.push(seconds);
        paced.push(paced_seconds);
        each.push([seconds / done as f64]);
    }
    let [without, with] = [&whole, &paced].map(|seconds| median(seconds));
    let [done, paced_operations] = operations;
    let note = format!("{done} operations in {without:.2} s; clients that pause: {paced_operations} in {with:.2} s");
    Ok(Samples::of_rounds(each).note(note))
}

/// Measures each scenario with recording on and then off.
fn recording(setting: &Setting) -> Measured {
    let scenarios: Vec<Scenario> = raft_scenarios_of_course().into_iter().chain(kv_scenarios_of_course()).collect();
    let mut turns = Alternating::default();
    for _ in 0..setting.rounds {
        let (mut on, mut off) = (0.0, 0.0);
        for scenario in scenarios.chunks(1) {
            on += simulate_all(scenario, Options::default())?.1;
            off += simulate_all(scenario, Options::off())?.1;
        }
        turns.a.push(on);
        turns.b.push(off);
    }
    let note = format!("{:.2} s on, {:.2} s off", median(&turns.a), median(&turns.b));
    Ok(Samples::of_rounds(turns.ratios()).note(note))
}

fn raft_cpu(setting: &Setting) -> Measured {
    let scenarios = raft_scenarios_of_course();
    let mut disturbed = 0;
    let mut rounds = Vec::new();
    for seed in 1..=setting.rounds as u64 {
        let (reports, seconds) = cpu::spent(|| {
            thread::scope(|scope| {
                let runs: Vec<_> = scenarios
                    .iter()
                    .map(|scenario| scope.spawn(move || runner::run(scenario, Clock::Threads, seed)))
                    .collect();
                runs.into_iter().map(|run| run.join().expect("a runner does not panic")).collect::<Vec<Report>>()
            })
        });
        for report in reports {
            match report.verdict {
                Verdict::Disturbed(_) => disturbed += 1,
                _ => drop(passed(report)?),
            }
        }
        rounds.push([seconds]);
    }
    let samples = Samples::of_rounds(rounds);
    Ok(if disturbed == 0 { samples } else { samples.note(format!("{disturbed} runs were disturbed by other work")) })
}

/// Simulates each scenario once, on one core. Returns the number of commands, or of clerk operations, and the CPU time
/// in seconds.
fn simulate_all(scenarios: &[Scenario], options: Options) -> Result<(u64, f64), String> {
    let run = |scenario| passed(run_with(scenario, Clock::Simulated, 1, options));
    let (commands, seconds) =
        cpu::on_cores(1, || cpu::spent(|| scenarios.iter().map(run).sum::<Result<u64, String>>()));
    Ok((commands?, seconds))
}

/// Returns the number of commands of a passed run; a run that did not pass is an error.
fn passed(report: Report) -> Result<u64, String> {
    match report.verdict {
        Verdict::Passed(stages) => Ok(stages.iter().map(|stage| stage.metrics.commands).sum()),
        other => Err(format!("{} did not pass: {other:?}", report.info.name)),
    }
}

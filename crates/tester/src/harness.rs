//! Body of the generated tests: choose the seeds, wait at the gate, run, print the lines, repeat a disturbed run, write
//! the [artifacts], and fail with the command that replays the failure.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use labstd::{Clock, rng};
use record::Options;

use crate::artifacts::interrupt::{self, ActiveRun};
use crate::artifacts::{self, ArtifactStore, Artifacts};
use crate::determinism;
use crate::report::{Report, Verdict};
use crate::runner::{self, Observers};
use crate::scenario::Scenario;
use crate::{fault_cutoff, gate, lines, recorded_rerun};

pub use crate::stderr::print;

/// Last seed of each simulated scenario under `cargo test`, which runs seeds 1 to this.
const SEEDS: u64 = 3;

/// Maximum number of repetitions of a disturbed run.
const REPEATS_MAX: usize = 3;

/// Number of disturbed runs in this process.
static DISTURBED: AtomicU64 = AtomicU64::new(0);

/// Selection of the runs that are recorded from their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// All runs.
    All,
    /// Runs on threads, which cannot run again. A simulated run that fails, and whose files are kept, is recorded in
    /// another run of its seed, as `recorded_rerun` describes. If events are printed as they happen, or if passing runs
    /// are written to disk, then simulated runs are recorded from their start too.
    OnlyFailures,
}

impl Recording {
    /// Returns the settings of the recorder of a run under this clock.
    fn options(self, clock: Clock) -> Options {
        let needs_record = prints_events() || ArtifactStore::from_env().keeps_all();
        match (self, clock) {
            (Recording::OnlyFailures, Clock::Simulated) if !needs_record => Options::off(),
            _ => Options::default(),
        }
    }
}

/// A finished run that has not been reported yet. Until then, Ctrl-C treats it as active.
#[derive(Debug)]
#[must_use = "a finished run must be reported"]
pub struct FinishedRun {
    report: Report,
    scenario: Scenario,
    active_run: ActiveRun,
}

impl FinishedRun {
    /// Returns the report of the run.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes the record and the timeline of the run, if `may_write` is set and [`ArtifactStore::should_write`] agrees.
    /// If the run has failed and is not recorded yet, its seed first runs again, with a record. Then calls `report_run`
    /// with the report and the paths.
    pub fn finish<T>(self, may_write: bool, report_run: impl FnOnce(Report, Artifacts) -> T) -> T {
        let FinishedRun { report, scenario, active_run } = self;
        let store = ArtifactStore::from_env();
        let may_write = may_write && !unwritten(&report);
        let report = if may_write { recorded_rerun::with_record(&scenario, report) } else { report };
        active_run.report(|| {
            let mut artifacts = Artifacts::default();
            if may_write && report.record.is_on() && store.should_write(&report) {
                artifacts = store.write(
                    &artifacts::name(&report.info, report.clock, report.seed, report.fault_cutoff),
                    &report.record,
                );
            }
            report_run(report, artifacts)
        })
    }
}

/// Runs a generated test: the scenario `name` of `scenarios`, in the package that contains the test.
///
/// # Panics
///
/// If the scenario fails. The message ends with the paths of its record and its timeline, and with the command that
/// replays the failure.
pub fn run_test(scenarios: &[Scenario], clock: Clock, name: &str, package: &str) {
    // An invalid LAB_LOG must be reported, but it is not a fault of the code under test.
    if let Err(error) = record::live::init_from_env() {
        panic!("{error}");
    }
    record::install_logger();
    let scenario = scenarios.iter().find(|scenario| scenario.info.name == name);
    let scenario = scenario.expect("the test names are the names in the table");
    let seeds = seeds(clock, |name| std::env::var(name).ok()).unwrap_or_else(|error| panic!("{error}"));
    let recording = if seeds.len() as u64 > SEEDS { Recording::OnlyFailures } else { Recording::All };
    for seed in seeds {
        let (report, artifacts) = run_and_report(scenario, clock, seed, recording);
        match report.run_failure() {
            None => {}
            Some(run_failure) if run_failure.unwritten => fail(format!("{name}: {}", run_failure.text)),
            Some(run_failure) => {
                fail(format!("{name} failed: {}\n{}", run_failure.text, failure_footer(&report, &artifacts, package)))
            }
        }
    }
}

/// Fails the calling test with exactly this text. A line number or a backtrace of the harness would not help anyone, so
/// there is none.
fn fail(text: String) -> ! {
    eprintln!("{text}");
    std::panic::resume_unwind(Box::new(text))
}

/// Runs a scenario and prints its lines to standard error, including the lines of disturbed runs. Also prints the paths
/// of its record and its timeline, if they were written.
pub fn run_and_print(scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    run_and_report(scenario, clock, seed, Recording::All).0
}

fn run_and_report(scenario: &Scenario, clock: Clock, seed: u64, recording: Recording) -> (Report, Artifacts) {
    interrupt::install();
    let failed = |report: &Report| !report.passed() && !prints_events();
    let finished = run_if(|| true, scenario, clock, seed, recording, failed, print).expect("the run was wanted");
    finished.finish(true, |report, artifacts| {
        // If the code is not written yet, then the failure of the test says so; no more lines are needed.
        if !unwritten(&report) {
            print(&(report.lines() + &indented_artifact_lines(&artifacts)));
        }
        (report, artifacts)
    })
}

/// Waits at the gate and runs a scenario. A disturbed run on threads is repeated up to three times; `on_repeat` is
/// called with its lines each time.
pub fn run_undisturbed(
    scenario: &Scenario,
    clock: Clock,
    seed: u64,
    recording: Recording,
    on_repeat: impl Fn(&str),
) -> FinishedRun {
    run_if(|| true, scenario, clock, seed, recording, |_| false, on_repeat).expect("the run was wanted")
}

/// Like [`run_undisturbed`], but starts only if `still_wanted` returns true once the gate admits the run. A simulated
/// run for which `run_again` returns true is [run again](determinism::rerun), after another run that records it if
/// `recording` requires that; a divergence becomes the failure of the report. Aborted runs, and runs of code that is
/// not written yet, are not run again because there is nothing to compare. A run with a foreign thread is not run again
/// either, because that thread is the reason why the second run would differ.
pub fn run_if(
    still_wanted: impl Fn() -> bool,
    scenario: &Scenario,
    clock: Clock,
    seed: u64,
    recording: Recording,
    run_again: impl Fn(&Report) -> bool,
    on_repeat: impl Fn(&str),
) -> Option<FinishedRun> {
    let _permit = gate::admit(clock, &scenario.info);
    let mut repeats = 0;
    loop {
        if !still_wanted() {
            return None;
        }
        let observers = Observers::new(recording.options(clock), determinism::recorded_orders());
        let active_run = ActiveRun::begin(scenario, clock, seed, &observers);
        let report = runner::run_observed(&observers, scenario, clock, seed);
        if report.passed() && !observers.record.is_on() {
            active_run.has_passed();
        }
        let finished = |report| Some(FinishedRun { report, scenario: scenario.clone(), active_run });
        if !matches!(report.verdict, Verdict::Disturbed(_)) {
            let comparable = clock == Clock::Simulated && !matches!(report.verdict, Verdict::Aborted(_));
            if !comparable || unwritten(&report) || has_foreign_thread(&report) || !run_again(&report) {
                return finished(report);
            }
            let report = recorded_rerun::with_record(scenario, report);
            if report.divergence.is_some() {
                return finished(report);
            }
            let divergence = determinism::rerun(scenario, &report);
            return finished(report.with(divergence));
        }
        let disturbed = DISTURBED.fetch_add(1, Relaxed) + 1;
        if repeats == REPEATS_MAX {
            return finished(report);
        }
        repeats += 1;
        let again = format!(
            "      the machine was busy: {} is repeated ({disturbed} disturbed runs in this process so far)\n",
            scenario.info.name
        );
        on_repeat(&(report.lines() + &again));
    }
}

/// Returns whether `LAB_LOG` prints events as they happen. Then a second run would be printed too, and be mistaken for
/// the first.
pub fn prints_events() -> bool {
    std::env::var_os(record::live::VARIABLE).is_some_and(|filter| !filter.is_empty())
}

/// Returns whether a run reached code that is not written yet.
fn unwritten(report: &Report) -> bool {
    report.run_failure().is_some_and(|run_failure| run_failure.unwritten)
}

/// Returns whether a thread from outside of the simulation took part in a run.
fn has_foreign_thread(report: &Report) -> bool {
    report.run_failure().is_some_and(|run_failure| run_failure.foreign_thread)
}

/// Formats the paths of a run's files for printing below the run's lines; empty if there are none.
pub fn indented_artifact_lines(artifacts: &Artifacts) -> String {
    let lines = artifacts.lines(None);
    if lines.is_empty() { lines } else { lines::indented(&lines) + "\n" }
}

/// Returns the end of a failure message: the paths of the run's files, its seed, and the command that runs it again.
pub fn failure_footer(report: &Report, artifacts: &Artifacts, package: &str) -> String {
    let files = artifacts.lines(Some(package));
    let end_of_line = if files.is_empty() { "" } else { "\n" };
    format!("{files}{end_of_line}seed:    {}\n{}", report.seed, replay_command(report, package))
}

/// Returns the number of disturbed runs in this process.
pub fn disturbed_runs() -> u64 {
    DISTURBED.load(Relaxed)
}

/// Returns the command that repeats a failed run.
pub fn replay_command(report: &Report, package: &str) -> String {
    let (scenario, seed) = (report.info.name, report.seed);
    match report.clock {
        // The generated tests have no option for the fault cutoff.
        Clock::Simulated if report.fault_cutoff.is_some() => {
            let from = report.fault_cutoff.map_or(String::new(), fault_cutoff::format_moment);
            format!("replay:  cargo run --release -p {package} -- run {scenario} --seed {seed} --calm-from {from}")
        }
        Clock::Simulated if report.divergence.is_some() => format!(
            "again:   LAB_SEED={seed} cargo test -p {package} -- simulated::{scenario}   (each run differs until the \
             code is deterministic)"
        ),
        Clock::Simulated => format!(
            "replay:  LAB_SEED={seed} cargo test -p {package} -- simulated::{scenario}\n    or:  cargo run --release -p \
             {package} -- run {scenario} --seed {seed}"
        ),
        Clock::Threads => format!(
            "again:   cargo test -p {package} -- threads::{scenario}   (threads cannot be replayed; search for a \
             seed: cargo run --release -p {package} -- run {scenario} -n 1000)"
        ),
    }
}

/// Returns the seeds to run, from the environment: `LAB_SEED=n` selects that one, `LAB_RUNS=k` selects 1 to k. On
/// threads there is always one run, because it takes real time and its seed does not replay it.
fn seeds(clock: Clock, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<u64>, String> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{name}={text:?} is not a number: give one, as in {name}=7, or unset it")),
        },
    };
    match (number("LAB_SEED")?, number("LAB_RUNS")?) {
        (Some(_), Some(_)) => Err("LAB_SEED selects one run, LAB_RUNS several: set only one of them".to_string()),
        (Some(seed), None) => Ok(vec![seed]),
        (None, Some(0)) => Err("LAB_RUNS=0 would test nothing: give 1 or more, or unset it".to_string()),
        (None, runs) => match clock {
            Clock::Simulated => Ok((1..=runs.unwrap_or(SEEDS)).collect()),
            Clock::Threads => Ok(vec![rng::fresh_seed()]),
        },
    }
}

/// Turns the scenarios of the Raft lab into tests of `$raft`, which implements [`Raft`](raftapi::Raft). Each becomes
/// one test in a module `simulated` and one in a module `threads`.
#[macro_export]
macro_rules! raft_tests {
    ($raft:ty) => {
        $crate::raft_tests!($raft, package = env!("CARGO_PKG_NAME"));
    };
    ($raft:ty, package = $package:expr) => {
        $crate::__tests! {
            __for_each_raft_scenario, $crate::raft_scenarios(&$crate::Subject::of::<$raft>()), $package
        }
    };
}

/// Turns the scenarios of the key/value lab into tests of `$service`, which implements
/// [`KvService`](raftapi::KvService). Each becomes one test in a module `simulated` and one in a module `threads`.
#[macro_export]
macro_rules! kv_tests {
    ($service:ty) => {
        $crate::kv_tests!($service, package = env!("CARGO_PKG_NAME"));
    };
    ($service:ty, package = $package:expr) => {
        $crate::__tests! {
            __for_each_kv_scenario, $crate::kv_scenarios(&$crate::KvSubject::of::<$service>()), $package
        }
    };
}

/// Turns the scenarios of the key/value lab that need no network in this process into tests of the clusters that
/// `$make_cluster`, a [`KvClusterFactory`](crate::KvClusterFactory), starts. Each becomes one test on threads, in the
/// calling module.
#[macro_export]
macro_rules! kv_tests_on {
    ($make_cluster:expr) => {
        $crate::__for_each_kv_scenario_on_any_cluster!(
            __tests_under Threads, $crate::kv_scenarios_on(&$make_cluster), env!("CARGO_PKG_NAME")
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($for_each:ident, $scenarios:expr, $package:expr) => {
        /// Every scenario in the simulation.
        mod simulated {
            use super::*;
            $crate::$for_each!(__tests_under Simulated, $scenarios, $package);
        }
        /// Every scenario on threads.
        mod threads {
            use super::*;
            $crate::$for_each!(__tests_under Threads, $scenarios, $package);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests_under {
    (($clock:ident, $scenarios:expr, $package:expr) $($name:ident)*) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "a scenario's name ends in its part, as in the course")]
            fn $name() {
                $crate::harness::run_test(&$scenarios, $crate::Clock::$clock, stringify!($name), $package);
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds_with(variables: &[(&str, &str)]) -> Result<Vec<u64>, String> {
        let find = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, text)| text.to_string());
        seeds(Clock::Simulated, find)
    }

    #[test]
    fn seeds_come_from_the_environment() {
        assert_eq!(seeds_with(&[]), Ok(vec![1, 2, 3]));
        assert_eq!(seeds_with(&[("LAB_SEED", "42")]), Ok(vec![42]));
        assert_eq!(seeds_with(&[("LAB_RUNS", "5")]), Ok(vec![1, 2, 3, 4, 5]));
    }

    #[test]
    fn on_threads_there_is_one_seed() {
        let many = |name: &str| (name == "LAB_RUNS").then(|| "1000".to_string());
        assert_eq!(seeds(Clock::Threads, many).map(|seeds| seeds.len()), Ok(1));
    }

    #[test]
    fn an_invalid_seed_is_an_error_with_advice() {
        let error = seeds_with(&[("LAB_SEED", "seven")]).unwrap_err();
        assert_eq!(error, "LAB_SEED=\"seven\" is not a number: give one, as in LAB_SEED=7, or unset it");
        assert!(seeds_with(&[("LAB_RUNS", "0")]).is_err());
        assert!(seeds_with(&[("LAB_SEED", "1"), ("LAB_RUNS", "2")]).is_err());
    }
}

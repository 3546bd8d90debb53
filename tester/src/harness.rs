//! What the generated tests do: pick the seeds, pass the gate, run, print the lines, repeat a disturbed run, write what is
//! to be [artifacts](crate::keep) of it, and fail with the command that replays the failure.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use labstd::{Clock, rng};
use record::Recorder;

use crate::determinism;
use crate::artifacts::interrupt::{self, ActiveRun};
use crate::artifacts::{self, ArtifactStore, Artifacts};
use crate::runner::{self, Report, Verdict};
use crate::scenario::Scenario;
use crate::{fault_cutoff, gate, lines};

/// Under `cargo test` each simulated scenario runs seeds 1 to this.
const SEEDS: u64 = 3;

/// How often a disturbed run is repeated.
const REPEATS_MAX: usize = 3;

/// Runs that were disturbed in this process.
static DISTURBED: AtomicU64 = AtomicU64::new(0);

/// A run that is over, and that nobody has been told of: until then it counts as under way if somebody presses Ctrl-C.
#[derive(Debug)]
#[must_use = "somebody has to be told how it went"]
pub struct FinishedRun {
    report: Report,
    active_run: ActiveRun,
}

impl FinishedRun {
    /// How it went.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes the record and the picture of the run, if `may_write` and [`ArtifactStore::should_write`] it, and calls `on_repeat` with how it
    /// went and where they are.
    pub fn finish<T>(self, may_write: bool, report_run: impl FnOnce(Report, Artifacts) -> T) -> T {
        let FinishedRun { report, active_run } = self;
        let store = ArtifactStore::from_env();
        active_run.report(|| {
            let mut artifacts = Artifacts::default();
            if may_write && !unwritten(&report) && store.should_write(&report) {
                artifacts = store
                    .write(&artifacts::name(&report.info, report.clock, report.seed, report.fault_cutoff), &report.record);
            }
            report_run(report, artifacts)
        })
    }
}

/// The body of a generated test of the scenario `name` of `scenarios`, in the package that has the test.
///
/// # Panics
///
/// If the scenario fails; the message ends with where its record and its picture are, and with the command that replays the
/// failure.
pub fn run_test(scenarios: &[Scenario], clock: Clock, name: &str, package: &str) {
    // A mistake in LAB_LOG must not go unnoticed, but it is no fault of the code under test.
    if let Err(error) = record::live::init_from_env() {
        panic!("{error}");
    }
    record::install_logger();
    let scenario = scenarios.iter().find(|scenario| scenario.info.name == name);
    let scenario = scenario.expect("the names of the tests are those of the table");
    let seeds = seeds(clock, |name| std::env::var(name).ok()).unwrap_or_else(|error| panic!("{error}"));
    for seed in seeds {
        let (report, artifacts) = run_and_report(scenario, clock, seed);
        match report.run_failure() {
            None => {}
            Some(run_failure) if run_failure.unwritten => fail(format!("{name}: {}", run_failure.text)),
            Some(run_failure) => fail(format!("{name} failed: {}\n{}", run_failure.text, failure_footer(&report, &artifacts, package))),
        }
    }
}

/// Fails the test that calls this, with this text and nothing else: where in the harness it fails says nothing to anybody, so
/// there is no line of it and no backtrace.
fn fail(text: String) -> ! {
    eprintln!("{text}");
    std::panic::resume_unwind(Box::new(text))
}

/// Runs a scenario and prints its lines to standard error, those of disturbed runs included, and where its record and its
/// picture are, if they were written.
pub fn run_and_print(scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    run_and_report(scenario, clock, seed).0
}

fn run_and_report(scenario: &Scenario, clock: Clock, seed: u64) -> (Report, Artifacts) {
    interrupt::install();
    let failed = |report: &Report| !report.passed() && !prints_events();
    let finished = run_if(|| true, scenario, clock, seed, failed, print).expect("it was to begin");
    finished.finish(true, |report, artifacts| {
        // What is not written yet says so in the failure of its test; that is enough.
        if !unwritten(&report) {
            print(&(report.lines() + &indented_artifact_lines(&artifacts)));
        }
        (report, artifacts)
    })
}

/// Waits at the gate and runs a scenario. On threads a run that was disturbed is repeated, up to three times;
/// `on_repeat` is called with its lines.
pub fn run_undisturbed(scenario: &Scenario, clock: Clock, seed: u64, on_repeat: impl Fn(&str)) -> FinishedRun {
    run_if(|| true, scenario, clock, seed, |_| false, on_repeat).expect("it was to begin")
}

/// As [`run_undisturbed`], but begins only if `still_wanted` says so when its turn comes at the gate. A simulated run of which
/// `run_again` says so is run [again](again()), and if that differs, the report has it as what went wrong. Runs that were given up
/// and runs of code that is not written yet are not: there is nothing to compare.
pub fn run_if(
    still_wanted: impl Fn() -> bool,
    scenario: &Scenario,
    clock: Clock,
    seed: u64,
    run_again: impl Fn(&Report) -> bool,
    on_repeat: impl Fn(&str),
) -> Option<FinishedRun> {
    let _pass = gate::admit(clock, &scenario.info);
    let mut repeats = 0;
    loop {
        if !still_wanted() {
            return None;
        }
        let record = Recorder::default();
        let active_run = ActiveRun::begin(scenario, clock, seed, &record);
        let report = runner::run_into(record, determinism::recorded_orders(), scenario, clock, seed);
        if !matches!(report.verdict, Verdict::Disturbed(_)) {
            let comparable = clock == Clock::Simulated && !matches!(report.verdict, Verdict::Aborted(_));
            let divergence =
                if comparable && !unwritten(&report) && run_again(&report) { determinism::rerun(scenario, &report) } else { None };
            return Some(FinishedRun { report: report.with(divergence), active_run });
        }
        let disturbed = DISTURBED.fetch_add(1, Relaxed) + 1;
        if repeats == REPEATS_MAX {
            return Some(FinishedRun { report, active_run });
        }
        repeats += 1;
        let again = format!(
            "      the machine was busy: {} is repeated ({disturbed} disturbed runs in this process so far)\n",
            scenario.info.name
        );
        on_repeat(&(report.lines() + &again));
    }
}

/// Whether `LAB_LOG` has events printed as they happen: then a second run would be printed too, and be taken for the first.
pub fn prints_events() -> bool {
    std::env::var_os(record::live::VARIABLE).is_some_and(|filter| !filter.is_empty())
}

/// Whether a run came to code that is not written yet.
fn unwritten(report: &Report) -> bool {
    report.run_failure().is_some_and(|run_failure| run_failure.unwritten)
}

/// Where files of a run are, as it is printed below the run's lines; nothing if there are none.
pub fn indented_artifact_lines(artifacts: &Artifacts) -> String {
    let lines = artifacts.lines(None);
    if lines.is_empty() { lines } else { lines::indented(&lines) + "\n" }
}

/// What stands at the end of a failure: where the run's files are, its seed, and the command that runs it again.
pub fn failure_footer(report: &Report, artifacts: &Artifacts, package: &str) -> String {
    let files = artifacts.lines(Some(package));
    let end_of_line = if files.is_empty() { "" } else { "\n" };
    format!("{files}{end_of_line}seed:    {}\n{}", report.seed, replay_command(report, package))
}

/// How many runs were disturbed in this process.
pub fn disturbed_runs() -> u64 {
    DISTURBED.load(Relaxed)
}

/// The command that runs a failed run again.
pub fn replay_command(report: &Report, package: &str) -> String {
    let (scenario, seed) = (report.info.name, report.seed);
    match report.clock {
        // The tests know nothing of calm.
        Clock::Simulated if report.fault_cutoff.is_some() => {
            let from = report.fault_cutoff.map_or(String::new(), fault_cutoff::format_moment);
            format!("replay:  cargo run --release -p {package} -- run {scenario} --seed {seed} --calm-from {from}")
        }
        Clock::Simulated if report.divergence.is_some() => format!(
            "again:   LAB_SEED={seed} cargo test -p {package} -- simulated::{scenario}   (another run each time, until the \
             code is deterministic)"
        ),
        Clock::Simulated => format!(
            "replay:  LAB_SEED={seed} cargo test -p {package} -- simulated::{scenario}\n    or:  cargo run --release -p \
             {package} -- run {scenario} --seed {seed}"
        ),
        Clock::Threads => format!(
            "again:   cargo test -p {package} -- threads::{scenario}   (threads cannot be replayed; look for a seed: cargo \
             run --release -p {package} -- run {scenario} -n 1000)"
        ),
    }
}

/// The seeds to run, from the environment: `LAB_SEED=n` for that one, `LAB_RUNS=k` for 1 to k. On threads, where a run
/// takes real time and a seed does not bring it back, there is always one.
fn seeds(clock: Clock, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<u64>, String> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{name}={text:?} is not a number: give one, as in {name}=7, or unset it")),
        },
    };
    match (number("LAB_SEED")?, number("LAB_RUNS")?) {
        (Some(_), Some(_)) => Err("LAB_SEED names one run, LAB_RUNS several: set one of them".to_string()),
        (Some(seed), None) => Ok(vec![seed]),
        (None, Some(0)) => Err("LAB_RUNS=0 would test nothing: give 1 or more, or unset it".to_string()),
        (None, runs) => match clock {
            Clock::Simulated => Ok((1..=runs.unwrap_or(SEEDS)).collect()),
            Clock::Threads => Ok(vec![rng::fresh_seed()]),
        },
    }
}

/// Writes to standard error itself, in one piece: the test runner captures only what goes through `print!`.
pub fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Turns the scenarios of the Raft lab into tests of `$raft`, which implements [`Raft`](raftapi::Raft): each once in a
/// module `simulated` and once in a module `threads`.
#[macro_export]
macro_rules! raft_tests {
    ($raft:ty) => {
        $crate::__tests! { __for_each_raft_scenario, $crate::raft_scenarios(&$crate::Subject::<$raft>::new()) }
    };
}

/// Turns the scenarios of the key/value lab into tests of `$service`, which implements
/// [`KvService`](raftapi::KvService): each once in a module `simulated` and once in a module `threads`.
#[macro_export]
macro_rules! kv_tests {
    ($service:ty) => {
        $crate::__tests! { __for_each_kv_scenario, $crate::kv_scenarios(&$crate::KvSubject::<$service>::new()) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($for_each:ident, $scenarios:expr) => {
        /// Every scenario in the simulation.
        mod simulated {
            $crate::$for_each!(__tests_under Simulated, $scenarios);
        }
        /// Every scenario on threads.
        mod threads {
            $crate::$for_each!(__tests_under Threads, $scenarios);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests_under {
    (($clock:ident, $scenarios:expr) $($name:ident)*) => {
        use super::*;
        $(
            #[test]
            #[expect(non_snake_case, reason = "a scenario's name ends in its part, as in the course")]
            fn $name() {
                let package = env!("CARGO_PKG_NAME");
                $crate::harness::run_test(&$scenarios, $crate::Clock::$clock, stringify!($name), package);
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
    fn on_threads_there_is_one_run() {
        let many = |name: &str| (name == "LAB_RUNS").then(|| "1000".to_string());
        assert_eq!(seeds(Clock::Threads, many).map(|seeds| seeds.len()), Ok(1));
    }

    #[test]
    fn a_seed_that_is_none_is_an_error_that_says_what_to_do() {
        let error = seeds_with(&[("LAB_SEED", "seven")]).unwrap_err();
        assert_eq!(error, "LAB_SEED=\"seven\" is not a number: give one, as in LAB_SEED=7, or unset it");
        assert!(seeds_with(&[("LAB_RUNS", "0")]).is_err());
        assert!(seeds_with(&[("LAB_SEED", "1"), ("LAB_RUNS", "2")]).is_err());
    }
}

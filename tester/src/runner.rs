//! One run of one scenario, under one clock, with one seed: from a fresh cluster to a [`Report`].

use labstd::time::Duration;
use labstd::{Clock, Failure, Outcome, Run, Stats};
use raftapi::Unwritten;
use record::{Event, EventKind, Options, Recorder, Scope};

use crate::determinism::Divergence;
use crate::fault_cutoff;
use crate::diagnosis::{self, Diagnosis};
use crate::history_check::{self, OrdersToRecord};
use crate::lines;
use crate::scenario::{ScenarioInfo, Layer, Progress, Scenario, Stage, ScenarioOutcome};
use crate::violation::{ViolationKind, Violation};

/// How long a scenario may take on its own clock, as in the course.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How many scheduler steps a simulated scenario of this layer may take. The reference's longest need a hundredth of it, or,
/// with the clients of a key/value service, a sixtieth.
pub const fn steps_max(layer: Layer) -> u64 {
    match layer {
        Layer::Raft => 20_000_000,
        Layer::Kv => 100_000_000,
    }
}

/// How late sleeps may wake before a limit that is broken on threads says nothing.
pub const LATENESS_MAX: Duration = Duration::from_millis(100);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario.
    pub info: ScenarioInfo,
    /// The clock it ran under.
    pub clock: Clock,
    /// Its seed.
    pub seed: u64,
    /// From when on nothing went wrong any more, if it was told so: see [`calm`].
    pub fault_cutoff: Option<Duration>,
    /// How it went.
    pub verdict: Verdict,
    /// The stages that had ended well when a run was broken off that did not pass.
    pub finished_stages: Vec<Stage>,
    /// The title of the stage that was under way then, if it was known.
    pub active_stage: Option<String>,
    /// What the scheduler and the clock say of it.
    pub stats: Stats,
    /// Where a second run of the seed was another one, if there was a second run, and it was.
    pub divergence: Option<Divergence>,
    /// Everything that happened.
    pub record: Recorder,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It passed, and its stages cost this.
    Passed(Vec<Stage>),
    /// A check did not hold, or a thread went wrong.
    Failed(RunFailure),
    /// A limit was broken on threads while the machine was too slow to tell whose fault that was.
    Disturbed(RunFailure),
    /// The simulation had to be given up; nothing is claimed about the code under test.
    Aborted(RunFailure),
    /// All checks held during the run, but what its clients saw is too hard to judge; nothing is claimed about it.
    Undecided(RunFailure),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFailure {
    /// In words. The first line is the sentence of the check; the last ones are those of the diagnosis.
    pub text: String,
    /// When, on the run's own clock.
    pub at: Duration,
    /// Whether the run came to code that nobody has written yet: [`raftapi::unwritten`].
    pub unwritten: bool,
    /// The rule that was broken, or may have been.
    pub diagnosis: Diagnosis,
}

impl RunFailure {
    /// What went wrong, without a diagnosis.
    pub(crate) fn plain(text: String, at: Duration) -> RunFailure {
        RunFailure { text, at, unwritten: false, diagnosis: Diagnosis::default() }
    }

    /// What went wrong, with the rule that is to blame.
    fn diagnosed(text: &str, at: Duration, diagnosis: Diagnosis) -> RunFailure {
        RunFailure { text: diagnosis.insert_into(text), at, unwritten: false, diagnosis }
    }
}

impl Report {
    /// The hash of everything that happened. In a simulation the same seed gives the same hash.
    pub fn hash(&self) -> u64 {
        self.record.hash()
    }

    /// Whether the run passed.
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Passed(_))
    }

    /// What went wrong, if something did.
    pub fn run_failure(&self) -> Option<&RunFailure> {
        match &self.verdict {
            Verdict::Passed(_) => None,
            Verdict::Failed(run_failure)
            | Verdict::Disturbed(run_failure)
            | Verdict::Aborted(run_failure)
            | Verdict::Undecided(run_failure) => Some(run_failure),
        }
    }

    /// The title of the stage that was under way at the end, or of the whole.
    pub fn title(&self) -> &str {
        self.active_stage.as_ref().unwrap_or(&self.info.title)
    }

    /// The two lines of the course for each stage that ended well; for one that did not its title and what went wrong.
    pub fn lines(&self) -> String {
        let part = self.info.part;
        let of = |stages: &[Stage]| stages.iter().map(|stage| lines::stage(part, stage)).collect::<String>();
        match &self.verdict {
            Verdict::Passed(stages) => of(stages),
            _ => format!("{}{}\n{}", of(&self.finished_stages), lines::title(part, self.title()), self.failure_text()),
        }
    }

    /// What went wrong, as it is printed below the title; nothing if the run passed.
    pub fn failure_text(&self) -> String {
        let (word, run_failure) = match &self.verdict {
            Verdict::Passed(_) => return String::new(),
            Verdict::Failed(run_failure) => ("FAILED", run_failure),
            Verdict::Disturbed(run_failure) => ("disturbed", run_failure),
            Verdict::Aborted(run_failure) => ("aborted", run_failure),
            Verdict::Undecided(run_failure) => ("undecided", run_failure),
        };
        if run_failure.unwritten {
            // It has neither a time nor a seed that anybody wants to know.
            let (first, rest) = run_failure.text.split_once('\n').unwrap_or((&run_failure.text, ""));
            return format!("  ... {first}\n{}\n", lines::indented(rest));
        }
        let late = match self.clock {
            Clock::Simulated => String::new(),
            Clock::Threads => format!(", sleeps woke up to {} ms late", self.stats.lateness.as_millis()),
        };
        let at = run_failure.at.as_secs_f64();
        format!("  ... {word} after {at:.3} s (seed {}{late})\n{}\n", self.seed, lines::indented(&run_failure.text))
    }
}

/// Runs `scenario` once.
pub fn run(scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    run_with(scenario, clock, seed, Options::default())
}

/// Runs `scenario` once, and records as much of it as `options` say.
pub fn run_with(scenario: &Scenario, clock: Clock, seed: u64, options: Options) -> Report {
    run_into(Recorder::new(options), OrdersToRecord::OfUnverifiedKeys, scenario, clock, seed)
}

/// Runs `scenario` once. What happens goes into `record`, and in the end the orders that the checker found of these keys.
pub(crate) fn run_into(record: Recorder, orders: OrdersToRecord, scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    let info = scenario.info.clone();
    let begin = EventKind::RunBegun {
        scenario: info.name.to_string(),
        seed,
        servers: info.servers,
        simulated: clock == Clock::Simulated,
    };
    record.record(Event { at: 0, server: None, kind: begin });
    if let Some(moment) = scenario.fault_cutoff {
        record.record(Event { at: 0, server: None, kind: fault_cutoff::event(moment) });
    }
    let (body, progress) = (scenario.body(), Progress::new(scenario.fault_cutoff));
    let shared_progress = progress.clone();
    let outcome = Run::new(clock, seed)
        .named(info.name)
        .context(Scope::new(&record, None).into_context())
        .time_limit(TIME_LIMIT)
        .step_limit(steps_max(scenario.info.part.layer()))
        .execute(move || body(clock, &shared_progress));
    let Outcome { result, stats } = outcome;
    let (finished_stages, active_stage) = match result {
        // What clients saw is of no stage in particular.
        Ok(_) => (Vec::new(), None),
        Err(_) => progress.stages(),
    };
    let verdict = match result {
        Ok(outcome) => check_outcome(outcome, orders, &record, &stats),
        Err(failure) => classify_failure(failure, &stats, clock, &record),
    };
    conclude(&record, &verdict, &stats);
    let fault_cutoff = scenario.fault_cutoff;
    Report { info, clock, seed, fault_cutoff, verdict, finished_stages, active_stage, stats, divergence: None, record }
}

/// The run ended well: that leaves what its clients saw.
fn check_outcome(outcome: ScenarioOutcome, orders: OrdersToRecord, record: &Recorder, stats: &Stats) -> Verdict {
    let Some(history) = outcome.history else { return Verdict::Passed(outcome.stages) };
    let checked = history_check::check_history(&history, orders);
    for kind in checked.events {
        record.record(Event { at: stats.elapsed.as_nanos() as u64, server: None, kind });
    }
    let (text, at) = (checked.text, stats.elapsed);
    match checked.verdict {
        linearizability::Verdict::Ok => Verdict::Passed(outcome.stages),
        linearizability::Verdict::Illegal => {
            Verdict::Failed(RunFailure::diagnosed(&text, at, diagnosis::diagnose_record(record.events(), &checked.likely)))
        }
        linearizability::Verdict::Unknown => Verdict::Undecided(RunFailure::plain(text, at)),
    }
}

fn classify_failure(failure: Failure, stats: &Stats, clock: Clock, record: &Recorder) -> Verdict {
    let mut limit = failure.is_time_limit();
    let (text, at) = (failure.to_string(), stats.elapsed);
    let run_failure = match failure {
        Failure::Aborted { .. } => return Verdict::Aborted(RunFailure::plain(text, at)),
        Failure::Panic(panicked) => {
            let at = panicked.at;
            if let Some(violation) = panicked.payload.downcast_ref::<Violation>() {
                limit = violation.kind == ViolationKind::Limit;
                let Violation { likely, threads, .. } = violation;
                RunFailure::diagnosed(&violation.text, at, diagnosis::diagnose_check(record.events(), likely, threads))
            } else if let Some(unwritten) = panicked.payload.downcast_ref::<Unwritten>() {
                RunFailure { unwritten: true, ..RunFailure::plain(unwritten.to_string(), at) }
            } else {
                // The code under test says by itself what is wrong with it.
                RunFailure::plain(text, at)
            }
        }
        Failure::Spin { .. } | Failure::Outsider { .. } => RunFailure::plain(text, at),
        other => RunFailure::diagnosed(&text, at, diagnosis::diagnose_failure(record.events(), &other)),
    };
    let late = clock == Clock::Threads && stats.lateness > LATENESS_MAX;
    if limit && late { Verdict::Disturbed(run_failure) } else { Verdict::Failed(run_failure) }
}

/// The last events of a record: what went wrong, and how the run ended.
fn conclude(record: &Recorder, verdict: &Verdict, stats: &Stats) {
    let at = stats.elapsed.as_nanos() as u64;
    let (verdict, run_failure) = match verdict {
        Verdict::Passed(_) => (record::Verdict::Passed, None),
        Verdict::Failed(run_failure) => (record::Verdict::Failed, Some(run_failure)),
        Verdict::Disturbed(run_failure) => (record::Verdict::Disturbed, Some(run_failure)),
        Verdict::Aborted(run_failure) => (record::Verdict::Aborted, Some(run_failure)),
        Verdict::Undecided(run_failure) => (record::Verdict::Undecided, Some(run_failure)),
    };
    if let Some(RunFailure { text, .. }) = run_failure {
        record.record(Event { at, server: None, kind: EventKind::Failed { text: text.clone() } });
    }
    let end = EventKind::RunEnded { verdict, trace_hash: stats.schedule_hash, steps: stats.steps };
    record.record(Event { at, server: None, kind: end });
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use labrpc::{ClientEnd, Service};
    use labstd::channel::Sender;
    use labstd::sync::Arc;
    use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};

    use super::*;
    use crate::{Subject, raft_scenarios};

    /// A Raft that does nothing at all.
    pub(crate) struct NoRaft;

    impl Raft for NoRaft {
        fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> NoRaft {
            NoRaft
        }
        fn services(&self) -> Vec<Service> {
            Vec::new()
        }
        fn start(&self, _: Bytes) -> Option<Started> {
            None
        }
        fn get_state(&self) -> (Term, bool) {
            (Term::ZERO, false)
        }
        fn snapshot(&self, _: Index, _: Bytes) {}
        fn persist_bytes(&self) -> usize {
            0
        }
        fn kill(&self) {}
    }

    #[test]
    fn a_raft_that_does_nothing_fails_every_scenario() {
        for scenario in raft_scenarios(&Subject::<NoRaft>::new()) {
            let report = run(&scenario, Clock::Simulated, 1);
            assert!(matches!(report.verdict, Verdict::Failed(_)), "{scenario:?}: {:?}", report.verdict);
        }
    }

    /// The verdict on a run on threads that failed in this way, with sleeps that woke so late.
    fn verdict(clock: Clock, lateness_ms: u64, thrown: Violation) -> Verdict {
        let panicked = labstd::Panicked {
            thread: "service-S0".to_string(),
            message: String::new(),
            location: None,
            backtrace: None,
            at: Duration::from_secs(1),
            payload: Box::new(thrown),
        };
        let stats = Stats { lateness: Duration::from_millis(lateness_ms), ..Stats::default() };
        classify_failure(Failure::Panic(panicked), &stats, clock, &Recorder::default())
    }

    #[test]
    fn a_limit_that_breaks_on_a_busy_machine_is_a_disturbance_and_a_broken_safety_property_never() {
        let thrown = |kind| Violation { kind, text: String::new(), likely: Vec::new(), threads: Vec::new() };
        let [limit, safety] = [ViolationKind::Limit, ViolationKind::Safety].map(thrown);
        assert!(matches!(verdict(Clock::Threads, 101, limit.clone()), Verdict::Disturbed(_)));
        assert!(matches!(verdict(Clock::Threads, 99, limit.clone()), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Simulated, 0, limit), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Threads, 5000, safety), Verdict::Failed(_)));
    }

    #[test]
    fn a_failed_run_says_so_in_its_lines_and_its_record() {
        let scenario = &raft_scenarios(&Subject::<NoRaft>::new())[0];
        let report = run(scenario, Clock::Simulated, 17);
        let lines = report.lines();
        assert!(lines.starts_with("Test (3A): initial election ...\n  ... FAILED after "), "{lines}");
        assert!(lines.contains("(seed 17)") && lines.contains("no leader after 10 looks"), "{lines}");
        let last = report.record.events().last().unwrap();
        assert!(matches!(last.kind, EventKind::RunEnded { verdict: record::Verdict::Failed, .. }));
    }
}

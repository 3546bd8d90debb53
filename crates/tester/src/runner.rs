//! One run of one scenario, under one clock, with one seed: from a new cluster to a [`Report`].

use labstd::sync::Arc;
use labstd::sync::atomic::AtomicU64;
use labstd::time::Duration;
use labstd::{Clock, Failure, Outcome, Run, Stats};
use raftapi::Unwritten;
use record::{Event, EventKind, Options, Recorder, Scope};

use crate::fault_cutoff;
use crate::history_check::{self, OrdersToRecord};
use crate::part::Layer;
use crate::scenario::{Progress, Scenario, ScenarioOutcome};
use crate::violation::{Violation, ViolationKind};

pub use crate::report::{Report, RunFailure, Verdict};

/// Maximum duration of a scenario on its own clock, as in the course.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Returns the maximum number of scheduler steps of a simulated scenario of this layer. The longest runs of the
/// reference need a hundredth of it or, with the clients of a key/value service, a sixtieth.
pub const fn steps_max(layer: Layer) -> u64 {
    match layer {
        Layer::Raft => 20_000_000,
        Layer::Kv => 100_000_000,
    }
}

/// Maximum lateness of sleeps; if a run on threads was later than this, then a broken limit proves nothing.
pub const LATENESS_MAX: Duration = Duration::from_millis(100);

/// Runs `scenario` once.
pub fn run(scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    run_with(scenario, clock, seed, Options::default())
}

/// Runs `scenario` once, and records as much as `options` allow.
pub fn run_with(scenario: &Scenario, clock: Clock, seed: u64, options: Options) -> Report {
    run_observed(&Observers::new(options, OrdersToRecord::OfUnverifiedKeys), scenario, clock, seed)
}

/// The observers of a run. They have no influence on it.
#[derive(Clone, Debug)]
pub(crate) struct Observers {
    /// The record of the events.
    pub(crate) record: Recorder,
    /// The linearizations that go into the record at the end.
    pub(crate) orders: OrdersToRecord,
    /// The number of scheduler steps so far, in a simulation.
    pub(crate) steps: Arc<AtomicU64>,
}

impl Observers {
    /// Creates the observers of a run that has not begun.
    pub(crate) fn new(options: Options, orders: OrdersToRecord) -> Observers {
        Observers { record: Recorder::new(options), orders, steps: Arc::default() }
    }
}

/// Runs `scenario` once, before these observers.
pub(crate) fn run_observed(observers: &Observers, scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    let Observers { record, orders, steps } = observers.clone();
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
        .step_counter(steps)
        .thread_lag(scenario.thread_lag)
        .time_limit(TIME_LIMIT)
        .step_limit(steps_max(scenario.info.part.layer()))
        .execute(move || body(clock, &shared_progress));
    let Outcome { result, stats } = outcome;
    let (finished_stages, active_stage, gave_up) = match &result {
        // The history belongs to no particular stage.
        Ok(outcome) => (Vec::new(), None, outcome.gave_up.clone()),
        Err(_) => {
            let (finished, active) = progress.stages();
            (finished, active, None)
        }
    };
    let verdict = match result {
        Ok(outcome) => check_outcome(outcome, orders, &record, &stats),
        Err(failure) => classify_failure(failure, &stats, clock, &record),
    };
    conclude(&record, &verdict, &stats);
    let fault_cutoff = scenario.fault_cutoff;
    let divergence = None;
    Report {
        info,
        clock,
        seed,
        fault_cutoff,
        verdict,
        finished_stages,
        active_stage,
        gave_up,
        stats,
        divergence,
        record,
    }
}

/// Checks the history of a run that ended well.
fn check_outcome(outcome: ScenarioOutcome, orders: OrdersToRecord, record: &Recorder, stats: &Stats) -> Verdict {
    let Some(history) = outcome.history else { return Verdict::Passed(outcome.stages) };
    let checked = history_check::check_history(&history, orders);
    for kind in checked.events {
        record.record(Event { at: stats.elapsed.as_nanos() as u64, server: None, kind });
    }
    let (text, at) = (checked.text, stats.elapsed);
    match checked.verdict {
        linearizability::Verdict::Ok => Verdict::Passed(outcome.stages),
        linearizability::Verdict::Illegal => Verdict::Failed(RunFailure::diagnosed(
            &text,
            at,
            diagnosis::diagnose_record(record.events(), &checked.likely),
        )),
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
                // The panic message of the code under test says what is wrong.
                RunFailure::plain(text, at)
            }
        }
        Failure::Spin { .. } => RunFailure::plain(text, at),
        Failure::ForeignThread { .. } => RunFailure { foreign_thread: true, ..RunFailure::plain(text, at) },
        other => RunFailure::diagnosed(&text, at, diagnosis::diagnose_failure(record.events(), &other)),
    };
    let late = clock == Clock::Threads && stats.lateness > LATENESS_MAX;
    if limit && late { Verdict::Disturbed(run_failure) } else { Verdict::Failed(run_failure) }
}

/// Records the last events of a run: its failure, and its verdict.
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
            let methods = ["RequestVote", "AppendEntries", "InstallSnapshot"];
            vec![methods.into_iter().fold(Service::new("Raft"), |service, name| service.method(name, |(): ()| ()))]
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
        for scenario in raft_scenarios(&Subject::of::<NoRaft>()) {
            let report = run(&scenario, Clock::Simulated, 1);
            assert!(matches!(report.verdict, Verdict::Failed(_)), "{scenario:?}: {:?}", report.verdict);
        }
    }

    /// Returns the verdict on a run that failed with this violation and this lateness of sleeps.
    fn verdict(clock: Clock, lateness_ms: u64, violation: Violation) -> Verdict {
        let panicked = labstd::PanicReport {
            thread: "service-S0".to_string(),
            message: String::new(),
            location: None,
            backtrace: None,
            at: Duration::from_secs(1),
            payload: Box::new(violation),
        };
        let stats = Stats { lateness: Duration::from_millis(lateness_ms), ..Stats::default() };
        classify_failure(Failure::Panic(panicked), &stats, clock, &Recorder::default())
    }

    #[test]
    fn a_busy_machine_excuses_a_limit_but_no_safety_violation() {
        let make_violation = |kind| Violation { kind, text: String::new(), likely: Vec::new(), threads: Vec::new() };
        let [limit, safety] = [ViolationKind::Limit, ViolationKind::Safety].map(make_violation);
        assert!(matches!(verdict(Clock::Threads, 101, limit.clone()), Verdict::Disturbed(_)));
        assert!(matches!(verdict(Clock::Threads, 99, limit.clone()), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Simulated, 0, limit), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Threads, 5000, safety), Verdict::Failed(_)));
    }

    #[test]
    fn a_failed_run_is_visible_in_its_lines_and_its_record() {
        let scenario = &raft_scenarios(&Subject::of::<NoRaft>())[0];
        let report = run(scenario, Clock::Simulated, 17);
        let lines = report.lines();
        assert!(lines.starts_with("Test (3A): initial election ...\n  ... FAILED after "), "{lines}");
        assert!(lines.contains("(seed 17)") && lines.contains("no leader after 10 looks"), "{lines}");
        let last = report.record.events().last().unwrap();
        assert!(matches!(last.kind, EventKind::RunEnded { verdict: record::Verdict::Failed, .. }));
    }
}

//! One run of one scenario, under one clock, with one seed: from a fresh cluster to a [`Report`].

use std::fmt;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::thread;
use labstd::time::Duration;
use labstd::{Clock, Failure, Outcome, Run, Stats};
use raftapi::{ApplyMsg, Persister, Raft, ServerId};
use record::{Event, EventKind, Recorder, Scope};

use crate::cluster::{Cluster, Figures, Maker};
use crate::lines;
use crate::scenarios::{Part, Scenario};
use crate::violation::{Sort, Violation};

/// How long a scenario may take on its own clock, as in the course.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How many scheduler steps a simulated scenario may take. The longest needs a hundredth of it.
pub const STEPS_MAX: u64 = 20_000_000;

/// How late sleeps may wake before a limit that is broken on threads says nothing.
pub const LATENESS_MAX: Duration = Duration::from_millis(100);

/// What is put to the test: an implementation of [`Raft`], and how its servers are made.
pub struct Subject<R: Raft> {
    make: Maker<R>,
}

impl<R: Raft> Subject<R> {
    /// Servers made by [`Raft::make`].
    pub fn new() -> Subject<R> {
        Subject::made_by(R::make)
    }

    /// Servers made by something else with the same arguments.
    pub fn made_by(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync + 'static,
    ) -> Subject<R> {
        Subject { make: Arc::new(make) }
    }
}

impl<R: Raft> Default for Subject<R> {
    fn default() -> Subject<R> {
        Subject::new()
    }
}

impl<R: Raft> Clone for Subject<R> {
    fn clone(&self) -> Subject<R> {
        Subject { make: Arc::clone(&self.make) }
    }
}

impl<R: Raft> fmt::Debug for Subject<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Its part.
    pub part: Part,
    /// Its title.
    pub title: &'static str,
    /// The clock it ran under.
    pub clock: Clock,
    /// Its seed.
    pub seed: u64,
    /// How it went.
    pub verdict: Verdict,
    /// What the scheduler and the clock say of it.
    pub stats: Stats,
    /// Everything that happened.
    pub record: Recorder,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It passed, at this cost.
    Passed(Figures),
    /// A check did not hold, or a thread went wrong.
    Failed(Broken),
    /// A limit was broken on threads while the machine was too slow to tell whose fault that was.
    Disturbed(Broken),
    /// The simulation had to be given up; nothing is claimed about the Raft under test.
    Aborted(Broken),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// In words.
    pub text: String,
    /// When, on the run's own clock.
    pub at: Duration,
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
    pub fn broken(&self) -> Option<&Broken> {
        match &self.verdict {
            Verdict::Passed(_) => None,
            Verdict::Failed(broken) | Verdict::Disturbed(broken) | Verdict::Aborted(broken) => Some(broken),
        }
    }

    /// The two lines of the course, or the title and what went wrong.
    pub fn lines(&self) -> String {
        let title = lines::title(self.part, self.title);
        let (word, broken) = match &self.verdict {
            Verdict::Passed(figures) => return format!("{title}\n{}\n", lines::passed(figures)),
            Verdict::Failed(broken) => ("FAILED", broken),
            Verdict::Disturbed(broken) => ("disturbed", broken),
            Verdict::Aborted(broken) => ("aborted", broken),
        };
        let late = match self.clock {
            Clock::Simulated => String::new(),
            Clock::Threads => format!(", sleeps woke up to {} ms late", self.stats.lateness.as_millis()),
        };
        let at = broken.at.as_secs_f64();
        format!("{title}\n  ... {word} after {at:.3} s (seed {}{late})\n{}\n", self.seed, indented(&broken.text))
    }
}

/// Runs `scenario` on `subject` once.
pub fn run<R: Raft>(scenario: &Scenario<R>, subject: &Subject<R>, clock: Clock, seed: u64) -> Report {
    let record = Recorder::default();
    let begin = EventKind::RunBegun {
        scenario: scenario.name.to_string(),
        seed,
        servers: scenario.servers,
        simulated: clock == Clock::Simulated,
    };
    record.record(Event { at: 0, server: None, kind: begin });
    let outcome = Run::new(clock, seed)
        .named(scenario.name)
        .context(Scope::new(&record, None).into_context())
        .time_limit(TIME_LIMIT)
        .step_limit(STEPS_MAX)
        .execute({
            let (scenario, make) = (*scenario, Arc::clone(&subject.make));
            move || tell(&scenario, make, clock)
        });
    let stats = outcome.stats;
    let verdict = judge(outcome, clock);
    conclude(&record, &verdict, &stats);
    let Scenario { name, part, title, .. } = *scenario;
    Report { scenario: name, part, title, clock, seed, verdict, stats, record }
}

/// The body of a run: a cluster, the story, the end.
fn tell<R: Raft>(scenario: &Scenario<R>, make: Maker<R>, clock: Clock) -> Figures {
    /// Stops the servers when the story is broken off. A simulation unwinds them itself.
    struct Abandon<R: Raft>(Cluster<R>, Clock);
    impl<R: Raft> Drop for Abandon<R> {
        fn drop(&mut self) {
            if thread::panicking() && self.1 == Clock::Threads {
                self.0.abandon();
            }
        }
    }
    let cluster = Abandon(Cluster::new(scenario.setting(), make), clock);
    (scenario.story)(&cluster.0);
    let figures = cluster.0.figures();
    cluster.0.shut_down();
    figures
}

fn judge(outcome: Outcome<Figures>, clock: Clock) -> Verdict {
    let failure = match outcome.result {
        Ok(figures) => return Verdict::Passed(figures),
        Err(failure) => failure,
    };
    let mut at = outcome.stats.elapsed;
    let mut limit = failure.is_time_limit();
    let mut text = failure.to_string();
    match failure {
        Failure::Aborted { .. } => return Verdict::Aborted(Broken { text, at }),
        Failure::Panic(panicked) => {
            at = panicked.at;
            if let Some(violation) = panicked.payload.downcast_ref::<Violation>() {
                text = violation.to_string();
                limit = violation.sort == Sort::Limit;
            }
        }
        _ => {}
    }
    let late = clock == Clock::Threads && outcome.stats.lateness > LATENESS_MAX;
    let broken = Broken { text, at };
    if limit && late { Verdict::Disturbed(broken) } else { Verdict::Failed(broken) }
}

/// The last events of a record: what went wrong, and how the run ended.
fn conclude(record: &Recorder, verdict: &Verdict, stats: &Stats) {
    let at = stats.elapsed.as_nanos() as u64;
    let (verdict, broken) = match verdict {
        Verdict::Passed(_) => (record::Verdict::Passed, None),
        Verdict::Failed(broken) => (record::Verdict::Failed, Some(broken)),
        Verdict::Disturbed(broken) => (record::Verdict::Disturbed, Some(broken)),
        Verdict::Aborted(broken) => (record::Verdict::Aborted, Some(broken)),
    };
    if let Some(Broken { text, .. }) = broken {
        record.record(Event { at, server: None, kind: EventKind::Failed { text: text.clone() } });
    }
    let end = EventKind::RunEnded { verdict, trace_hash: stats.schedule_hash, steps: stats.steps };
    record.record(Event { at, server: None, kind: end });
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use labrpc::Service;
    use raftapi::{Index, Started, Term};

    use super::*;

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
        for scenario in crate::raft_scenarios::<NoRaft>() {
            let report = run(&scenario, &Subject::new(), Clock::Simulated, 1);
            assert!(matches!(report.verdict, Verdict::Failed(_)), "{}: {:?}", scenario.name, report.verdict);
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
        judge(Outcome { result: Err(Failure::Panic(panicked)), stats }, clock)
    }

    #[test]
    fn a_limit_that_breaks_on_a_busy_machine_is_a_disturbance_and_a_broken_safety_property_never() {
        let limit = Violation { sort: Sort::Limit, text: "no leader".to_string() };
        let safety = Violation { sort: Sort::Safety, text: "two leaders".to_string() };
        assert!(matches!(verdict(Clock::Threads, 101, limit.clone()), Verdict::Disturbed(_)));
        assert!(matches!(verdict(Clock::Threads, 99, limit.clone()), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Simulated, 0, limit), Verdict::Failed(_)));
        assert!(matches!(verdict(Clock::Threads, 5000, safety), Verdict::Failed(_)));
    }

    #[test]
    fn a_failed_run_says_so_in_its_lines_and_its_record() {
        let scenario = crate::raft_scenarios::<NoRaft>()[0];
        let report = run(&scenario, &Subject::new(), Clock::Simulated, 17);
        let lines = report.lines();
        assert!(lines.starts_with("Test (3A): initial election ...\n  ... FAILED after "), "{lines}");
        assert!(lines.contains("(seed 17)") && lines.contains("no leader after 10 looks"), "{lines}");
        let last = report.record.events().last().unwrap();
        assert!(matches!(last.kind, EventKind::RunEnded { verdict: record::Verdict::Failed, .. }));
    }
}

//! One run of one scenario, under one clock, with one seed: from a fresh cluster to a [`Report`].

use labstd::time::Duration;
use labstd::{Clock, Failure, Outcome, Run, Stats};
use raftapi::Unwritten;
use record::{Event, EventKind, Options, Recorder, Scope};

use crate::again::Difference;
use crate::calm;
use crate::diagnosis::{self, Diagnosis};
use crate::judge::{self, Orders};
use crate::lines;
use crate::scenario::{About, Layer, Progress, Scenario, Stage, Told};
use crate::violation::{Sort, Violation};

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
    pub about: About,
    /// The clock it ran under.
    pub clock: Clock,
    /// Its seed.
    pub seed: u64,
    /// From when on nothing went wrong any more, if it was told so: see [`calm`].
    pub calm_from: Option<Duration>,
    /// How it went.
    pub verdict: Verdict,
    /// The stages that had ended well when a run was broken off that did not pass.
    pub ended: Vec<Stage>,
    /// The title of the stage that was under way then, if it was known.
    pub stage: Option<String>,
    /// What the scheduler and the clock say of it.
    pub stats: Stats,
    /// Where a second run of the seed was another one, if there was a second run, and it was.
    pub difference: Option<Difference>,
    /// Everything that happened.
    pub record: Recorder,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It passed, and its stages cost this.
    Passed(Vec<Stage>),
    /// A check did not hold, or a thread went wrong.
    Failed(Broken),
    /// A limit was broken on threads while the machine was too slow to tell whose fault that was.
    Disturbed(Broken),
    /// The simulation had to be given up; nothing is claimed about the code under test.
    Aborted(Broken),
    /// All checks held during the run, but what its clients saw is too hard to judge; nothing is claimed about it.
    Undecided(Broken),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// In words. The first line is the sentence of the check; the last ones are those of the diagnosis.
    pub text: String,
    /// When, on the run's own clock.
    pub at: Duration,
    /// Whether the run came to code that nobody has written yet: [`raftapi::unwritten`].
    pub unwritten: bool,
    /// The rule that was broken, or may have been.
    pub diagnosis: Diagnosis,
}

impl Broken {
    /// What went wrong, without a diagnosis.
    pub(crate) fn plain(text: String, at: Duration) -> Broken {
        Broken { text, at, unwritten: false, diagnosis: Diagnosis::default() }
    }

    /// What went wrong, with the rule that is to blame.
    fn diagnosed(text: &str, at: Duration, diagnosis: Diagnosis) -> Broken {
        Broken { text: diagnosis.added_to(text), at, unwritten: false, diagnosis }
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
    pub fn broken(&self) -> Option<&Broken> {
        match &self.verdict {
            Verdict::Passed(_) => None,
            Verdict::Failed(broken)
            | Verdict::Disturbed(broken)
            | Verdict::Aborted(broken)
            | Verdict::Undecided(broken) => Some(broken),
        }
    }

    /// The title of the stage that was under way at the end, or of the whole.
    pub fn title(&self) -> &str {
        self.stage.as_ref().unwrap_or(&self.about.title)
    }

    /// The two lines of the course for each stage that ended well; for one that did not its title and what went wrong.
    pub fn lines(&self) -> String {
        let part = self.about.part;
        let of = |stages: &[Stage]| stages.iter().map(|stage| lines::stage(part, stage)).collect::<String>();
        match &self.verdict {
            Verdict::Passed(stages) => of(stages),
            _ => format!("{}{}\n{}", of(&self.ended), lines::title(part, self.title()), self.failure()),
        }
    }

    /// What went wrong, as it is printed below the title; nothing if the run passed.
    pub fn failure(&self) -> String {
        let (word, broken) = match &self.verdict {
            Verdict::Passed(_) => return String::new(),
            Verdict::Failed(broken) => ("FAILED", broken),
            Verdict::Disturbed(broken) => ("disturbed", broken),
            Verdict::Aborted(broken) => ("aborted", broken),
            Verdict::Undecided(broken) => ("undecided", broken),
        };
        if broken.unwritten {
            // It has neither a time nor a seed that anybody wants to know.
            let (first, rest) = broken.text.split_once('\n').unwrap_or((&broken.text, ""));
            return format!("  ... {first}\n{}\n", lines::indented(rest));
        }
        let late = match self.clock {
            Clock::Simulated => String::new(),
            Clock::Threads => format!(", sleeps woke up to {} ms late", self.stats.lateness.as_millis()),
        };
        let at = broken.at.as_secs_f64();
        format!("  ... {word} after {at:.3} s (seed {}{late})\n{}\n", self.seed, lines::indented(&broken.text))
    }
}

/// Runs `scenario` once.
pub fn run(scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    run_with(scenario, clock, seed, Options::default())
}

/// Runs `scenario` once, and records as much of it as `options` say.
pub fn run_with(scenario: &Scenario, clock: Clock, seed: u64, options: Options) -> Report {
    run_into(Recorder::new(options), Orders::OfWhatIsWrong, scenario, clock, seed)
}

/// Runs `scenario` once. What happens goes into `record`, and in the end the orders that the checker found of these keys.
pub(crate) fn run_into(record: Recorder, orders: Orders, scenario: &Scenario, clock: Clock, seed: u64) -> Report {
    let about = scenario.about.clone();
    let begin = EventKind::RunBegun {
        scenario: about.name.to_string(),
        seed,
        servers: about.servers,
        simulated: clock == Clock::Simulated,
    };
    record.record(Event { at: 0, server: None, kind: begin });
    if let Some(moment) = scenario.calm_from {
        record.record(Event { at: 0, server: None, kind: calm::event(moment) });
    }
    let (story, progress) = (scenario.story(), Progress::calm_from(scenario.calm_from));
    let told = progress.clone();
    let outcome = Run::new(clock, seed)
        .named(about.name)
        .context(Scope::new(&record, None).into_context())
        .time_limit(TIME_LIMIT)
        .step_limit(steps_max(scenario.about.part.layer()))
        .execute(move || story(clock, &told));
    let Outcome { result, stats } = outcome;
    let (ended, stage) = match result {
        // What clients saw is of no stage in particular.
        Ok(_) => (Vec::new(), None),
        Err(_) => progress.look(),
    };
    let verdict = match result {
        Ok(told) => judge_told(told, orders, &record, &stats),
        Err(failure) => judge_failure(failure, &stats, clock, &record),
    };
    conclude(&record, &verdict, &stats);
    let calm_from = scenario.calm_from;
    Report { about, clock, seed, calm_from, verdict, ended, stage, stats, difference: None, record }
}

/// The run ended well: that leaves what its clients saw.
fn judge_told(told: Told, orders: Orders, record: &Recorder, stats: &Stats) -> Verdict {
    let Some(asked) = told.asked else { return Verdict::Passed(told.stages) };
    let judged = judge::judge(&asked, orders);
    for kind in judged.events {
        record.record(Event { at: stats.elapsed.as_nanos() as u64, server: None, kind });
    }
    let (text, at) = (judged.text, stats.elapsed);
    match judged.verdict {
        linearizability::Verdict::Ok => Verdict::Passed(told.stages),
        linearizability::Verdict::Illegal => {
            Verdict::Failed(Broken::diagnosed(&text, at, diagnosis::of_record(record.events(), &judged.likely)))
        }
        linearizability::Verdict::Unknown => Verdict::Undecided(Broken::plain(text, at)),
    }
}

fn judge_failure(failure: Failure, stats: &Stats, clock: Clock, record: &Recorder) -> Verdict {
    let mut limit = failure.is_time_limit();
    let (text, at) = (failure.to_string(), stats.elapsed);
    let broken = match failure {
        Failure::Aborted { .. } => return Verdict::Aborted(Broken::plain(text, at)),
        Failure::Panic(panicked) => {
            let at = panicked.at;
            if let Some(violation) = panicked.payload.downcast_ref::<Violation>() {
                limit = violation.sort == Sort::Limit;
                let Violation { likely, threads, .. } = violation;
                Broken::diagnosed(&violation.text, at, diagnosis::of_check(record.events(), likely, threads))
            } else if let Some(unwritten) = panicked.payload.downcast_ref::<Unwritten>() {
                Broken { unwritten: true, ..Broken::plain(unwritten.to_string(), at) }
            } else {
                // The code under test says by itself what is wrong with it.
                Broken::plain(text, at)
            }
        }
        Failure::Spin { .. } | Failure::Outsider { .. } => Broken::plain(text, at),
        other => Broken::diagnosed(&text, at, diagnosis::of_failure(record.events(), &other)),
    };
    let late = clock == Clock::Threads && stats.lateness > LATENESS_MAX;
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
        Verdict::Undecided(broken) => (record::Verdict::Undecided, Some(broken)),
    };
    if let Some(Broken { text, .. }) = broken {
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
        judge_failure(Failure::Panic(panicked), &stats, clock, &Recorder::default())
    }

    #[test]
    fn a_limit_that_breaks_on_a_busy_machine_is_a_disturbance_and_a_broken_safety_property_never() {
        let thrown = |sort| Violation { sort, text: String::new(), likely: Vec::new(), threads: Vec::new() };
        let [limit, safety] = [Sort::Limit, Sort::Safety].map(thrown);
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

//! The result of a run: its verdict, its failure, and the lines that a test prints for it.

use labstd::time::Duration;
use labstd::{Clock, Stats};
use record::Recorder;

use crate::divergence::{Divergence, Outcome};
use crate::lines;
use crate::scenario::Stage;
use crate::scenario_info::ScenarioInfo;
use diagnosis::Diagnosis;

/// Result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario.
    pub info: ScenarioInfo,
    /// Clock of the run.
    pub clock: Clock,
    /// Seed of the run.
    pub seed: u64,
    /// Moment at which the faults ended, if there was one: see [`fault_cutoff`](crate::fault_cutoff).
    pub fault_cutoff: Option<Duration>,
    /// Verdict on the run.
    pub verdict: Verdict,
    /// Stages that had passed when a run failed.
    pub finished_stages: Vec<Stage>,
    /// Title of the stage that was active at that time, if known.
    pub active_stage: Option<String>,
    /// Why a run that passed shows nothing about the subject of its scenario, if that is so: the situation did not come
    /// about.
    pub gave_up: Option<String>,
    /// Statistics of the scheduler and the clock.
    pub stats: Stats,
    /// First difference from a second run of the seed, if there was a second run and it differed.
    pub divergence: Option<Divergence>,
    /// Record of all events.
    pub record: Recorder,
}

/// Verdict on a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The run passed; the metrics of its stages.
    Passed(Vec<Stage>),
    /// A check did not hold, or a thread failed.
    Failed(RunFailure),
    /// A limit was broken on threads while the machine was so slow that the cause is unknown.
    Disturbed(RunFailure),
    /// The simulation was aborted; this says nothing about the code under test.
    Aborted(RunFailure),
    /// All checks held during the run, but the history of its clients is too hard to check; this says nothing about the
    /// code under test.
    Undecided(RunFailure),
}

/// Description of a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFailure {
    /// The text. The first line is the sentence of the check; the last lines are those of the diagnosis.
    pub text: String,
    /// Time of the failure, on the run's own clock.
    pub at: Duration,
    /// Whether the run reached code that is not written yet: [`raftapi::unwritten`].
    pub unwritten: bool,
    /// Whether a thread from outside of the simulation took part in it. Then two runs of the seed differ, and no rule
    /// of Raft is to blame.
    pub foreign_thread: bool,
    /// The rule that was broken, or may have been broken.
    pub diagnosis: Diagnosis,
}

impl RunFailure {
    /// Creates a failure without a diagnosis.
    pub(crate) fn plain(text: String, at: Duration) -> RunFailure {
        RunFailure { text, at, unwritten: false, foreign_thread: false, diagnosis: Diagnosis::default() }
    }

    /// Creates a failure with a diagnosis.
    pub(crate) fn diagnosed(text: &str, at: Duration, diagnosis: Diagnosis) -> RunFailure {
        RunFailure { text: diagnosis.insert_into(text), diagnosis, ..RunFailure::plain(String::new(), at) }
    }
}

impl Report {
    /// Returns the hash of all events. In a simulation the same seed gives the same hash.
    pub fn hash(&self) -> u64 {
        self.record.hash()
    }

    /// Returns whether the run passed.
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Passed(_))
    }

    /// Returns the outcome, which does not depend on recording. The diagnosis does, so it is not part of the outcome.
    pub(crate) fn outcome(&self) -> Outcome {
        let word = match &self.verdict {
            Verdict::Passed(_) => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::Disturbed(_) => "disturbed",
            Verdict::Aborted(_) => "aborted",
            Verdict::Undecided(_) => "undecided",
        };
        let verdict = match self.run_failure() {
            None => word.to_string(),
            Some(run_failure) => format!("{word}: {}", run_failure.text.lines().next().unwrap_or_default()),
        };
        Outcome { verdict, steps: self.stats.steps, schedule_hash: self.stats.schedule_hash }
    }

    /// Returns the failure, if there is one.
    pub fn run_failure(&self) -> Option<&RunFailure> {
        match &self.verdict {
            Verdict::Passed(_) => None,
            Verdict::Failed(run_failure)
            | Verdict::Disturbed(run_failure)
            | Verdict::Aborted(run_failure)
            | Verdict::Undecided(run_failure) => Some(run_failure),
        }
    }

    /// Returns the title of the stage that was active at the end, or the title of the scenario.
    pub fn title(&self) -> &str {
        self.active_stage.as_ref().unwrap_or(&self.info.title)
    }

    /// Returns the two lines of the course for each passed stage; for a failed stage, its title and the failure.
    pub fn lines(&self) -> String {
        let part = self.info.part;
        let of = |stages: &[Stage]| stages.iter().map(|stage| lines::stage(part, stage)).collect::<String>();
        match &self.verdict {
            Verdict::Passed(stages) => of(stages) + &self.gave_up.as_deref().map_or(String::new(), lines::gave_up),
            _ => format!("{}{}\n{}", of(&self.finished_stages), lines::title(part, self.title()), self.failure_text()),
        }
    }

    /// Returns the failure as it is printed below the title; empty if the run passed.
    pub fn failure_text(&self) -> String {
        let (word, run_failure) = match &self.verdict {
            Verdict::Passed(_) => return String::new(),
            Verdict::Failed(run_failure) => ("FAILED", run_failure),
            Verdict::Disturbed(run_failure) => ("disturbed", run_failure),
            Verdict::Aborted(run_failure) => ("aborted", run_failure),
            Verdict::Undecided(run_failure) => ("undecided", run_failure),
        };
        if run_failure.unwritten {
            // Nobody needs the time or the seed of such a failure.
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

    /// Returns this report with the result of the second run of its seed. A run that passed but does not repeat counts
    /// as failed.
    pub(crate) fn with(mut self, divergence: Option<Divergence>) -> Report {
        let Some(found) = &divergence else { return self };
        let at = found.point.at().unwrap_or(self.stats.elapsed);
        match &mut self.verdict {
            Verdict::Failed(run_failure)
            | Verdict::Disturbed(run_failure)
            | Verdict::Aborted(run_failure)
            | Verdict::Undecided(run_failure) => {
                run_failure.text = format!("{found}\nthe first run: {}", run_failure.text);
            }
            Verdict::Passed(_) => {
                let run_failure = RunFailure::plain(found.to_string(), at);
                self.verdict = Verdict::Failed(run_failure);
            }
        }
        self.divergence = divergence;
        self
    }
}

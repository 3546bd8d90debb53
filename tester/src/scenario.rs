//! What a scenario is to those who run it: a name, a part, a title, and a story that can be told under either clock.
//! Whose servers the story is told of, and of which sort, is known to the tables in [`scenarios`](crate::scenarios) alone.

use std::fmt;

use labrpc::Network;
use labstd::sync::{Arc, Mutex};
use labstd::time::{Duration, Instant};
use labstd::{Clock, thread};
use linearizability::kv::History;

use crate::fault_cutoff;
use crate::cluster::Metrics;

/// A part of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Leader election.
    P3A,
    /// The log.
    P3B,
    /// Persistence.
    P3C,
    /// Log compaction.
    P3D,
    /// The key/value service.
    P4A,
    /// The key/value service with snapshots.
    P4B,
}

/// What is put to the test in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Raft servers.
    Raft,
    /// Key/value servers with clients, over Raft.
    Kv,
}

impl Part {
    /// All parts, in the order in which they are done.
    pub const ALL: [Part; 6] = [Part::P3A, Part::P3B, Part::P3C, Part::P3D, Part::P4A, Part::P4B];

    /// The part's number, as in `3A`.
    pub fn number(self) -> &'static str {
        match self {
            Part::P3A => "3A",
            Part::P3B => "3B",
            Part::P3C => "3C",
            Part::P3D => "3D",
            Part::P4A => "4A",
            Part::P4B => "4B",
        }
    }

    /// What the part puts to the test.
    pub fn layer(self) -> Layer {
        match self {
            Part::P3A | Part::P3B | Part::P3C | Part::P3D => Layer::Raft,
            Part::P4A | Part::P4B => Layer::Kv,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// What there is to know about a scenario before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioInfo {
    /// Its name, the part last: the name of its test.
    pub name: &'static str,
    /// The part of the lab it belongs to.
    pub part: Part,
    /// Its title, as the course prints it.
    pub title: String,
    /// Whether it is one of the course's own.
    pub from_course: bool,
    /// How many servers there are.
    pub servers: usize,
    /// About how long it takes on threads, in seconds: longer ones are started first.
    pub seconds: u32,
}

/// A story of certain servers.
#[derive(Clone)]
pub struct Scenario {
    /// What it is called, and what it takes.
    pub info: ScenarioInfo,
    /// From when on nothing goes wrong any more, if it is told so.
    pub(crate) fault_cutoff: Option<Duration>,
    body: Arc<ScenarioBody>,
}

/// What there is to tell, under a clock.
type ScenarioBody = dyn Fn(Clock, &Progress) -> ScenarioOutcome + Send + Sync;

/// What a story has to tell when it ends well.
#[derive(Clone, Debug)]
pub struct ScenarioOutcome {
    /// Its stages, in order; most stories have one.
    pub stages: Vec<Stage>,
    /// What clients asked and were answered, if that is to be judged when the run is over.
    pub history: Option<ClientHistory>,
}

/// What clients asked and were answered.
#[derive(Clone, Debug, Default)]
pub struct ClientHistory {
    /// Their operations.
    pub history: History,
    /// The number that each operation of the history has in the record, in the same order.
    pub numbers: Vec<u64>,
}

/// How far a story has come: shared with whoever ran it, who wants to know when it was broken off. And, if there is one, the
/// moment of the run's clock from which on nothing goes wrong any more.
#[derive(Clone, Default)]
pub struct Progress(pub(crate) Arc<Mutex<Stages>>, Option<Duration>);

/// The stages of a story under way.
#[derive(Default)]
pub(crate) struct Stages {
    /// The one that has begun, if one has.
    pub(crate) active: Option<ActiveStage>,
    /// Those that ended, in order.
    pub(crate) finished: Vec<Stage>,
}

/// A stage that has begun, and what was counted then.
pub(crate) struct ActiveStage {
    pub(crate) title: String,
    pub(crate) at: Instant,
    pub(crate) rpcs: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

impl Progress {
    /// Of a story in which nothing goes wrong any more from this moment of the run's clock on, if there is one.
    pub(crate) fn new(fault_cutoff: Option<Duration>) -> Progress {
        Progress(Arc::default(), fault_cutoff)
    }

    /// Tells the network of the story from when on nothing goes wrong any more.
    pub(crate) fn apply_fault_cutoff(&self, network: &Network) {
        if let Some(moment) = self.1 {
            network.calm_from(moment);
        }
    }

    /// The stages that have ended, and the title of the one that has begun, if there is one. Of a run that was abandoned
    /// at an unlucky moment nothing is known.
    pub(crate) fn stages(&self) -> (Vec<Stage>, Option<String>) {
        let Some(stages) = self.0.try_lock() else { return (Vec::new(), None) };
        (stages.finished.clone(), stages.active.as_ref().map(|begun| begun.title.clone()))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.stages()).finish()
    }
}

/// A part of a story that has a title and figures of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its title, as the course prints it.
    pub title: String,
    /// What it cost.
    pub metrics: Metrics,
}

impl Scenario {
    /// A scenario whose story is `body`: it builds its servers, does what there is to do, and takes them down.
    /// A story of several stages says to its [`Progress`] where it is.
    pub fn new(info: ScenarioInfo, body: impl Fn(Clock, &Progress) -> ScenarioOutcome + Send + Sync + 'static) -> Scenario {
        Scenario { info, fault_cutoff: None, body: Arc::new(body) }
    }

    /// The same story, in which nothing goes wrong any more from this moment of the run's clock on: see
    /// [`calm`](crate::fault_cutoff).
    ///
    /// # Errors
    ///
    /// If the story [needs its faults](crate::fault_cutoff::requires_faults): a sentence that says so.
    pub fn with_fault_cutoff(self, moment: Duration) -> Result<Scenario, String> {
        if fault_cutoff::requires_faults(&self.info) {
            return Err(format!("{} is a story of certain faults, none of which can be left out", self.info.name));
        }
        Ok(Scenario { fault_cutoff: Some(moment), ..self })
    }

    /// From when on nothing goes wrong any more, if it is told so.
    pub fn fault_cutoff(&self) -> Option<Duration> {
        self.fault_cutoff
    }

    /// The story, to be told within a run.
    pub(crate) fn body(&self) -> impl FnOnce(Clock, &Progress) -> ScenarioOutcome + Send + 'static {
        let body = Arc::clone(&self.body);
        move |clock, progress| body(clock, progress)
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.info.name).finish_non_exhaustive()
    }
}

/// Calls `abandon` when it is dropped because the story was broken off on threads, where somebody has to stop the
/// servers. A simulation unwinds them itself.
pub(crate) struct AbandonOnFailure<F: Fn()> {
    pub(crate) clock: Clock,
    pub(crate) abandon: F,
}

impl<F: Fn()> Drop for AbandonOnFailure<F> {
    fn drop(&mut self) {
        if thread::panicking() && self.clock == Clock::Threads {
            (self.abandon)();
        }
    }
}

//! A scenario as its runners use it: a name, a part, a title, and a body that runs under either clock. Only the tables
//! in [`scenarios`](crate::scenarios) know the kind of its servers and their implementation.

use std::fmt;

use labrpc::Network;
use labstd::sync::{Arc, Mutex};
use labstd::time::{Duration, Instant};
use labstd::{Clock, ThreadLag, thread};
use linearizability::kv::History;

use crate::cluster::Metrics;
use crate::fault_cutoff;
use crate::scenario_info::ScenarioInfo;

/// A scenario with the servers that it runs on.
#[derive(Clone)]
pub struct Scenario {
    /// Description of the scenario.
    pub info: ScenarioInfo,
    /// Moment at which its faults end, if there is one.
    pub(crate) fault_cutoff: Option<Duration>,
    /// The frequency with which a simulation holds threads of the servers.
    pub(crate) thread_lag: ThreadLag,
    body: Arc<ScenarioBody>,
}

/// Body of a scenario, which runs under a clock.
type ScenarioBody = dyn Fn(Clock, &Progress) -> ScenarioOutcome + Send + Sync;

/// Result of a scenario that ended well.
#[derive(Clone, Debug)]
pub struct ScenarioOutcome {
    /// Its stages, in order; most scenarios have one.
    pub stages: Vec<Stage>,
    /// History of its clients, if it must be checked after the run.
    pub history: Option<ClientHistory>,
    /// Reason why the situation of its title did not come about, if it did not. Then the run shows nothing about it.
    pub gave_up: Option<String>,
}

/// History of the clients of a run.
#[derive(Clone, Debug, Default)]
pub struct ClientHistory {
    /// Operations of the clients.
    pub history: History,
    /// Number of each operation in the record, in the order of the history.
    pub numbers: Vec<u64>,
}

/// Progress of a running scenario, shared with its runner, which reads it if the scenario is interrupted; and the fault
/// cutoff on the run's clock, if there is one.
#[derive(Clone, Default)]
pub struct Progress(pub(crate) Arc<Mutex<Stages>>, Option<Duration>);

/// Stages of a running scenario.
#[derive(Default)]
pub(crate) struct Stages {
    /// The active stage, if there is one.
    pub(crate) active: Option<ActiveStage>,
    /// Finished stages, in order.
    pub(crate) finished: Vec<Stage>,
}

/// A stage that has begun, with the counters at its begin.
pub(crate) struct ActiveStage {
    pub(crate) title: String,
    pub(crate) at: Instant,
    pub(crate) rpcs: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

impl Progress {
    /// Creates the progress of a scenario whose faults end at `fault_cutoff`, if one is given.
    pub(crate) fn new(fault_cutoff: Option<Duration>) -> Progress {
        Progress(Arc::default(), fault_cutoff)
    }

    /// Applies the fault cutoff to the network of the scenario.
    pub(crate) fn apply_fault_cutoff(&self, network: &Network) {
        if let Some(moment) = self.1 {
            network.calm_from(moment);
        }
    }

    /// Returns the finished stages, and the title of the active stage, if there is one. Returns nothing if the run was
    /// abandoned while it held the lock.
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

/// A stage of a scenario, with its own title and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Title, as the course prints it.
    pub title: String,
    /// Cost of the stage.
    pub metrics: Metrics,
}

impl Scenario {
    /// Creates a scenario with this body, which starts its servers, tests them, and shuts them down. A body with
    /// several stages reports them to its [`Progress`].
    pub fn new(
        info: ScenarioInfo,
        body: impl Fn(Clock, &Progress) -> ScenarioOutcome + Send + Sync + 'static,
    ) -> Scenario {
        Scenario { info, fault_cutoff: None, thread_lag: ThreadLag::Drawn, body: Arc::new(body) }
    }

    /// Returns the same scenario with another thread lag. `Never` is for directed scenarios with limits below 1 s: a
    /// correct Raft whose threads are held for 20 ms may break such a limit.
    pub(crate) fn with_thread_lag(self, thread_lag: ThreadLag) -> Scenario {
        Scenario { thread_lag, ..self }
    }

    /// Returns the same scenario with faults that end at `moment` of the run's clock: see
    /// [`fault_cutoff`](crate::fault_cutoff).
    ///
    /// # Errors
    ///
    /// If the scenario [requires its faults](crate::fault_cutoff::requires_faults); the error is a sentence that says
    /// so.
    pub fn with_fault_cutoff(self, moment: Duration) -> Result<Scenario, String> {
        if fault_cutoff::requires_faults(&self.info) {
            return Err(format!("{} needs all of its faults: none can be removed", self.info.name));
        }
        Ok(Scenario { fault_cutoff: Some(moment), ..self })
    }

    /// Returns the moment at which the faults end, if there is one.
    pub fn fault_cutoff(&self) -> Option<Duration> {
        self.fault_cutoff
    }

    /// Returns the body, which must run within a run.
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

/// Guard that calls `abandon` when a scenario on threads panics, because then the servers must be stopped. A simulation
/// unwinds them itself.
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

//! A run: one execution of a body and of all the threads that it starts, under one of the two clocks.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant as OsInstant};

use parking_lot::Mutex;

use crate::failure::Failure;
use crate::group::Group;
use crate::limits::{Limits, default_stall};
use crate::state::{RunState, ThreadInfo};
use crate::stats::Stats;
use crate::thread_lag::ThreadLag;
use crate::{os_threads, panic_hook, rng, sim};

/// The clock of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// Virtual time, coroutines, a seeded scheduler.
    Simulated,
    /// Real time, OS threads.
    Threads,
}

/// The description of a run: its clock, its seed and its limits.
///
/// ```
/// use labstd::{Run, thread, time::Duration};
///
/// let outcome = Run::simulated(1).time_limit(Duration::from_secs(10)).execute(|| {
///     thread::sleep(Duration::from_secs(60));
/// });
/// assert!(outcome.result.unwrap_err().to_string().starts_with("not finished after 10 s"));
/// ```
pub struct Run {
    clock: Clock,
    seed: u64,
    name: String,
    context: Option<Arc<dyn Any + Send + Sync>>,
    steps: Arc<AtomicU64>,
    limits: Limits,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The value that the body returned, or the first thing that went wrong in any thread.
    pub result: Result<T, Failure>,
    /// The figures of the run.
    pub stats: Stats,
}

impl Run {
    /// Describes a run in the simulation. `seed` decides every random choice.
    pub fn simulated(seed: u64) -> Run {
        Run::new(Clock::Simulated, seed)
    }

    /// Describes a run on OS threads. `seed` decides the numbers of [`rng::stream`].
    pub fn threads(seed: u64) -> Run {
        Run::new(Clock::Threads, seed)
    }

    /// Describes a run under `clock`.
    pub fn new(clock: Clock, seed: u64) -> Run {
        let limits = Limits {
            time: None,
            steps: u64::MAX,
            calls_per_instant: 2_000_000,
            stall: default_stall(),
            lock: Duration::from_secs(5),
            thread_lag: ThreadLag::Drawn,
        };
        Run { clock, seed, name: "main".to_string(), context: None, steps: Arc::default(), limits }
    }

    /// Sets the name of the body's thread and of its group. Default: `main`.
    pub fn named(mut self, name: impl Into<String>) -> Run {
        self.name = name.into();
        self
    }

    /// Sets the context of the body's group, which all threads inherit.
    pub fn context(mut self, context: Arc<dyn Any + Send + Sync>) -> Run {
        self.context = Some(context);
        self
    }

    /// Counts the scheduler steps of a simulated run in `steps`, for a thread outside of the run that watches it.
    pub fn step_counter(mut self, steps: Arc<AtomicU64>) -> Run {
        self.steps = steps;
        self
    }

    /// Fails the run if it takes longer than this on its own clock. Default: no limit.
    pub fn time_limit(mut self, limit: Duration) -> Run {
        self.limits.time = Some(limit);
        self
    }

    /// Fails a simulated run that takes more scheduler steps than this. Default: no limit.
    pub fn step_limit(mut self, steps: u64) -> Run {
        self.limits.steps = steps;
        self
    }

    /// Fails a simulated run whose threads make more calls than this while the clock stands still. Default: 2,000,000.
    pub fn spin_limit(mut self, calls: u64) -> Run {
        self.limits.calls_per_instant = calls;
        self
    }

    /// Ends a simulated run whose virtual clock stands still for this long in real time. Default: 20 s, or the number
    /// of seconds in the environment variable `LAB_STALL`, where 0 means no limit. The time that the run waits for a
    /// processor does not count, nor does the time in which the process is stopped or in a debugger (on Linux).
    ///
    /// If its threads still make calls of this crate, the run ends as any failed run. Otherwise it is abandoned.
    pub fn stall_limit(mut self, limit: Duration) -> Run {
        self.limits.stall = Some(limit);
        self
    }

    /// Fails the run if a thread waits for a lock for longer than this, on the run's clock. Default: 5 s.
    pub fn lock_limit(mut self, limit: Duration) -> Run {
        self.limits.lock = limit;
        self
    }

    /// Sets how often a simulated run holds threads of [lagging groups](Group::lagging). Default: the seed draws it.
    pub fn thread_lag(mut self, lag: ThreadLag) -> Run {
        self.limits.thread_lag = lag;
        self
    }

    /// Executes `body` on a thread of its own. Returns when the body has ended or the run has been abandoned.
    ///
    /// A simulation then unwinds every thread that is left. On threads, a thread that still runs continues until it
    /// ends by itself, so the body should stop the threads that it started.
    ///
    /// # Panics
    ///
    /// If called inside a simulation.
    pub fn execute<T: Send + 'static>(self, body: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let returned = Arc::new(Mutex::new(None));
        let body = {
            let returned = Arc::clone(&returned);
            Box::new(move || *returned.lock() = Some(body()))
        };
        let (failure, stats) = self.execute_body(body);
        let returned = returned.lock().take();
        let result = match (failure, returned) {
            (Some(failure), _) => Err(failure),
            (None, Some(value)) => Ok(value),
            (None, None) => unreachable!("a body that does not return fails its run"),
        };
        Outcome { result, stats }
    }

    /// Does the work of [`execute`](Run::execute) for a body of any type, so that it is compiled once.
    fn execute_body(self, body: Box<dyn FnOnce() + Send>) -> (Option<Failure>, Stats) {
        assert!(!sim::active(), "a run cannot be started inside a simulation");
        panic_hook::install();
        let start = OsInstant::now();
        let simulated = self.clock == Clock::Simulated;
        let run = RunState::new(&self.name, self.seed, simulated, self.limits.lock, self.steps);
        let group = Group::of_run(self.name.clone(), self.context, run.clone());
        let main = run.register(&self.name, Some(group));
        let mut stats = match self.clock {
            Clock::Simulated => sim::execute(&run, main, body, self.limits),
            Clock::Threads => {
                execute_on_threads(&run, main, body, self.limits);
                Stats { elapsed: start.elapsed(), ..Stats::default() }
            }
        };
        stats.wall_time = start.elapsed();
        stats.lateness = Duration::from_nanos(run.lateness.load(Relaxed));
        (run.take_failure(), stats)
    }
}

/// Executes `body` on OS threads and returns its result.
///
/// # Panics
///
/// With the [`Failure`] and the seed, if the run fails.
pub fn run<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let seed = rng::fresh_seed();
    Run::threads(seed).execute(body).result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"))
}

/// Executes `body` in a simulation with this seed and returns its result.
///
/// # Panics
///
/// With the [`Failure`] and the seed, if the run fails.
pub fn simulate<T: Send + 'static>(seed: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
    Run::simulated(seed).execute(body).result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"))
}

/// Returns the clock of the calling thread; [`Clock::Threads`] outside of any run.
pub fn clock() -> Clock {
    if sim::active() { Clock::Simulated } else { Clock::Threads }
}

fn execute_on_threads(run: &Arc<RunState>, main: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>, limits: Limits) {
    let ended = {
        let run = Arc::clone(run);
        let main = Arc::clone(&main);
        Box::new(move || {
            os_threads::run_body(&main, body);
            os_threads::body_ended(&run);
        })
    };
    os_threads::spawn(main, ended);
    os_threads::wait_for_end(run, limits.time);
}

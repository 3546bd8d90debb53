//! A run: one execution of a body and of all the threads that it starts, under one of the two clocks.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant as OsInstant};

use parking_lot::Mutex;

use crate::failure::Failure;
use crate::state::RunState;
use crate::thread::Group;
use crate::{hook, rng, sim, threads};

/// Which clock a run lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// Virtual time, coroutines, a seeded scheduler.
    Simulated,
    /// Real time, OS threads.
    Threads,
}

/// What a run is to be: its clock, its seed and its limits.
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
    limits: Limits,
}

/// The limits of a run; see the methods of [`Run`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) steps: u64,
    pub(crate) calls_at_one_instant: u64,
    pub(crate) stall: Duration,
    pub(crate) lock: Duration,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the body returned, or the first thing that went wrong in any thread.
    pub result: Result<T, Failure>,
    /// Figures of the run.
    pub stats: Stats,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// From begin to end on the run's own clock.
    pub elapsed: Duration,
    /// From begin to end in real time.
    pub real: Duration,
    /// Scheduler steps (simulated only).
    pub steps: u64,
    /// A hash over who ran when (simulated only): the same seed gives the same hash.
    pub schedule_hash: u64,
    /// How late a sleep woke at worst (threads only).
    pub lateness: Duration,
}

impl Run {
    /// A run in the simulation. `seed` decides everything that chance decides.
    pub fn simulated(seed: u64) -> Run {
        Run::new(Clock::Simulated, seed)
    }

    /// A run on OS threads. `seed` decides what [`rng::stream`] gives.
    pub fn threads(seed: u64) -> Run {
        Run::new(Clock::Threads, seed)
    }

    /// A run under `clock`.
    pub fn new(clock: Clock, seed: u64) -> Run {
        let limits = Limits {
            time: None,
            steps: u64::MAX,
            calls_at_one_instant: 2_000_000,
            stall: Duration::from_secs(30),
            lock: Duration::from_secs(5),
        };
        Run { clock, seed, name: "main".to_string(), context: None, limits }
    }

    /// The name of the body's thread and of its group. Default: `main`.
    pub fn named(mut self, name: impl Into<String>) -> Run {
        self.name = name.into();
        self
    }

    /// The context of the body's group, which all threads inherit.
    pub fn context(mut self, context: Arc<dyn Any + Send + Sync>) -> Run {
        self.context = Some(context);
        self
    }

    /// Fails the run when it takes longer than this on its own clock. Default: no limit.
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
        self.limits.calls_at_one_instant = calls;
        self
    }

    /// Gives up a simulated run that makes no scheduler step for this long in real time. Default: 30 s.
    pub fn stall_limit(mut self, limit: Duration) -> Run {
        self.limits.stall = limit;
        self
    }

    /// Fails the run when a thread waits for a lock for longer than this, on the run's clock. Default: 5 s.
    pub fn lock_limit(mut self, limit: Duration) -> Run {
        self.limits.lock = limit;
        self
    }

    /// Executes `body` on a thread of its own and returns when it has ended, or has been given up.
    ///
    /// A simulation then unwinds every thread that is left. On threads, what still runs goes on until it ends by
    /// itself: the body should have stopped what it started.
    ///
    /// # Panics
    ///
    /// If called inside a simulation.
    pub fn execute<T: Send + 'static>(self, body: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        assert!(!sim::active(), "a run cannot be started inside a simulation");
        hook::install();
        let begun = OsInstant::now();
        let run = RunState::new(self.seed, self.clock == Clock::Simulated, self.limits.lock);
        let group = Group::of_run(self.name.clone(), self.context, &run);
        let main = run.register(&self.name, Some(group));
        let returned = Arc::new(Mutex::new(None));
        let body = {
            let returned = Arc::clone(&returned);
            Box::new(move || *returned.lock() = Some(body()))
        };
        let mut stats = match self.clock {
            Clock::Simulated => sim::execute(&run, main, body, self.limits),
            Clock::Threads => {
                execute_on_threads(&run, main, body, self.limits);
                Stats { elapsed: begun.elapsed(), ..Stats::default() }
            }
        };
        stats.real = begun.elapsed();
        stats.lateness = Duration::from_nanos(run.lateness.load(Relaxed));
        let returned = returned.lock().take();
        let result = match (run.take_failure(), returned) {
            (Some(failure), _) => Err(failure),
            (None, Some(value)) => Ok(value),
            (None, None) => unreachable!("a body that does not return fails its run"),
        };
        Outcome { result, stats }
    }
}

/// Executes `body` on OS threads and returns what it returns.
///
/// # Panics
///
/// With the [`Failure`] and the seed, if the run fails.
pub fn run<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let seed = rng::fresh_seed();
    Run::threads(seed).execute(body).result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"))
}

/// Executes `body` in a simulation with this seed and returns what it returns.
///
/// # Panics
///
/// With the [`Failure`] and the seed, if the run fails.
pub fn simulate<T: Send + 'static>(seed: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
    Run::simulated(seed).execute(body).result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"))
}

/// The clock that the calling thread lives by; [`Clock::Threads`] outside of any run.
pub fn clock() -> Clock {
    if sim::active() { Clock::Simulated } else { Clock::Threads }
}

fn execute_on_threads(
    run: &Arc<RunState>,
    main: Arc<crate::state::ThreadInfo>,
    body: Box<dyn FnOnce() + Send>,
    limits: Limits,
) {
    let ended = {
        let run = Arc::clone(run);
        let main = Arc::clone(&main);
        Box::new(move || {
            threads::run_body(&main, body);
            threads::body_ended(&run);
        })
    };
    threads::spawn(main, ended);
    threads::supervise(run, limits.time);
}

//! Active runs, and messages about them before they end. A simulation that takes long is reported, so that it does not
//! seem to hang. On Ctrl-C, the artifacts of the active runs are written before the process ends, because a run that
//! hangs is one to look into. A second Ctrl-C ends the process immediately.
//!
//! The exit status is 130, which shells use for an interrupted process (128 + SIGINT). Status 1 means that something
//! failed, and the result of an interrupted run is unknown.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use labstd::sync::{Arc, Mutex, OnceLock};
use labstd::time::{Duration, Instant};
use labstd::{Clock, thread};
use record::{AnnotationShape, Event, EventKind, Recorder};

use super::ArtifactStore;
use crate::runner::{self, Observers};
use crate::scenario::Scenario;
use crate::{lines, stderr};

/// Exit status of an interrupted process.
const STATUS: i32 = 130;

/// Runs that have not been reported yet, by number.
static ACTIVE_RUNS: Mutex<BTreeMap<u64, ActiveRunInfo>> = Mutex::new(BTreeMap::new());

/// Held while a run is reported. A report in progress completes before an interrupt; then the interrupt handles the
/// remaining runs.
static REPORTING: Mutex<()> = Mutex::new(());

/// Known facts about an active run.
struct ActiveRunInfo {
    name: String,
    scenario: Scenario,
    seed: u64,
    observers: Observers,
    begun: Instant,
    /// Whether to report the run if it takes long.
    watched: bool,
}

impl ActiveRunInfo {
    /// Returns the record so far. If the run is not recorded, its seed runs again, with a record, up to the same step.
    fn record(&self) -> Recorder {
        const POLL_INTERVAL: Duration = Duration::from_millis(1);
        const LONG: Duration = Duration::from_secs(5);
        if self.observers.record.is_on() {
            return self.observers.record.clone();
        }
        let steps = self.observers.steps.load(Relaxed);
        let again = Observers { record: Recorder::default(), steps: Arc::default(), ..self.observers };
        let (scenario, seed, observers) = (self.scenario.clone(), self.seed, again.clone());
        #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside any run")]
        let rerun = std::thread::spawn(move || runner::run_observed(&observers, &scenario, Clock::Simulated, seed));
        let begun = Instant::now();
        while again.steps.load(Relaxed) < steps && !rerun.is_finished() && begun.elapsed() < LONG {
            thread::sleep(POLL_INTERVAL);
        }
        again.record
    }
}

/// An active run, until this is dropped.
#[derive(Debug)]
pub(crate) struct ActiveRun(u64);

impl ActiveRun {
    /// Registers a run of `scenario` that begins before these observers.
    pub(crate) fn begin(scenario: &Scenario, clock: Clock, seed: u64, observers: &Observers) -> ActiveRun {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = super::name(&scenario.info, clock, seed, scenario.fault_cutoff);
        // On threads every run takes long.
        let watched = clock == Clock::Simulated;
        let (scenario, observers) = (scenario.clone(), observers.clone());
        let info = ActiveRunInfo { name, scenario, seed, observers, begun: Instant::now(), watched };
        ACTIVE_RUNS.lock().insert(number, info);
        ActiveRun(number)
    }

    /// Removes the run from the active runs, because it has passed and has no record to write.
    pub(crate) fn has_passed(&self) {
        ACTIVE_RUNS.lock().remove(&self.0);
    }

    /// Reports the run, now that it is finished. If the process is interrupted meanwhile, the interrupt waits for this
    /// report. If the interrupt came first, it ends the process.
    pub(crate) fn report<T>(self, report: impl FnOnce() -> T) -> T {
        let reporting = REPORTING.lock();
        let result = report();
        drop(self);
        drop(reporting);
        result
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        ACTIVE_RUNS.lock().remove(&self.0);
    }
}

/// Additional work of an interrupted process: a series of runs has more to save than the active runs.
pub trait InterruptHook: Send {
    /// Called first: saves the results so far, and clears the screen for the messages that follow.
    fn on_interrupt(&mut self);
    /// Called last; the returned text is printed to standard error.
    fn finish(&mut self) -> String;
}

/// The hook to call if the process is interrupted.
static HOOK: Mutex<Option<Box<dyn InterruptHook>>> = Mutex::new(None);

/// Registration of a hook that is called if the process is interrupted, until this is dropped. There is at most one
/// hook at a time. It is not called while a run is being reported.
#[derive(Debug)]
#[must_use = "the registration ends when it is dropped"]
pub struct InterruptGuard(());

impl InterruptGuard {
    /// Registers `hook` from now on.
    pub fn new(hook: impl InterruptHook + 'static) -> InterruptGuard {
        *HOOK.lock() = Some(Box::new(hook));
        InterruptGuard(())
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        HOOK.lock().take();
    }
}

/// Starts the handler of Ctrl-C and the watchdog for slow simulations. Later calls have no effect.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let handler = ctrlc::set_handler(interrupted);
        // If the process handles Ctrl-C itself, leave that to it.
        if let Err(error) = handler
            && !matches!(error, ctrlc::Error::MultipleHandlers)
        {
            stderr::print(&format!("cannot handle Ctrl-C, so an interrupt will leave no files: {error}\n"));
        }
        #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside any run")]
        std::thread::spawn(report_slow_simulations);
    });
}

/// Reports each simulation that takes long in real time, once: from outside it looks as if it hung.
fn report_slow_simulations() {
    const POLL_INTERVAL: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(20);
    loop {
        thread::sleep(POLL_INTERVAL);
        let mut lines = String::new();
        for run in ACTIVE_RUNS.lock().values_mut().filter(|run| run.watched && run.begun.elapsed() >= LONG) {
            run.watched = false;
            let ActiveRunInfo { name, observers, .. } = run;
            lines += &format!(
                "      {name} has been computing for {} s, and is at step {}: in a simulation only computation takes \
                 time, such as encoding a long log at every change\n",
                LONG.as_secs(),
                observers.steps.load(Relaxed)
            );
        }
        if !lines.is_empty() {
            stderr::print(&lines);
        }
    }
}

/// Handles a Ctrl-C; called on a separate thread for each one.
fn interrupted() {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    if INTERRUPTED.swap(true, Relaxed) {
        process::exit(STATUS);
    }
    #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside any run")]
    std::thread::spawn(|| {
        let _ = catch_unwind(AssertUnwindSafe(write_active_runs));
        process::exit(STATUS)
    });
}

/// Writes the artifacts of the active runs, and prints their paths.
fn write_active_runs() {
    let _reporting = REPORTING.lock();
    let mut hook = HOOK.lock().take();
    if let Some(hook) = &mut hook {
        hook.on_interrupt();
    }
    let active_runs = std::mem::take(&mut *ACTIVE_RUNS.lock());
    let store = ArtifactStore::from_env();
    let runs = match active_runs.len() {
        0 => "no run was".to_string(),
        1 => "1 run was".to_string(),
        runs => format!("{runs} runs were"),
    };
    let why_nothing = if store.is_disabled() { "; VIS_ENABLE=never, so nothing is written" } else { "" };
    stderr::print(&format!("\ninterrupted: {runs} active{why_nothing}\n"));
    for run in active_runs.values().filter(|_| !store.is_disabled()) {
        let (name, record) = (&run.name, &run.record());
        // The recorder moves the event to the time of the latest event.
        let label = "interrupted".to_string();
        let kind = EventKind::Annotated {
            tag: "run".to_string(),
            label,
            details: String::new(),
            shape: AnnotationShape::Point,
        };
        record.record(Event { at: 0, server: None, kind });
        let artifacts = store.write(name, record);
        stderr::print(&format!("{name}\n{}\n", lines::indented(&artifacts.lines(None))));
    }
    if let Some(mut hook) = hook {
        stderr::print(&hook.finish());
    }
    // Threads that hold the lock or wait for it would report the same runs again.
    process::exit(STATUS)
}

//! Runs under way, and what is said of them before they end: of simulations that take long, that they compute; and after
//! Ctrl-C: what is known of the runs under way is written before the process ends, because a run that hangs is one that
//! somebody wants to look into. A second Ctrl-C ends the process at once.
//!
//! The exit status is 130, which shells use for a process that was interrupted (128 + SIGINT): 1 means that something
//! failed, and of a run that was broken off nobody knows.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use labstd::sync::{Mutex, OnceLock};
use labstd::time::{Duration, Instant};
use labstd::{Clock, thread};
use record::{Event, EventKind, Recorder, Shape};

use super::ArtifactStore;
use crate::scenario::Scenario;
use crate::{harness, lines};

/// The exit status of an interrupted process.
const STATUS: i32 = 130;

/// The runs of which nobody has been told how they went, by number.
static ACTIVE_RUNS: Mutex<BTreeMap<u64, ActiveRunInfo>> = Mutex::new(BTreeMap::new());

/// Held while somebody is told of a run. Whoever is interrupted there still comes to an end; then it is the turn of the
/// runs that are left.
static REPORTING: Mutex<()> = Mutex::new(());

/// What is known of a run.
struct ActiveRunInfo {
    name: String,
    record: Recorder,
    begun: Instant,
    /// Whether it is to be told of if it takes long.
    watched: bool,
}

/// A run that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct ActiveRun(u64);

impl ActiveRun {
    /// A run of `scenario` begins, with this record.
    pub(crate) fn begin(scenario: &Scenario, clock: Clock, seed: u64, record: &Recorder) -> ActiveRun {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = super::name(&scenario.info, clock, seed, scenario.fault_cutoff);
        // On threads everything takes its time.
        let watched = clock == Clock::Simulated;
        ACTIVE_RUNS.lock().insert(number, ActiveRunInfo { name, record: record.clone(), begun: Instant::now(), watched });
        ActiveRun(number)
    }

    /// Tells somebody of the run, now that it is over. An interrupted process waits for the end of it, or has come first
    /// and goes on to its own end.
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

/// What else an interrupted process has to do: somebody who makes many runs has more to save than those under way.
pub trait InterruptHook: Send {
    /// Called first: saves what there is, and clears the screen for what is said now.
    fn on_interrupt(&mut self);
    /// Called last. What it returns is printed to standard error.
    fn finish(&mut self) -> String;
}

/// Who is to be called when the process is interrupted.
static HOOK: Mutex<Option<Box<dyn InterruptHook>>> = Mutex::new(None);

/// Has `hook` called if the process is interrupted, from now until this is dropped. There is one at a time. It is called
/// while nobody is told of a run that is over.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct InterruptGuard(());

impl InterruptGuard {
    /// From now on.
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

/// Looks out for Ctrl-C, and for simulations that take long, from now on. Later calls change nothing.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let handler = ctrlc::set_handler(interrupted);
        // A process that looks out for Ctrl-C itself has a plan of its own.
        if let Err(error) = handler
            && !matches!(error, ctrlc::Error::MultipleHandlers)
        {
            harness::print(&format!("cannot look out for Ctrl-C, which will leave no files: {error}\n"));
        }
        #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside of any run")]
        std::thread::spawn(report_slow_simulations);
    });
}

/// Tells of simulations that take long in real time, each once: from outside they look as if they hung.
fn report_slow_simulations() {
    const POLL_INTERVAL: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(20);
    loop {
        thread::sleep(POLL_INTERVAL);
        let mut lines = String::new();
        for run in ACTIVE_RUNS.lock().values_mut().filter(|run| run.watched && run.begun.elapsed() >= LONG) {
            run.watched = false;
            let ActiveRunInfo { name, record, .. } = run;
            lines += &format!(
                "      {name} has been computing for {} s, and is at event {}: in a simulation only computing takes time, such \
                 as encoding a long log at every change\n",
                LONG.as_secs(),
                record.len()
            );
        }
        if !lines.is_empty() {
            harness::print(&lines);
        }
    }
}

/// Called on a thread of its own for each Ctrl-C.
fn interrupted() {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    if INTERRUPTED.swap(true, Relaxed) {
        process::exit(STATUS);
    }
    #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside of any run")]
    std::thread::spawn(|| {
        let _ = catch_unwind(AssertUnwindSafe(write_active_runs));
        process::exit(STATUS)
    });
}

/// Writes what is under way, and says where.
fn write_active_runs() {
    let _telling = REPORTING.lock();
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
    harness::print(&format!("\ninterrupted: {runs} under way{why_nothing}\n"));
    for ActiveRunInfo { name, record, .. } in active_runs.values().filter(|_| !store.is_disabled()) {
        // The recorder moves it to the time of the latest event.
        let label = "interrupted".to_string();
        let kind = EventKind::Annotated { tag: "run".to_string(), label, details: String::new(), shape: Shape::Point };
        record.record(Event { at: 0, server: None, kind });
        let artifacts = store.write(name, record);
        harness::print(&format!("{name}\n{}\n", lines::indented(&artifacts.lines(None))));
    }
    if let Some(mut hook) = hook {
        harness::print(&hook.finish());
    }
    // Those who hold it now or wait for it would tell of what has just been told.
    process::exit(STATUS)
}

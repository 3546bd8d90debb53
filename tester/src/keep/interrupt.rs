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

use super::Keeping;
use crate::scenario::Scenario;
use crate::{harness, lines};

/// The exit status of an interrupted process.
const STATUS: i32 = 130;

/// The runs of which nobody has been told how they went, by number.
static UNDER_WAY: Mutex<BTreeMap<u64, Known>> = Mutex::new(BTreeMap::new());

/// Held while somebody is told of a run. Whoever is interrupted there still comes to an end; then it is the turn of the
/// runs that are left.
static TELLING: Mutex<()> = Mutex::new(());

/// What is known of a run.
struct Known {
    name: String,
    record: Recorder,
    begun: Instant,
    /// Whether it is to be told of if it takes long.
    watched: bool,
}

/// A run that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(u64);

impl UnderWay {
    /// A run of `scenario` begins, with this record.
    pub(crate) fn begin(scenario: &Scenario, clock: Clock, seed: u64, record: &Recorder) -> UnderWay {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = super::name(&scenario.about, clock, seed, scenario.calm_from);
        // On threads everything takes its time.
        let watched = clock == Clock::Simulated;
        UNDER_WAY.lock().insert(number, Known { name, record: record.clone(), begun: Instant::now(), watched });
        UnderWay(number)
    }

    /// Tells somebody of the run, now that it is over. An interrupted process waits for the end of it, or has come first
    /// and goes on to its own end.
    pub(crate) fn tell<T>(self, tell: impl FnOnce() -> T) -> T {
        let telling = TELLING.lock();
        let told = tell();
        drop(self);
        drop(telling);
        told
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.lock().remove(&self.0);
    }
}

/// What else an interrupted process has to do: somebody who makes many runs has more to save than those under way.
pub trait Farewell: Send {
    /// Called first: saves what there is, and clears the screen for what is said now.
    fn begin(&mut self);
    /// Called last. What it returns is printed to standard error.
    fn end(&mut self) -> String;
}

/// Who is to be called when the process is interrupted.
static FAREWELL: Mutex<Option<Box<dyn Farewell>>> = Mutex::new(None);

/// Has `farewell` called if the process is interrupted, from now until this is dropped. There is one at a time. It is called
/// while nobody is told of a run that is over.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Waiting(());

impl Waiting {
    /// From now on.
    pub fn new(farewell: impl Farewell + 'static) -> Waiting {
        *FAREWELL.lock() = Some(Box::new(farewell));
        Waiting(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        FAREWELL.lock().take();
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
        std::thread::spawn(tell_of_slow_ones);
    });
}

/// Tells of simulations that take long in real time, each once: from outside they look as if they hung.
fn tell_of_slow_ones() {
    const LOOK: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(20);
    loop {
        thread::sleep(LOOK);
        let mut lines = String::new();
        for known in UNDER_WAY.lock().values_mut().filter(|known| known.watched && known.begun.elapsed() >= LONG) {
            known.watched = false;
            let Known { name, record, .. } = known;
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
    static ASKED: AtomicBool = AtomicBool::new(false);
    if ASKED.swap(true, Relaxed) {
        process::exit(STATUS);
    }
    #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside of any run")]
    std::thread::spawn(|| {
        let _ = catch_unwind(AssertUnwindSafe(write_all));
        process::exit(STATUS)
    });
}

/// Writes what is under way, and says where.
fn write_all() {
    let _telling = TELLING.lock();
    let mut farewell = FAREWELL.lock().take();
    if let Some(farewell) = &mut farewell {
        farewell.begin();
    }
    let under_way = std::mem::take(&mut *UNDER_WAY.lock());
    let keeping = Keeping::of_this_process();
    let runs = match under_way.len() {
        0 => "no run was".to_string(),
        1 => "1 run was".to_string(),
        runs => format!("{runs} runs were"),
    };
    let why_nothing = if keeping.never() { "; VIS_ENABLE=never, so nothing is written" } else { "" };
    harness::print(&format!("\ninterrupted: {runs} under way{why_nothing}\n"));
    for Known { name, record, .. } in under_way.values().filter(|_| !keeping.never()) {
        // The recorder moves it to the time of the latest event.
        let label = "interrupted".to_string();
        let kind = EventKind::Annotated { tag: "run".to_string(), label, details: String::new(), shape: Shape::Point };
        record.record(Event { at: 0, server: None, kind });
        let kept = keeping.write(name, record);
        harness::print(&format!("{name}\n{}\n", lines::indented(&kept.lines(None))));
    }
    if let Some(mut farewell) = farewell {
        harness::print(&farewell.end());
    }
    // Those who hold it now or wait for it would tell of what has just been told.
    process::exit(STATUS)
}

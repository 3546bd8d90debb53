//! Threads from outside of a simulation that use its objects, such as one of `std::thread`. The seed does not decide
//! when such a thread runs, and it cannot wake the simulation's threads. So its first use of a lock, a condition
//! variable, a latch, a channel, the network or a report fails the simulation, before anything else is blamed.
//!
//! A thread is found in two ways. An object remembers the simulation that it belongs to ([`Home`], [`HomeRun`]). And
//! on Linux, a new thread without a name of its own inherits the name of the OS thread that starts it, and that name is
//! unique to each simulation; this also finds a thread that has not used an object yet.

use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::current_thread::with_current_thread;
use crate::failure::Failure;
use crate::home::Home;
use crate::os_task;
use crate::sim;
use crate::state::{Killed, RunState};

/// The simulations that have not ended, by number.
static LIVE: Mutex<Vec<(u32, Weak<RunState>)>> = Mutex::new(Vec::new());

/// The length of [`LIVE`], which is read without its lock.
static LIVE_COUNT: AtomicUsize = AtomicUsize::new(0);

/// A live simulation, until this is dropped.
pub(crate) struct Live {
    /// The number of the simulation, unique in the process; from 1.
    pub(crate) number: u32,
}

impl Live {
    pub(crate) fn new(run: &Arc<RunState>) -> Live {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Relaxed);
        let mut live = LIVE.lock();
        live.push((number, Arc::downgrade(run)));
        LIVE_COUNT.store(live.len(), Relaxed);
        Live { number }
    }

    /// Returns the name of the simulation's OS thread. Linux permits 15 bytes.
    pub(crate) fn thread_name(&self) -> String {
        format!("{THREAD_NAME}{}", self.number)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut live = LIVE.lock();
        live.retain(|(number, _)| *number != self.number);
        LIVE_COUNT.store(live.len(), Relaxed);
    }
}

/// The beginning of the name of a simulation's OS thread; its number follows.
const THREAD_NAME: &str = "sim-";

/// Returns a simulation that is live and whose result is still open.
fn find_live(number: u32) -> Option<Arc<RunState>> {
    let live = LIVE.lock();
    let (_, run) = live.iter().find(|(live, _)| *live == number)?;
    run.upgrade().filter(|run| !run.is_over())
}

/// Fails the simulation that uses an object, and unwinds the calling thread, which is part of no simulation. `object`
/// describes the object as the object of "uses".
#[inline]
pub(crate) fn check_home(home: &Home, object: impl FnOnce() -> String, at: &'static Location<'static>) {
    if home.number() != 0
        && let Some(run) = find_live(home.number())
    {
        fail(&run, &format!("uses {}", object()), Some(at));
    }
}

/// The simulation in which an object was created, for libraries whose objects belong to one run.
#[derive(Clone, Debug, Default)]
pub struct HomeRun(Option<Weak<RunState>>);

impl HomeRun {
    /// Returns the simulation of the calling thread; none on threads.
    pub fn current() -> HomeRun {
        HomeRun(with_current_thread(|me| me.map(|me| &me.run).filter(|run| run.simulated).map(Arc::downgrade)))
    }

    /// Fails the simulation if it is not over and the calling thread is not part of it, and unwinds the thread. `what`
    /// describes the thread's call, such as "uses a channel".
    #[inline]
    pub fn check(&self, what: impl FnOnce() -> String, at: &'static Location<'static>) {
        if let Some(run) = &self.0
            && !sim::active()
            && let Some(run) = run.upgrade().filter(|run| !run.is_over())
        {
            fail(&run, &what(), Some(at));
        }
    }
}

/// Fails the simulation that started the calling thread, which belongs to no run, if that simulation is known and not
/// over. `what` describes the thread's call.
#[inline]
pub(crate) fn check_starter(what: &str, at: Option<&'static Location<'static>>) {
    if LIVE_COUNT.load(Relaxed) > 0
        && !sim::active()
        && let Some(run) = starter()
    {
        fail(&run, what, at);
    }
}

/// Returns the live simulation that started the calling thread, if the thread has no name of its own.
fn starter() -> Option<Arc<RunState>> {
    let number = os_task::current_name()?.strip_prefix(THREAD_NAME)?.parse().ok()?;
    let run = find_live(number)?;
    // The simulation's own OS thread has the name too.
    (run.os_thread.get() != Some(&std::thread::current().id())).then_some(run)
}

/// Fails a simulation that failed for another reason while an OS thread that it had started was alive. `number` is that
/// of the simulation, whose own OS thread has ended.
pub(crate) fn blame_started_thread(run: &RunState, number: u32) {
    if !run.has_failed() || !os_task::other_has_name(run.os_task.load(Relaxed), &format!("{THREAD_NAME}{number}")) {
        return;
    }
    run.replace_failure(|first| match first {
        Failure::ForeignThread { .. } => first,
        first => {
            let first = first.to_string();
            let first = first.lines().next().unwrap_or_default();
            Failure::ForeignThread {
                description: format!(
                    "the code under test started an OS thread, which the simulation does not schedule, and then the \
                     run failed ({first})"
                ),
            }
        }
    });
}

/// Fails `run`, because the calling thread is not part of it, and unwinds the thread, whose results no run awaits.
#[cold]
fn fail(run: &RunState, what: &str, at: Option<&'static Location<'static>>) {
    let name = with_current_thread(|me| match me {
        Some(me) => format!("thread '{}' of another run", me.name),
        None => match std::thread::current().name() {
            Some(name) => format!("a thread outside of any run (one of std::thread?), named '{name}',"),
            None => "a thread outside of any run (one of std::thread?)".to_string(),
        },
    });
    let at = at.map_or(String::new(), |at| format!(" at {at}"));
    run.fail(Failure::ForeignThread { description: format!("{name} {what} of this simulation{at}") });
    if !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(Killed));
    }
}

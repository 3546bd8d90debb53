//! The beginning and the end of a simulation: its OS thread, and what becomes of a thread that never ends.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{CURRENT, Sim, current};
use crate::failure::Failure;
use crate::foreign::{self, Live};
use crate::limits::Limits;
use crate::os_task;
use crate::os_threads;
use crate::sim::hot_state::HotState;
use crate::sim::scheduler::Scheduler;
use crate::sim::stack::StackPool;
use crate::sim::{freed_memory, overflow, watchdog};
use crate::state::{RunState, ThreadInfo};
use crate::stats::Stats;

/// Runs a simulation on a new OS thread. Waits until it ends, or until it makes no step for `limits.stall`.
pub(crate) fn execute(
    run: &Arc<RunState>,
    main: Arc<ThreadInfo>,
    body: Box<dyn FnOnce() + Send>,
    limits: Limits,
) -> Stats {
    overflow::install();
    freed_memory::keep();
    let live = Live::new(run);
    let number = live.number;
    let hot_state = Arc::new(OnceLock::new());
    let simulation = {
        let (run, hot_state) = (Arc::clone(run), Arc::clone(&hot_state));
        std::thread::Builder::new()
            .name(live.thread_name())
            .spawn(move || {
                let _ = run.os_thread.set(std::thread::current().id());
                run.os_task.store(os_task::current(), Relaxed);
                let stats = run_simulation(&run, number, main, body, limits, &hot_state);
                os_threads::body_ended(&run);
                stats
            })
            .expect("the OS starts a thread for the simulation")
    };
    if watchdog::wait_for_end(run, &simulation, limits.stall, &hot_state) {
        let stats = simulation.join().unwrap_or_else(|thrown| std::panic::resume_unwind(thrown));
        foreign::blame_started_thread(run, number);
        return stats;
    }
    run.fail(Failure::Aborted { after: limits.stall.unwrap_or_default(), description: describe_stuck(run) });
    Stats { elapsed: Duration::from_nanos(run.now()), ..Stats::default() }
}

/// Describes the thread that runs and makes no call.
fn describe_stuck(run: &RunState) -> String {
    let running = run.thread(run.running.load(Relaxed));
    let name = running.as_ref().map_or("", |thread| &*thread.name);
    let last = running.as_ref().and_then(|thread| thread.wait.snapshot().at);
    let last = last.map_or(String::new(), |at| format!("; it last waited at {at}"));
    format!(
        "thread '{name}' computes without end, or waits in something that the simulation does not know (an OS lock, a \
         std channel){last}"
    )
}

/// Runs a whole simulation on the calling OS thread.
fn run_simulation(
    run: &Arc<RunState>,
    number: u32,
    main: Arc<ThreadInfo>,
    body: Box<dyn FnOnce() + Send>,
    limits: Limits,
    shared_hot_state: &OnceLock<Arc<HotState>>,
) -> Stats {
    let scheduler = Scheduler::new(Arc::clone(run), limits);
    let sim = Sim {
        run: Arc::clone(run),
        number,
        hot_state: scheduler.hot_state(),
        scheduler: RefCell::new(scheduler),
        coroutines: RefCell::new(Vec::new()),
        stacks: RefCell::new(StackPool::new()),
        next: Cell::new(None),
        stall_limit: limits.stall.unwrap_or_default(),
        stall_search: RefCell::new(None),
        ended_at: Cell::new(0),
    };
    let _ = shared_hot_state.set(Arc::clone(&sim.hot_state));
    CURRENT.set(&raw const sim);
    sim.add(
        Arc::clone(&main),
        Box::new(move || {
            os_threads::run_body(&main, body);
            current().expect("the body runs in the simulation").body_ended();
        }),
    );
    sim.drive();
    CURRENT.set(ptr::null());
    let scheduler = sim.scheduler.borrow();
    Stats {
        elapsed: Duration::from_nanos(sim.ended_at.get()),
        steps: scheduler.steps,
        schedule_hash: scheduler.hash,
        ..Stats::default()
    }
}

//! Switching between the threads of a simulation, and the calls by which the rest of the crate blocks and wakes them.
//!
//! The OS thread of the simulation runs [`Sim::drive`]: resume a coroutine; when it suspends or ends, resume the next. A
//! coroutine that blocks asks the scheduler for the next one itself and suspends only if that is not again itself.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant as OsInstant};

use corosensei::stack::Stack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::pulse::Pulse;
use super::scheduler::{Scheduler, Slot};
use super::stack::{SimStack, Stacks};
use super::{NEVER, overflow};
use crate::failure::Failure;
use crate::run::{Limits, Stats};
use crate::state::{Killed, RunState, ThreadInfo, set_me};
use crate::threads;
use crate::wait::{Kind, LockState, held_too_long};

/// In a box, so that it need not be moved at each switch.
type Co = Box<Coroutine<(), (), (), SimStack>>;

thread_local! {
    /// The simulation that this OS thread drives; null on all others.
    static CURRENT: Cell<*const Sim> = const { Cell::new(ptr::null()) };
}

/// One simulation. It lives on one OS thread and is never seen by another.
pub(crate) struct Sim {
    run: Arc<RunState>,
    scheduler: RefCell<Scheduler>,
    /// The scheduler's.
    pulse: Rc<Pulse>,
    /// By slot.
    tracks: RefCell<Vec<Track>>,
    stacks: RefCell<Stacks>,
    /// Who is to run after the coroutine that suspends now.
    next: Cell<Option<Slot>>,
    /// When the body ended, in nanoseconds.
    ended_at: Cell<u64>,
}

/// What it takes to run one thread of the simulation.
struct Track {
    /// `None` while it runs.
    coroutine: Option<Co>,
    /// How it suspends itself; set when it begins.
    yielder: *const Yielder<(), ()>,
    /// Where its stack ends.
    guard: usize,
    /// Who it is. Valid as long as the scheduler has its task.
    me: *const ThreadInfo,
}

/// The simulation of the calling thread; `None` on OS threads.
#[inline]
pub(crate) fn current() -> Option<&'static Sim> {
    // SAFETY: `CURRENT` is null or points to the `Sim` in the frame of `simulate_here` on this very OS thread, which
    // outlives every coroutine. The reference is only ever used inside one call of this crate, made by such a coroutine.
    unsafe { CURRENT.get().as_ref() }
}

/// Whether the calling thread is part of a simulation.
pub(crate) fn active() -> bool {
    !CURRENT.get().is_null()
}

/// Whether the calling thread unwinds.
pub(crate) fn unwinding() -> bool {
    if !std::thread::panicking() {
        return false;
    }
    current().is_none_or(|sim| sim.scheduler.borrow_mut().running().unwinding)
}

/// The calling thread has begun to unwind from a panic.
pub(crate) fn begin_unwinding() {
    if let Some(sim) = current()
        && let Ok(mut scheduler) = sim.scheduler.try_borrow_mut()
    {
        scheduler.running().unwinding = true;
    }
}

/// Runs a simulation on a fresh OS thread and waits for its end, or until it makes no step for `limits.stall`.
pub(crate) fn execute(
    run: &Arc<RunState>,
    main: Arc<ThreadInfo>,
    body: Box<dyn FnOnce() + Send>,
    limits: Limits,
) -> Stats {
    overflow::install();
    let simulation = {
        let run = Arc::clone(run);
        std::thread::Builder::new()
            .name("simulation".to_string())
            .spawn(move || {
                let stats = simulate_here(&run, main, body, limits);
                threads::body_ended(&run);
                stats
            })
            .expect("the OS starts a thread for the simulation")
    };
    if ends_before_stall(run, &simulation, limits.stall) {
        return simulation.join().unwrap_or_else(|thrown| std::panic::resume_unwind(thrown));
    }
    let running = run.running.load(Relaxed);
    let thread = run.thread(running).map_or(String::new(), |thread| thread.name.to_string());
    run.fail(Failure::Aborted { after: limits.stall, thread });
    Stats { elapsed: Duration::from_nanos(run.now()), ..Stats::default() }
}

/// Waits for the simulation's end; `false` if it stopped making steps.
fn ends_before_stall(run: &RunState, simulation: &std::thread::JoinHandle<Stats>, stall: Duration) -> bool {
    let mut seen = (0, OsInstant::now());
    let mut done = run.body_done.lock();
    while !*done && !simulation.is_finished() {
        let slice = (stall / 10).clamp(Duration::from_millis(1), Duration::from_secs(1));
        run.changed.wait_for(&mut done, slice);
        let steps = run.steps.load(Relaxed);
        if steps != seen.0 {
            seen = (steps, OsInstant::now());
        } else if seen.1.elapsed() >= stall && !*done {
            return false;
        }
    }
    true
}

/// The whole life of a simulation, on the OS thread that is its own.
fn simulate_here(run: &Arc<RunState>, main: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>, limits: Limits) -> Stats {
    let scheduler = Scheduler::new(Arc::clone(run), limits);
    let sim = Sim {
        run: Arc::clone(run),
        pulse: scheduler.pulse(),
        scheduler: RefCell::new(scheduler),
        tracks: RefCell::new(Vec::new()),
        stacks: RefCell::new(Stacks::new()),
        next: Cell::new(None),
        ended_at: Cell::new(0),
    };
    CURRENT.set(&raw const sim);
    sim.add(
        Arc::clone(&main),
        Box::new(move || {
            threads::run_body(&main, body);
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

impl Sim {
    /// Runs all threads until the run is over and every thread has ended.
    fn drive(&self) {
        let mut next = self.scheduler.borrow_mut().pick();
        while let Some(slot) = next {
            let mut coroutine = {
                let track = &mut self.tracks.borrow_mut()[slot];
                set_me(track.me);
                overflow::watch(track.guard);
                track.coroutine.take().expect("a runnable task is suspended")
            };
            next = match coroutine.resume(()) {
                CoroutineResult::Yield(()) => {
                    self.tracks.borrow_mut()[slot].coroutine = Some(coroutine);
                    // Who suspends has chosen already who follows.
                    self.next.take()
                }
                CoroutineResult::Return(()) => {
                    overflow::watch(0);
                    set_me(ptr::null());
                    self.stacks.borrow_mut().give_back(coroutine.into_stack());
                    let task = self.scheduler.borrow_mut().remove(slot);
                    self.run.unregister(&task.info);
                    self.scheduler.borrow_mut().pick()
                }
            };
        }
        overflow::watch(0);
        set_me(ptr::null());
        self.abandon_leftovers();
    }

    /// The run is over when its body is: whatever is left unwinds.
    fn body_ended(&self) {
        self.ended_at.set(self.now());
        self.scheduler.borrow_mut().end();
    }

    /// Gives up threads whose destructors wait for what will never happen. Their stacks are lost.
    fn abandon_leftovers(&self) {
        let leftovers: Vec<Slot> = self.scheduler.borrow().leftovers().collect();
        for slot in leftovers {
            std::mem::forget(self.tracks.borrow_mut()[slot].coroutine.take());
        }
    }

    /// Starts a thread; the calling one may be interrupted right away.
    #[track_caller]
    pub(crate) fn spawn(&self, info: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>) {
        let me = Arc::clone(&info);
        self.add(info, Box::new(move || threads::run_body(&me, body)));
        self.preemption_point(Location::caller());
    }

    fn add(&self, info: Arc<ThreadInfo>, body: Box<dyn FnOnce()>) {
        let stack = self.stacks.borrow_mut().take();
        let (guard, me) = (stack.limit().get(), Arc::as_ptr(&info));
        let slot = self.scheduler.borrow_mut().add(info);
        let coroutine = Box::new(Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
            let sim = current().expect("coroutines run inside their simulation");
            sim.tracks.borrow_mut()[slot].yielder = yielder;
            if !sim.ending() {
                sim.scheduler.borrow_mut().running().info.wait.end();
                body();
            } else {
                // It never begins, but what it owns has destructors, and those that lock are ended there.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
            }
        }));
        let track = Track { coroutine: Some(coroutine), yielder: ptr::null(), guard, me };
        let mut tracks = self.tracks.borrow_mut();
        match tracks.get_mut(slot) {
            Some(ended) => *ended = track,
            None => tracks.push(track),
        }
    }

    /// Blocks the calling thread under `key` until it is unparked (`true`) or `deadline` comes (`false`).
    pub(crate) fn park(&self, key: usize, kind: Kind, at: &'static Location<'static>, deadline: u64) -> bool {
        let woken = self.park_quietly(key, kind, at, deadline);
        self.leave_if_killed();
        woken
    }

    /// As [`park`](Sim::park), but returns also when the run is over, so that the caller can restore what it must
    /// before it [leaves](Sim::leave_if_killed).
    pub(crate) fn park_quietly(&self, key: usize, kind: Kind, at: &'static Location<'static>, deadline: u64) -> bool {
        if self.ending() && !unwinding() {
            return false;
        }
        let (me, next) = {
            let mut scheduler = self.scheduler.borrow_mut();
            scheduler.running().info.wait.begin(kind, at, self.now());
            scheduler.block(key, deadline);
            (scheduler.current, scheduler.pick())
        };
        self.switch(me, next)
    }

    /// Suspends the calling thread `me` in favour of `next`; returns when it is `me`'s turn again, and says whether `me` was
    /// unparked, if it was parked.
    fn switch(&self, me: Slot, next: Option<Slot>) -> bool {
        if next != Some(me) {
            self.next.set(next);
            let yielder = self.tracks.borrow()[me].yielder;
            // SAFETY: the coroutine that runs set this pointer to its own yielder when it began, and is that coroutine.
            unsafe { (*yielder).suspend(()) };
        }
        let mut scheduler = self.scheduler.borrow_mut();
        let task = scheduler.running();
        task.info.wait.end();
        task.woken
    }

    /// Ends the calling thread, without a message, if the run is over.
    pub(crate) fn leave_if_killed(&self) {
        /// A thread that catches its end this often is left where it is, for ever.
        const TRIES_MAX: u32 = 16;
        if !self.ending() || unwinding() {
            return;
        }
        let tries = {
            let mut scheduler = self.scheduler.borrow_mut();
            let me = scheduler.running();
            me.unwinding = true;
            me.unwound += 1;
            me.unwound
        };
        if tries <= TRIES_MAX {
            std::panic::resume_unwind(Box::new(Killed));
        }
        loop {
            let (me, next) = {
                let mut scheduler = self.scheduler.borrow_mut();
                scheduler.block(0, NEVER);
                (scheduler.current, scheduler.pick())
            };
            self.switch(me, next);
        }
    }

    /// Wakes one of the threads that are parked under `key`.
    pub(crate) fn unpark_one(&self, key: usize) {
        self.scheduler.borrow_mut().unpark_one(key);
    }

    /// Wakes all threads that are parked under `key`.
    pub(crate) fn unpark_all(&self, key: usize) {
        self.scheduler.borrow_mut().unpark_all(key);
    }

    /// A lock is free: wakes one of the threads that wait for it, and is a place where another may go on. Unwinding does
    /// not begin here, for guards are dropped while it goes on.
    pub(crate) fn released(&self, key: usize, lock: &LockState) {
        if lock.somebody_waits() {
            self.unpark_one(key);
        }
        if !self.ending() && self.pulse.interrupts_here() {
            self.interrupt();
        }
    }

    /// A place where the seed may decide that another thread goes on.
    #[inline]
    pub(crate) fn preemption_point(&self, at: &'static Location<'static>) {
        if !self.pulse.count_call() || self.ending() {
            self.stop_spinning(at);
            self.leave_if_killed();
        } else if self.pulse.interrupts_here() {
            self.interrupt();
        }
    }

    /// Another thread goes on, though this one could.
    #[inline(never)]
    fn interrupt(&self) {
        let (me, next) = {
            let mut scheduler = self.scheduler.borrow_mut();
            scheduler.running().info.wait.ready();
            (scheduler.current, scheduler.pick_other())
        };
        self.switch(me, next);
    }

    /// Lets another thread go on, if one can.
    #[track_caller]
    pub(crate) fn yield_now(&self) {
        self.count_call(Location::caller());
        let (me, next) = {
            let mut scheduler = self.scheduler.borrow_mut();
            scheduler.running().info.wait.ready();
            scheduler.requeue_running();
            (scheduler.current, scheduler.pick())
        };
        self.switch(me, next);
        self.leave_if_killed();
    }

    pub(crate) fn sleep(&self, duration: Duration, at: &'static Location<'static>) {
        if duration.is_zero() {
            self.yield_now();
        } else {
            self.park(0, Kind::Sleep, at, self.deadline(duration));
        }
    }

    /// The moment `duration` from now, in nanoseconds.
    pub(crate) fn deadline(&self, duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).ok().and_then(|nanos| self.now().checked_add(nanos)).unwrap_or(NEVER)
    }

    /// The clock, for a thread that asks: asking again and again without blocking is a spin.
    #[track_caller]
    pub(crate) fn read_clock(&self) -> u64 {
        self.count_call(Location::caller());
        self.now()
    }

    pub(crate) fn lock_limit(&self) -> Duration {
        self.run.lock_limit
    }

    /// Waits for a lock that somebody else holds. Fails the run if this closes a circle of threads that wait for each
    /// other, or if `deadline` comes.
    pub(crate) fn wait_for_lock(&self, key: usize, lock: &LockState, at: &'static Location<'static>, deadline: u64) {
        let me = Arc::clone(&self.scheduler.borrow_mut().running().info);
        me.wait.on_lock(lock);
        if let Some(cycle) = self.cycle_through(&me, lock, at) {
            self.run.fail(Failure::Deadlock { cycle, threads: self.run.statuses(|_| true) });
            self.scheduler.borrow_mut().end();
        }
        let woken = lock.while_waiting(|| self.park_quietly(key, Kind::Lock, at, deadline));
        if !woken && !self.ending() {
            let holder = self.run.thread(lock.owner());
            let holder = holder.map_or(crate::state::OUTSIDER.to_string(), |holder| holder.status().to_string());
            let what = held_too_long(&me.name, lock, at, &holder);
            self.run.fail(Failure::LockHeldTooLong { what, threads: self.run.statuses(|_| true) });
            self.scheduler.borrow_mut().end();
        }
        self.leave_if_killed();
    }

    /// The circle of threads that wait for each other's locks and that `me` would close by waiting for `lock`.
    fn cycle_through(&self, me: &ThreadInfo, lock: &LockState, at: &'static Location<'static>) -> Option<Vec<String>> {
        let mut cycle = vec![waits_for(&me.name, lock, at)];
        let mut holder = lock.owner();
        while holder != me.id {
            let next = self.run.thread(holder)?;
            let waiting = next.wait.get();
            if waiting.kind != Kind::Lock || cycle.len() > self.tracks.borrow().len() {
                return None;
            }
            // SAFETY: a thread that waits for a lock borrows it, and none of this simulation's threads runs now.
            let lock = unsafe { &*waiting.lock };
            cycle.push(waits_for(&next.name, lock, waiting.at?));
            holder = lock.owner();
        }
        Some(cycle)
    }

    /// Counts a call and fails the run if there were too many while the clock stood still.
    fn count_call(&self, at: &'static Location<'static>) {
        if !self.pulse.count_call() {
            self.stop_spinning(at);
        }
    }

    /// Fails the run, unless it is over, because there were too many calls while the clock stood still.
    #[cold]
    fn stop_spinning(&self, at: &'static Location<'static>) {
        if self.ending() {
            return;
        }
        let mut scheduler = self.scheduler.borrow_mut();
        let calls = self.pulse.calls_limit();
        let name = &scheduler.running().info.name;
        let what =
            format!("thread '{name}' keeps calling from {at}: {calls} calls were made and the clock never moved");
        self.run.fail(Failure::Spin { what });
        scheduler.end();
        drop(scheduler);
        self.leave_if_killed();
    }

    fn now(&self) -> u64 {
        self.pulse.now()
    }

    fn ending(&self) -> bool {
        self.pulse.ending()
    }
}

/// One step of a circle of locks, in words.
fn waits_for(thread: &str, lock: &LockState, at: &Location<'_>) -> String {
    let taken = lock.taken_at().map_or(String::new(), |line| format!(", which was taken at {line}"));
    format!("{thread} waits at {at} for the lock made at {}{taken}", lock.made_at)
}

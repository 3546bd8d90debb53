//! The thread switches of a simulation, and the calls with which the rest of the crate blocks and wakes its threads.
//!
//! The OS thread of the simulation runs [`Sim::drive`]: it resumes a coroutine, and when that suspends or ends, it
//! resumes the next. A coroutine that blocks asks the scheduler itself for the next one, and suspends only if that is
//! another one.

mod calls;
mod execute;
mod lock_waits;

pub(crate) use execute::execute;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use corosensei::stack::Stack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::hot_state::HotState;
use super::scheduler::Scheduler;
use super::slot::Slot;
use super::stack::{SimStack, StackPool};
use super::watchdog::StallSearch;
use super::{NEVER, overflow};
use crate::current_thread::set_current_thread;
use crate::os_threads;
use crate::state::{Killed, RunState, ThreadInfo};
use crate::wait::{LockState, WaitKind};

/// Boxed, so that a switch does not move it.
type BoxedCoroutine = Box<Coroutine<(), (), (), SimStack>>;

thread_local! {
    /// The simulation that this OS thread drives; null on all others.
    static CURRENT: Cell<*const Sim> = const { Cell::new(ptr::null()) };
}

/// One simulation. It lives on one OS thread, and no other thread sees it.
pub(crate) struct Sim {
    run: Arc<RunState>,
    /// Identifies the simulation in the objects that it uses.
    number: u32,
    scheduler: RefCell<Scheduler>,
    /// Shared with the scheduler.
    hot_state: Arc<HotState>,
    /// The coroutines, indexed by slot.
    coroutines: RefCell<Vec<CoroutineSlot>>,
    stacks: RefCell<StackPool>,
    /// The task to resume after the coroutine that suspends now.
    next: Cell<Option<Slot>>,
    /// See [`Run::stall_limit`](crate::Run::stall_limit); zero if there is none.
    stall_limit: Duration,
    /// The search for the cause, while the clock stands still for too long.
    stall_search: RefCell<Option<StallSearch>>,
    /// The time at which the body ended, in nanoseconds.
    ended_at: Cell<u64>,
}

/// The coroutine of one simulated thread, and the data that resuming it needs.
struct CoroutineSlot {
    /// `None` while it runs.
    coroutine: Option<BoxedCoroutine>,
    /// The coroutine's own handle for suspending itself; set when it begins.
    yielder: *const Yielder<(), ()>,
    /// The lowest address of its stack, which is its guard page.
    guard_page: usize,
    /// The thread's register entry. Valid as long as the scheduler has its task.
    thread: *const ThreadInfo,
}

/// Returns the simulation of the calling thread; `None` on OS threads.
#[inline]
pub(crate) fn current() -> Option<&'static Sim> {
    // SAFETY: `CURRENT` is null or points to the `Sim` in the frame of `run_simulation` on this same OS thread, which
    // outlives every coroutine. The reference is only used inside one call of this crate, made by such a coroutine.
    unsafe { CURRENT.get().as_ref() }
}

/// Returns whether the calling thread is part of a simulation.
pub(crate) fn active() -> bool {
    !CURRENT.get().is_null()
}

/// Returns whether the calling thread unwinds.
pub(crate) fn unwinding() -> bool {
    if !std::thread::panicking() {
        return false;
    }
    current().is_none_or(|sim| sim.scheduler.borrow_mut().running().unwinding)
}

/// Records that the calling thread has begun to unwind from a panic.
pub(crate) fn mark_unwinding() {
    if let Some(sim) = current()
        && let Ok(mut scheduler) = sim.scheduler.try_borrow_mut()
    {
        scheduler.running().unwinding = true;
    }
}

impl Sim {
    /// Returns the number that identifies the simulation in the objects that it uses.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Runs all threads until the run is over and every thread has ended.
    fn drive(&self) {
        let mut next = self.scheduler.borrow_mut().pick();
        while let Some(slot) = next {
            let mut coroutine = {
                let entry = &mut self.coroutines.borrow_mut()[slot];
                set_current_thread(entry.thread);
                overflow::set_guard_page(entry.guard_page);
                entry.coroutine.take().expect("a runnable task is suspended")
            };
            next = match coroutine.resume(()) {
                CoroutineResult::Yield(()) => {
                    self.coroutines.borrow_mut()[slot].coroutine = Some(coroutine);
                    // The suspending thread has already chosen the next one.
                    self.next.take()
                }
                CoroutineResult::Return(()) => {
                    overflow::set_guard_page(0);
                    set_current_thread(ptr::null());
                    self.stacks.borrow_mut().release(coroutine.into_stack());
                    let task = self.scheduler.borrow_mut().remove(slot);
                    self.run.unregister(&task.info);
                    self.scheduler.borrow_mut().pick()
                }
            };
        }
        overflow::set_guard_page(0);
        set_current_thread(ptr::null());
        self.leak_unfinished_threads();
    }

    /// Ends the run, because its body has ended: the remaining threads unwind.
    fn body_ended(&self) {
        self.ended_at.set(self.now());
        self.scheduler.borrow_mut().end();
    }

    /// Abandons threads whose destructors never finish. Their stacks are leaked.
    fn leak_unfinished_threads(&self) {
        let unfinished: Vec<Slot> = self.scheduler.borrow().unfinished().collect();
        for slot in unfinished {
            std::mem::forget(self.coroutines.borrow_mut()[slot].coroutine.take());
        }
    }

    /// Starts a thread. The calling thread may be preempted at once.
    #[track_caller]
    pub(crate) fn spawn(&self, info: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>) {
        let me = Arc::clone(&info);
        self.add(info, Box::new(move || os_threads::run_body(&me, body)));
        self.preemption_point(Location::caller());
    }

    fn add(&self, info: Arc<ThreadInfo>, body: Box<dyn FnOnce()>) {
        let stack = self.stacks.borrow_mut().acquire();
        let (guard_page, thread) = (stack.limit().get(), Arc::as_ptr(&info));
        let slot = self.scheduler.borrow_mut().add(info);
        let coroutine = Box::new(Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
            let sim = current().expect("coroutines run inside their simulation");
            sim.coroutines.borrow_mut()[slot].yielder = yielder;
            if !sim.ending() {
                sim.scheduler.borrow_mut().running().info.wait.end();
                body();
            } else {
                // The body never begins, but the values it owns have destructors. A destructor that locks is unwound
                // here.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
            }
        }));
        let entry = CoroutineSlot { coroutine: Some(coroutine), yielder: ptr::null(), guard_page, thread };
        let mut coroutines = self.coroutines.borrow_mut();
        match coroutines.get_mut(slot) {
            Some(ended) => *ended = entry,
            None => coroutines.push(entry),
        }
    }

    /// Blocks the calling thread under `key` until it is unparked (`true`) or `deadline` passes (`false`).
    pub(crate) fn park(&self, key: usize, kind: WaitKind, at: &'static Location<'static>, deadline: u64) -> bool {
        let woken = self.park_without_unwinding(key, kind, at, deadline);
        self.unwind_if_ending();
        woken
    }

    /// As [`park`](Sim::park), but returns also when the run is over, so that the caller can restore its state before
    /// it [unwinds](Sim::unwind_if_ending).
    pub(crate) fn park_without_unwinding(
        &self,
        key: usize,
        kind: WaitKind,
        at: &'static Location<'static>,
        deadline: u64,
    ) -> bool {
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

    /// Suspends the calling thread `me` in favour of `next`. Returns when `me` runs again, with whether `me` was
    /// unparked, if it was parked.
    fn switch(&self, me: Slot, next: Option<Slot>) -> bool {
        if next != Some(me) {
            self.next.set(next);
            let yielder = self.coroutines.borrow()[me].yielder;
            // SAFETY: the running coroutine is the one of this slot, and it set this pointer to its own yielder when it
            // began.
            unsafe { (*yielder).suspend(()) };
        }
        let mut scheduler = self.scheduler.borrow_mut();
        let task = scheduler.running();
        task.info.wait.end();
        task.woken
    }

    /// Unwinds the calling thread, without a panic message, if the run is over.
    pub(crate) fn unwind_if_ending(&self) {
        /// The number of unwindings that a thread may catch before it is blocked for ever.
        const UNWINDS_MAX: u32 = 16;
        if !self.ending() || unwinding() {
            return;
        }
        let unwinds = {
            let mut scheduler = self.scheduler.borrow_mut();
            let me = scheduler.running();
            me.unwinding = true;
            me.unwind_count += 1;
            me.unwind_count
        };
        if unwinds <= UNWINDS_MAX {
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

    /// Handles the release of a lock: wakes one of the threads that wait for it, and may preempt the calling thread.
    /// Unwinding does not begin here, because guards are also dropped during unwinding.
    pub(crate) fn lock_released(&self, key: usize, lock: &LockState) {
        if lock.has_waiters() {
            self.unpark_one(key);
        }
        if !self.ending() && self.hot_state.preempts_here() {
            self.preempt();
        }
    }

    /// Preempts the calling thread, which stays runnable.
    #[inline(never)]
    fn preempt(&self) {
        let (me, next) = {
            let mut scheduler = self.scheduler.borrow_mut();
            scheduler.running().info.wait.ready();
            (scheduler.current, scheduler.preempt_running())
        };
        self.switch(me, next);
    }

    /// Lets another thread run, if one can.
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
        self.unwind_if_ending();
    }

    pub(crate) fn sleep(&self, duration: Duration, at: &'static Location<'static>) {
        if duration.is_zero() {
            self.yield_now();
        } else {
            self.park(0, WaitKind::Sleep, at, self.deadline(duration));
        }
    }

    /// Returns the moment `duration` from now, in nanoseconds.
    pub(crate) fn deadline(&self, duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).ok().and_then(|nanos| self.now().checked_add(nanos)).unwrap_or(NEVER)
    }

    fn now(&self) -> u64 {
        self.hot_state.now()
    }

    fn ending(&self) -> bool {
        self.hot_state.ending()
    }
}

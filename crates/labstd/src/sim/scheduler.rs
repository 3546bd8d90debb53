//! The scheduler: it decides which thread runs next and when the clock moves. The seed decides all of it: the policy of
//! the run, the next of the runnable threads, the waiter to wake, and the points of preemption.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::NEVER;
use super::hot_state::HotState;
use super::lag::{Allowance, Lag};
use super::policy::Policy;
use super::slot::Slot;
use super::timers::Timers;
use super::wait_queues::WaitQueues;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::state::{RunState, ThreadInfo};

/// The number of the scheduler's random stream; `rng::stream` never uses it for a name.
const SCHEDULER_STREAM: u64 = 0;

/// One thread of the simulation.
pub(super) struct Task {
    pub(super) info: Arc<ThreadInfo>,
    blocked: bool,
    /// Whether it is runnable, and held until its timer ends this.
    held: bool,
    /// Its allowance of holds, if it may be held.
    allowance: Option<Rc<Allowance>>,
    /// Whether an unpark (and not the deadline) woke it.
    pub(super) woken: bool,
    /// Whether it unwinds. `std::thread::panicking` is true for all tasks while one is suspended during unwinding.
    pub(super) unwinding: bool,
    /// The number of times it was unwound because the run is over.
    pub(super) unwind_count: u32,
}

/// The state of the scheduler.
pub(super) struct Scheduler {
    run: Arc<RunState>,
    limits: Limits,
    hot_state: Arc<HotState>,
    /// The task that runs.
    pub(super) current: Slot,
    /// The tasks, indexed by slot.
    tasks: Vec<Option<Task>>,
    free: Vec<Slot>,
    runnable: VecDeque<Slot>,
    /// The parked tasks by key.
    wait_queues: WaitQueues,
    /// The deadlines of the parked tasks.
    timers: Timers,
    rng: ChaCha8Rng,
    policy: Policy,
    lag: Lag,
    pub(super) steps: u64,
    pub(super) hash: u64,
    steps_since_end: u64,
}

impl Scheduler {
    pub(super) fn new(run: Arc<RunState>, limits: Limits) -> Scheduler {
        let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
        rng.set_stream(SCHEDULER_STREAM);
        let policy = Policy::draw(&mut rng);
        let lag = Lag::draw(run.seed, limits.thread_lag);
        let hot_state = HotState::new(limits.calls_per_instant, policy.draw_points_to_skip(&mut rng));
        Scheduler {
            run,
            limits,
            hot_state: Arc::new(hot_state),
            current: 0,
            tasks: Vec::new(),
            free: Vec::new(),
            runnable: VecDeque::new(),
            wait_queues: WaitQueues::new(),
            timers: Timers::default(),
            rng,
            policy,
            lag,
            steps: 0,
            hash: 0,
            steps_since_end: 0,
        }
    }

    /// Adds a runnable task and returns its slot.
    pub(super) fn add(&mut self, info: Arc<ThreadInfo>) -> Slot {
        let allowance = info.lags.then(|| self.draw_allowance(&info)).flatten();
        let task =
            Task { info, blocked: false, held: false, allowance, woken: false, unwinding: false, unwind_count: 0 };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        self.tasks[slot] = Some(task);
        self.enqueue(slot);
        slot
    }

    /// Returns the allowance of holds of a thread that the running task starts.
    fn draw_allowance(&mut self, info: &ThreadInfo) -> Option<Rc<Allowance>> {
        let starter = self.tasks.get(self.current).and_then(Option::as_ref).and_then(|task| task.allowance.as_ref());
        self.lag.allowance(info.group_number(), starter, self.hot_state.now())
    }

    /// Removes a task that has ended.
    pub(super) fn remove(&mut self, slot: Slot) -> Task {
        let task = self.tasks[slot].take().expect("only live tasks end");
        self.free.push(slot);
        task
    }

    pub(super) fn task(&mut self, slot: Slot) -> &mut Task {
        self.tasks[slot].as_mut().expect("the slot of a live task")
    }

    pub(super) fn running(&mut self) -> &mut Task {
        self.task(self.current)
    }

    /// Returns the state that every call reads.
    pub(super) fn hot_state(&self) -> Arc<HotState> {
        Arc::clone(&self.hot_state)
    }

    /// The number of steps that destructors may take after the run is over. The remaining threads are then abandoned.
    const UNWIND_STEPS_MAX: u64 = 1_000_000;

    /// Makes a task runnable, now or at the end of a hold.
    fn enqueue(&mut self, slot: Slot) {
        if let Some(allowance) = &self.tasks[slot].as_ref().expect("the slot of a live task").allowance
            && !self.hot_state.ending()
            && let Some(end) = self.lag.hold(allowance, self.hot_state.now())
        {
            self.task(slot).held = true;
            self.timers.set(slot, end);
            return;
        }
        self.enqueue_now(slot);
    }

    fn enqueue_now(&mut self, slot: Slot) {
        self.runnable.push_back(slot);
        self.hot_state.set_preemptible(self.policy.preempts());
    }

    /// Blocks the running task under `key` (0: under no key) until it is unparked or `deadline` passes.
    pub(super) fn block(&mut self, key: usize, deadline: u64) {
        self.running().blocked = true;
        if key != 0 {
            self.wait_queues.park(self.current, key);
        }
        if deadline != NEVER {
            self.timers.set(self.current, deadline.max(self.hot_state.now()));
        }
    }

    /// Makes the running task runnable again.
    pub(super) fn requeue_running(&mut self) {
        self.enqueue(self.current);
    }

    /// Wakes one of the tasks that wait under `key`.
    pub(super) fn unpark_one(&mut self, key: usize) {
        let count = self.wait_queues.waiting_on(key).count();
        if count == 0 {
            return;
        }
        let chosen = if self.policy.fifo || count == 1 { 0 } else { self.rng.random_range(0..count) };
        let slot = self.wait_queues.waiting_on(key).nth(chosen).expect("one of those that were counted");
        self.wake(slot, true);
    }

    /// Wakes all tasks that wait under `key`.
    pub(super) fn unpark_all(&mut self, key: usize) {
        while let Some(slot) = self.wait_queues.first_waiting_on(key) {
            self.wake(slot, true);
        }
    }

    /// Makes a blocked task runnable.
    fn wake(&mut self, slot: Slot, woken: bool) {
        self.wait_queues.unpark(slot);
        self.timers.cancel(slot);
        let task = self.task(slot);
        task.blocked = false;
        task.woken = woken;
        task.info.wait.ready();
        self.enqueue(slot);
    }

    /// Ends the hold of a task.
    fn release(&mut self, slot: Slot) {
        self.timers.cancel(slot);
        self.task(slot).held = false;
        self.enqueue_now(slot);
    }

    /// Chooses the next task to run, and moves the clock if no task can run now. Returns `None` when no task will ever
    /// run again.
    pub(super) fn pick(&mut self) -> Option<Slot> {
        if self.run.is_stopping() && !self.hot_state.ending() {
            self.end();
        }
        while self.runnable.is_empty() {
            if !self.advance_clock() {
                if self.hot_state.ending() {
                    return None;
                }
                self.run.fail(Failure::Deadlock { cycle: Vec::new(), threads: self.run.statuses(|_| true) });
                self.end();
            }
        }
        if !self.count_step() {
            return None;
        }
        let slot = if self.policy.fifo || self.runnable.len() == 1 {
            self.runnable.pop_front()
        } else {
            let chosen = self.rng.random_range(0..self.runnable.len());
            self.runnable.swap_remove_back(chosen)
        }
        .expect("a task is runnable");
        self.hot_state.set_preemptible(self.policy.preempts() && !self.runnable.is_empty());
        self.current = slot;
        let id = self.task(slot).info.id;
        self.run.running.store(id, Relaxed);
        if !self.hot_state.ending() {
            self.hash = mix(mix(self.hash, id), self.hot_state.now());
        }
        Some(slot)
    }

    /// Preempts the running task, which stays runnable, in favour of another.
    pub(super) fn preempt_running(&mut self) -> Option<Slot> {
        let points = self.policy.draw_points_to_skip(&mut self.rng);
        self.hot_state.set_points_to_skip(points);
        let me = self.current;
        let next = self.pick();
        self.enqueue(me);
        next
    }

    /// Ends the run: wakes all tasks, to unwind.
    pub(super) fn end(&mut self) {
        self.hot_state.end();
        for slot in 0..self.tasks.len() {
            match &self.tasks[slot] {
                Some(task) if task.blocked => self.wake(slot, false),
                Some(task) if task.held => self.release(slot),
                _ => {}
            }
        }
    }

    /// Returns the tasks that are left because their destructors never finish.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.tasks.len()).filter(|&slot| self.tasks[slot].is_some())
    }

    /// Counts a step; `false` if the destructors exceed their number of steps too.
    fn count_step(&mut self) -> bool {
        self.steps += 1;
        self.run.steps.store(self.steps, Relaxed);
        if self.hot_state.ending() {
            self.steps_since_end += 1;
        } else if self.steps > self.limits.steps {
            let threads = self.run.statuses(|_| true);
            self.run.fail(Failure::StepLimit { limit: self.limits.steps, threads });
            self.end();
        }
        self.steps_since_end <= Self::UNWIND_STEPS_MAX
    }

    /// Moves the clock to the next timer and wakes all tasks with that deadline. Returns `false` if no timer is set.
    fn advance_clock(&mut self) -> bool {
        let Some((deadline, _)) = self.timers.earliest() else { return false };
        let limit = self.limits.time.map_or(NEVER, |limit| limit.as_nanos() as u64);
        if deadline > limit && !self.hot_state.ending() {
            self.set_clock(limit);
            let threads = self.run.statuses(|_| true);
            self.run.fail(Failure::TimeLimit { limit: Duration::from_nanos(limit), threads });
            self.end();
            return true;
        }
        self.set_clock(deadline);
        while let Some((due, slot)) = self.timers.earliest()
            && due == deadline
        {
            if self.task(slot).held {
                self.release(slot);
            } else {
                self.wake(slot, false);
            }
        }
        true
    }

    fn set_clock(&mut self, now: u64) {
        self.hot_state.set_clock(now);
        self.run.virtual_now.store(now, Relaxed);
    }
}

/// Adds one value to the hash of the schedule.
fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

//! Who runs next, and when the clock moves. All of it is decided by the seed: the policy of the run, which of the runnable
//! threads goes on, which of the waiting ones is woken, and where a running thread is interrupted.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::NEVER;
use super::lot::Lot;
use super::policy::Policy;
use super::pulse::Pulse;
use super::timers::Timers;
use crate::failure::Failure;
use crate::run::Limits;
use crate::state::{RunState, ThreadInfo};

/// The slot of a task. Slots are used again, thread ids never.
pub(super) type Slot = usize;

/// The generator's stream that the scheduler draws from; `rng::stream` never gives this one out for a name.
const SCHEDULER_STREAM: u64 = 0;

/// One thread of the simulation.
pub(super) struct Task {
    pub(super) info: Arc<ThreadInfo>,
    blocked: bool,
    /// Whether it was woken by an unpark (and not by its deadline).
    pub(super) woken: bool,
    /// Whether it unwinds. `std::thread::panicking` is true for all tasks while one is suspended mid-unwind.
    pub(super) unwinding: bool,
    /// How often it was unwound because the run is over.
    pub(super) unwound: u32,
}

/// The scheduler's state.
pub(super) struct Scheduler {
    run: Arc<RunState>,
    limits: Limits,
    pulse: Rc<Pulse>,
    /// The task that runs.
    pub(super) current: Slot,
    /// By slot.
    tasks: Vec<Option<Task>>,
    free: Vec<Slot>,
    runnable: VecDeque<Slot>,
    /// Who waits under which key.
    lot: Lot,
    /// Until when.
    timers: Timers,
    rng: ChaCha8Rng,
    policy: Policy,
    pub(super) steps: u64,
    pub(super) hash: u64,
    steps_since_end: u64,
}

impl Scheduler {
    pub(super) fn new(run: Arc<RunState>, limits: Limits) -> Scheduler {
        let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
        rng.set_stream(SCHEDULER_STREAM);
        let policy = Policy::draw(&mut rng);
        let pulse = Pulse::new(limits.calls_at_one_instant, policy.draw_places(&mut rng));
        Scheduler {
            run,
            limits,
            pulse: Rc::new(pulse),
            current: 0,
            tasks: Vec::new(),
            free: Vec::new(),
            runnable: VecDeque::new(),
            lot: Lot::new(),
            timers: Timers::default(),
            rng,
            policy,
            steps: 0,
            hash: 0,
            steps_since_end: 0,
        }
    }

    /// Adds a runnable task and returns its slot.
    pub(super) fn add(&mut self, info: Arc<ThreadInfo>) -> Slot {
        let task = Task { info, blocked: false, woken: false, unwinding: false, unwound: 0 };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        self.tasks[slot] = Some(task);
        self.enqueue(slot);
        slot
    }

    /// Takes out a task that has ended.
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

    /// What every call looks at.
    pub(super) fn pulse(&self) -> Rc<Pulse> {
        Rc::clone(&self.pulse)
    }

    /// How many steps the destructors of a run that is over may take before what is left is given up.
    const STEPS_TO_END: u64 = 1_000_000;

    /// Makes a task runnable.
    fn enqueue(&mut self, slot: Slot) {
        self.runnable.push_back(slot);
        self.pulse.set_interruptible(self.policy.interrupts());
    }

    /// Blocks the running task under `key` (0: under none) until it is unparked or `deadline` comes.
    pub(super) fn block(&mut self, key: usize, deadline: u64) {
        self.running().blocked = true;
        if key != 0 {
            self.lot.park(self.current, key);
        }
        if deadline != NEVER {
            self.timers.set(self.current, deadline.max(self.pulse.now()));
        }
    }

    /// Puts the running task back among the runnable ones.
    pub(super) fn requeue_running(&mut self) {
        self.enqueue(self.current);
    }

    /// Wakes one of those that wait under `key`.
    pub(super) fn unpark_one(&mut self, key: usize) {
        let count = self.lot.under(key).count();
        if count == 0 {
            return;
        }
        let chosen = if self.policy.fifo || count == 1 { 0 } else { self.rng.random_range(0..count) };
        let slot = self.lot.under(key).nth(chosen).expect("one of those that were counted");
        self.wake(slot, true);
    }

    /// Wakes all that wait under `key`.
    pub(super) fn unpark_all(&mut self, key: usize) {
        while let Some(slot) = self.lot.first(key) {
            self.wake(slot, true);
        }
    }

    /// Makes a blocked task runnable.
    fn wake(&mut self, slot: Slot, woken: bool) {
        self.lot.unpark(slot);
        self.timers.cancel(slot);
        let task = self.task(slot);
        task.blocked = false;
        task.woken = woken;
        task.info.wait.ready();
        self.enqueue(slot);
    }

    /// Chooses who runs next, moving the clock if nobody can run now. `None` when nobody ever can again.
    pub(super) fn pick(&mut self) -> Option<Slot> {
        if self.run.stopping() && !self.pulse.ending() {
            self.end();
        }
        while self.runnable.is_empty() {
            if !self.advance_clock() {
                if self.pulse.ending() {
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
        .expect("somebody can run");
        self.pulse.set_interruptible(self.policy.interrupts() && !self.runnable.is_empty());
        self.current = slot;
        let id = self.task(slot).info.id;
        self.run.running.store(id, Relaxed);
        if !self.pulse.ending() {
            self.hash = mix(mix(self.hash, id), self.pulse.now());
        }
        Some(slot)
    }

    /// Interrupts the running task, which stays runnable, in favour of another.
    pub(super) fn pick_other(&mut self) -> Option<Slot> {
        let places = self.policy.draw_places(&mut self.rng);
        self.pulse.set_places_left(places);
        let me = self.current;
        let next = self.pick();
        self.enqueue(me);
        next
    }

    /// The run is over: wakes everybody, to unwind.
    pub(super) fn end(&mut self) {
        self.pulse.end();
        for slot in 0..self.tasks.len() {
            if self.tasks[slot].as_ref().is_some_and(|task| task.blocked) {
                self.wake(slot, false);
            }
        }
    }

    /// The tasks that are left, because their destructors wait for ever.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.tasks.len()).filter(|&slot| self.tasks[slot].is_some())
    }

    /// Counts a step; `false` if not even the destructors come to an end.
    fn count_step(&mut self) -> bool {
        self.steps += 1;
        self.run.steps.store(self.steps, Relaxed);
        if self.pulse.ending() {
            self.steps_since_end += 1;
        } else if self.steps > self.limits.steps {
            let threads = self.run.statuses(|_| true);
            self.run.fail(Failure::StepLimit { limit: self.limits.steps, threads });
            self.end();
        }
        self.steps_since_end <= Self::STEPS_TO_END
    }

    /// Moves the clock to the next timer and wakes all whose time that is. `false` if no timer is set.
    fn advance_clock(&mut self) -> bool {
        let Some((deadline, _)) = self.timers.earliest() else { return false };
        let limit = self.limits.time.map_or(NEVER, |limit| limit.as_nanos() as u64);
        if deadline > limit && !self.pulse.ending() {
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
            self.wake(slot, false);
        }
        true
    }

    fn set_clock(&mut self, now: u64) {
        self.pulse.set_clock(now);
        self.run.virtual_now.store(now, Relaxed);
    }
}

/// One step of the schedule's hash.
fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

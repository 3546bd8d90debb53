//! Admission of runs. Simulations compute; runs on threads mostly sleep, but need the whole machine when they wake. So
//! simulations run first, as many at once as there are processors. Runs on threads start when no simulation is left,
//! the longest first and side by side. The number of Raft's runs has no limit. Of a key/value service some thirty run
//! at once, because some scenarios measure their speed, and fewer if their servers are real processes.
//!
//! This file decides within one process. `machine.rs` keeps the two kinds of runs apart between processes.

mod machine;

use labstd::Clock;
use labstd::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use labstd::sync::{Condvar, Mutex, OnceLock};

use self::machine::{Kind, MachineGate};
use crate::part::Layer;
use crate::scenario_info::ScenarioInfo;

/// Maximum number of concurrent runs of a key/value service on threads.
static KV_RUNS_MAX: AtomicUsize = AtomicUsize::new(32);

static GATE: Gate = Gate::new();

/// The gate of this process.
struct Gate {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    /// `None` before the first run.
    machine: Option<MachineGate>,
    simulated_running: usize,
    simulated_waiting: usize,
    raft: OnThreads,
    kv: OnThreads,
}

/// Runs on threads of one layer.
struct OnThreads {
    running: usize,
    /// Expected seconds of the waiting runs.
    waiting: Vec<u32>,
}

/// Permission to run; dropping it admits other runs.
#[derive(Debug)]
#[must_use = "the permission ends when it is dropped"]
pub struct GatePermit(Clock, Layer);

/// Waits until a run of a scenario under `clock` may start.
pub fn admit(clock: Clock, info: &ScenarioInfo) -> GatePermit {
    admit_layer(clock, info.part.layer(), info.seconds)
}

/// Waits until a test whose servers are real processes may start: it waits as a run of a key/value service on threads
/// does. `seconds` is about how long it takes; longer ones start first.
pub fn admit_processes(seconds: u32) -> GatePermit {
    admit_layer(Clock::Threads, Layer::Kv, seconds)
}

/// Admits at most `max` runs of a key/value service on threads at a time. For a program whose servers are real
/// processes: each cluster then needs more of the machine.
pub fn limit_kv_runs(max: usize) {
    KV_RUNS_MAX.store(max, Relaxed);
}

fn admit_layer(clock: Clock, layer: Layer, seconds: u32) -> GatePermit {
    let mut queue = GATE.queue.lock();
    queue.machine.get_or_insert_with(MachineGate::open);
    match clock {
        Clock::Simulated => {
            queue.simulated_waiting += 1;
            GATE.changed.wait_while(&mut queue, |queue| !queue.admits_simulation());
            queue.simulated_waiting -= 1;
            queue.enter(Kind::Simulations);
            queue.simulated_running += 1;
        }
        Clock::Threads => {
            queue.on_threads(layer).waiting.push(seconds);
            GATE.changed.wait_while(&mut queue, |queue| !queue.admits_on_threads(layer, seconds));
            let own = queue.on_threads(layer);
            let position = own.waiting.iter().position(|&waiting| waiting == seconds);
            own.waiting.swap_remove(position.expect("the run was added above"));
            queue.enter(Kind::OnThreads);
            queue.on_threads(layer).running += 1;
        }
    }
    GATE.changed.notify_all();
    GatePermit(clock, layer)
}

impl Drop for GatePermit {
    fn drop(&mut self) {
        let mut queue = GATE.queue.lock();
        match self.0 {
            Clock::Simulated => queue.simulated_running -= 1,
            Clock::Threads => queue.on_threads(self.1).running -= 1,
        }
        if queue.is_empty() {
            queue.machine.iter_mut().for_each(MachineGate::leave);
        }
        GATE.changed.notify_all();
    }
}

impl Gate {
    const fn new() -> Gate {
        let queue = Queue {
            machine: None,
            simulated_running: 0,
            simulated_waiting: 0,
            raft: OnThreads::new(),
            kv: OnThreads::new(),
        };
        Gate { queue: Mutex::new(queue), changed: Condvar::new() }
    }
}

impl OnThreads {
    const fn new() -> OnThreads {
        OnThreads { running: 0, waiting: Vec::new() }
    }

    fn none(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    fn longest_waiting(&self, seconds: u32) -> bool {
        self.waiting.iter().all(|&waiting| waiting <= seconds)
    }
}

impl Queue {
    fn on_threads(&mut self, layer: Layer) -> &mut OnThreads {
        match layer {
            Layer::Raft => &mut self.raft,
            Layer::Kv => &mut self.kv,
        }
    }

    fn on_threads_running(&self) -> bool {
        self.raft.running + self.kv.running > 0
    }

    fn is_empty(&self) -> bool {
        !self.runs() && self.simulated_waiting == 0 && self.raft.none() && self.kv.none()
    }

    fn runs(&self) -> bool {
        self.simulated_running > 0 || self.on_threads_running()
    }

    /// Before the first of our runs: waits until no other process executes runs of another kind.
    fn enter(&mut self, kind: Kind) {
        if !self.runs() {
            self.machine.iter_mut().for_each(|machine| machine.enter(kind));
        }
    }

    /// Returns whether other processes wait for the end of our runs. Then no new run starts beside those.
    fn must_end_first(&self) -> bool {
        self.runs() && self.machine.as_ref().is_some_and(MachineGate::others_wait)
    }

    /// Returns whether a simulation may start. While runs on threads are in progress, a late simulation gets only one
    /// processor.
    fn admits_simulation(&self) -> bool {
        let at_once = if self.on_threads_running() { 1 } else { processors() };
        self.simulated_running < at_once && !self.must_end_first()
    }

    fn admits_on_threads(&self, layer: Layer, seconds: u32) -> bool {
        let idle = self.simulated_running == 0 && self.simulated_waiting == 0;
        idle && !self.must_end_first()
            && match layer {
                Layer::Raft => self.raft.longest_waiting(seconds),
                Layer::Kv => self.kv.running < KV_RUNS_MAX.load(Relaxed) && self.kv.longest_waiting(seconds),
            }
    }
}

/// Returns the number of processors. The call to the OS is slow, so the result is cached.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Part;

    fn queue(simulated_running: usize, simulated_waiting: usize, raft: OnThreads, kv: OnThreads) -> Queue {
        Queue { machine: None, simulated_running, simulated_waiting, raft, kv }
    }

    fn on_threads(running: usize, waiting: &[u32]) -> OnThreads {
        OnThreads { running, waiting: waiting.to_vec() }
    }

    #[test]
    fn at_most_one_simulation_per_processor_runs() {
        assert!(queue(0, 5, on_threads(0, &[]), on_threads(0, &[])).admits_simulation());
        assert!(!queue(processors(), 5, on_threads(0, &[]), on_threads(0, &[])).admits_simulation());
    }

    #[test]
    fn runs_on_threads_wait_for_all_simulations() {
        for layer in [Layer::Raft, Layer::Kv] {
            let waiting = |is| if is == layer { on_threads(0, &[3]) } else { on_threads(0, &[]) };
            let queue = |running, waits| queue(running, waits, waiting(Layer::Raft), waiting(Layer::Kv));
            assert!(!queue(1, 0).admits_on_threads(layer, 3));
            assert!(!queue(0, 1).admits_on_threads(layer, 3));
            assert!(queue(0, 0).admits_on_threads(layer, 3));
        }
    }

    #[test]
    fn raft_runs_on_threads_run_side_by_side() {
        assert!(queue(0, 0, on_threads(30, &[3]), on_threads(0, &[])).admits_on_threads(Layer::Raft, 3));
    }

    #[test]
    fn a_limited_number_of_services_runs_beside_any_number_of_rafts() {
        let kv = |raft, running| queue(0, 0, raft, on_threads(running, &[3])).admits_on_threads(Layer::Kv, 3);
        for raft in [0, 1, 100] {
            assert!(kv(on_threads(raft, &[5]), KV_RUNS_MAX.load(Relaxed) - 1));
            assert!(!kv(on_threads(raft, &[5]), KV_RUNS_MAX.load(Relaxed)));
        }
        assert!(queue(0, 0, on_threads(0, &[3]), on_threads(32, &[5])).admits_on_threads(Layer::Raft, 3));
    }

    #[test]
    fn the_longest_waiting_run_starts_first() {
        let waiting = || on_threads(0, &[3, 18, 7]);
        assert!(queue(0, 0, waiting(), on_threads(0, &[20])).admits_on_threads(Layer::Raft, 18));
        assert!(!queue(0, 0, waiting(), on_threads(0, &[])).admits_on_threads(Layer::Raft, 7));
        assert!(queue(0, 0, on_threads(0, &[]), waiting()).admits_on_threads(Layer::Kv, 18));
        assert!(!queue(0, 0, on_threads(0, &[]), waiting()).admits_on_threads(Layer::Kv, 7));
    }

    #[test]
    fn a_late_simulation_does_not_wait_for_runs_on_threads() {
        for kv in [0, 1] {
            assert!(queue(0, 1, on_threads(1, &[]), on_threads(kv, &[])).admits_simulation());
            assert!(!queue(1, 1, on_threads(1, &[]), on_threads(kv, &[])).admits_simulation());
        }
    }

    #[test]
    fn dropped_permits_admit_other_runs() {
        let info =
            |part| ScenarioInfo { name: "", part, title: String::new(), from_course: true, servers: 3, seconds: 1 };
        for _ in 0..3 {
            let admit_many =
                |many, clock, part| (0..many).map(|_| admit(clock, &info(part))).collect::<Vec<GatePermit>>();
            drop(admit_many(processors(), Clock::Simulated, Part::P3A));
            drop(admit_many(100, Clock::Threads, Part::P3A));
            drop(admit_many(KV_RUNS_MAX.load(Relaxed), Clock::Threads, Part::P4A));
        }
    }
}

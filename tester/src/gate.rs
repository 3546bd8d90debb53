//! Who may run beside whom in one process. Simulations compute, runs on threads mostly sleep but want the machine to
//! themselves when they wake: so simulations go first, as many at once as there are processors, and runs on threads
//! begin when none is left, the longest first.

use labstd::Clock;
use labstd::sync::{Condvar, Mutex, OnceLock};

static GATE: Gate = Gate::new();

/// The gate of this process.
struct Gate {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    simulated_running: usize,
    simulated_waiting: usize,
    threads_running: usize,
    /// The expected seconds of the runs on threads that wait.
    threads_waiting: Vec<u32>,
}

/// The permission to run; dropping it lets others in.
#[derive(Debug)]
#[must_use = "the permission ends when it is dropped"]
pub struct Pass(Clock);

/// Waits until a run under `clock`, which takes about `seconds` on threads, may begin.
pub fn admit(clock: Clock, seconds: u32) -> Pass {
    let mut queue = GATE.queue.lock();
    match clock {
        Clock::Simulated => {
            queue.simulated_waiting += 1;
            GATE.changed.wait_while(&mut queue, |queue| !queue.admits_simulation());
            queue.simulated_waiting -= 1;
            queue.simulated_running += 1;
        }
        Clock::Threads => {
            queue.threads_waiting.push(seconds);
            GATE.changed.wait_while(&mut queue, |queue| !queue.admits_on_threads(seconds));
            let place = queue.threads_waiting.iter().position(|&waiting| waiting == seconds);
            queue.threads_waiting.swap_remove(place.expect("it was put there above"));
            queue.threads_running += 1;
        }
    }
    GATE.changed.notify_all();
    Pass(clock)
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut queue = GATE.queue.lock();
        match self.0 {
            Clock::Simulated => queue.simulated_running -= 1,
            Clock::Threads => queue.threads_running -= 1,
        }
        GATE.changed.notify_all();
    }
}

impl Gate {
    const fn new() -> Gate {
        let queue =
            Queue { simulated_running: 0, simulated_waiting: 0, threads_running: 0, threads_waiting: Vec::new() };
        Gate { queue: Mutex::new(queue), changed: Condvar::new() }
    }
}

impl Queue {
    /// One that comes late, when runs on threads are under way, has to do with one processor.
    fn admits_simulation(&self) -> bool {
        let at_once = if self.threads_running > 0 { 1 } else { processors() };
        self.simulated_running < at_once
    }

    fn admits_on_threads(&self, seconds: u32) -> bool {
        let idle = self.simulated_running == 0 && self.simulated_waiting == 0;
        idle && self.threads_waiting.iter().all(|&waiting| waiting <= seconds)
    }
}

/// How many there are. Asking the OS is slow, so it is asked once.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(simulated_running: usize, simulated_waiting: usize, threads_running: usize, waiting: &[u32]) -> Queue {
        Queue { simulated_running, simulated_waiting, threads_running, threads_waiting: waiting.to_vec() }
    }

    #[test]
    fn there_are_no_more_simulations_at_once_than_processors() {
        assert!(queue(0, 5, 0, &[]).admits_simulation());
        assert!(!queue(processors(), 5, 0, &[]).admits_simulation());
    }

    #[test]
    fn runs_on_threads_wait_for_all_simulations() {
        assert!(!queue(1, 0, 0, &[3]).admits_on_threads(3));
        assert!(!queue(0, 1, 0, &[3]).admits_on_threads(3));
        assert!(queue(0, 0, 5, &[3]).admits_on_threads(3));
    }

    #[test]
    fn the_longest_goes_first() {
        assert!(queue(0, 0, 0, &[3, 18, 7]).admits_on_threads(18));
        assert!(!queue(0, 0, 0, &[3, 18, 7]).admits_on_threads(7));
    }

    #[test]
    fn a_simulation_that_comes_late_does_not_wait_for_runs_on_threads() {
        assert!(queue(0, 1, 9, &[]).admits_simulation());
        assert!(!queue(1, 1, 9, &[]).admits_simulation());
    }

    #[test]
    fn passes_come_back() {
        for _ in 0..3 {
            let simulated: Vec<Pass> = (0..processors()).map(|_| admit(Clock::Simulated, 1)).collect();
            drop(simulated);
            let threads: Vec<Pass> = (0..100).map(|_| admit(Clock::Threads, 1)).collect();
            drop(threads);
        }
    }
}

//! The calls of a thread that neither blocks nor wakes another: each is counted, may preempt the thread, and may find
//! that the clock has stood still for too many calls or too much real time.

use std::panic::Location;

use super::Sim;
use crate::failure::Failure;
use crate::sim::watchdog::StallSearch;

impl Sim {
    /// A preemption point: the seed may decide that another thread runs now.
    #[inline]
    pub(crate) fn preemption_point(&self, at: &'static Location<'static>) {
        if !self.hot_state.count_call() || self.ending() {
            self.check_calls(at);
            if self.ending() {
                return self.unwind_if_ending();
            }
        }
        if self.hot_state.preempts_here() {
            self.preempt();
        }
    }

    /// Returns the time for a thread that reads the clock. Reading it repeatedly without blocking counts as a spin.
    #[track_caller]
    pub(crate) fn read_clock(&self) -> u64 {
        self.count_call(Location::caller());
        self.now()
    }

    /// Counts a call and fails the run if there were too many while the clock stood still.
    pub(super) fn count_call(&self, at: &'static Location<'static>) {
        if !self.hot_state.count_call() {
            self.check_calls(at);
        }
    }

    /// Fails the run, unless it is over, because too many calls were made, or too much real time has passed, while the
    /// clock stood still.
    #[cold]
    fn check_calls(&self, at: &'static Location<'static>) {
        if self.ending() {
            return;
        }
        if self.hot_state.is_interrupted() {
            self.search_stall(at);
        } else if !self.hot_state.undo_late_interruption() {
            self.fail_spinning(at);
        }
    }

    /// Fails the run when it is known which thread spends real time while the clock stands still.
    fn search_stall(&self, at: &'static Location<'static>) {
        let call = || {
            let mut scheduler = self.scheduler.borrow_mut();
            format!("thread '{}' computes or waits before its call at {at}", scheduler.running().info.name)
        };
        let found = {
            let mut search = self.stall_search.borrow_mut();
            search.get_or_insert_with(StallSearch::begin).add(self.stall_limit, call)
        };
        if let Some((pause, call)) = found {
            let description = format!("{call}, for {:.1} ms at a time", pause.as_secs_f64() * 1000.0);
            self.run.fail(Failure::Aborted { after: self.stall_limit, description });
            self.scheduler.borrow_mut().end();
            self.unwind_if_ending();
        }
    }

    fn fail_spinning(&self, at: &'static Location<'static>) {
        let mut scheduler = self.scheduler.borrow_mut();
        let calls = self.hot_state.calls_limit();
        let name = &scheduler.running().info.name;
        let description =
            format!("thread '{name}' keeps calling from {at}: {calls} calls were made and the clock never moved");
        self.run.fail(Failure::Spin { description });
        scheduler.end();
        drop(scheduler);
        self.unwind_if_ending();
    }
}

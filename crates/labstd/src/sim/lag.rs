//! Thread lag: the seed sometimes holds a runnable thread for a while. On a real machine a ready thread may run later
//! than a message that arrives after it. Without holds, a simulated thread that is ready always runs before the clock
//! moves, so it can lose no race against a message.
//!
//! Threads of a [lagging group](crate::thread::Group::lagging) are held, at most 5 % of their time: a hold of one
//! millisecond needs nineteen milliseconds without a hold before it. A thread shares this allowance with the threads
//! that it starts in its own group. Otherwise a new thread, which has had no time yet, could never be held, and a
//! server that starts a thread per message could be held all the time.

use std::cell::Cell;
use std::rc::Rc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::thread_lag::ThreadLag;

/// The number of the random stream of thread lag; `rng::stream` never uses it for a name. It is separate from the
/// scheduler's, so that the threads of a run without holds are scheduled as if this module did not exist.
const LAG_STREAM: u64 = 1;

/// The shortest hold, in nanoseconds.
const HOLD_NANOS_MIN: u64 = 100_000;
/// The longest hold, in nanoseconds.
const HOLD_NANOS_MAX: u64 = 20_000_000;
/// The time without a hold before each hold, as a multiple of the hold: held threads lose at most a twentieth of their
/// time.
const REST: u64 = 19;

/// The probability of a hold, in thousandths of the times that a thread with an allowance becomes runnable. The seed
/// draws one.
const PERMILLE: [u32; 5] = [0, 2, 10, 50, 250];
/// The probability with [`ThreadLag::Often`].
const PERMILLE_OFTEN: u32 = 400;

/// The holds of one run.
pub(super) struct Lag {
    permille: u32,
    rng: ChaCha8Rng,
}

/// The allowance of a thread and of the threads that it starts.
pub(super) struct Allowance {
    /// The number of the group of these threads.
    group: u64,
    /// The length of the next hold, in nanoseconds.
    hold: Cell<u64>,
    /// The moment from which the next hold is permitted.
    from: Cell<u64>,
}

impl Lag {
    pub(super) fn draw(seed: u64, lag: ThreadLag) -> Lag {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(LAG_STREAM);
        let drawn = PERMILLE[rng.random_range(0..PERMILLE.len())];
        let permille = match lag {
            ThreadLag::Never => 0,
            ThreadLag::Drawn => drawn,
            ThreadLag::Often => PERMILLE_OFTEN,
        };
        Lag { permille, rng }
    }

    /// Returns the allowance of a thread that is started at `now` in the group of this number by a thread with the
    /// allowance `starter`. `None` if this run holds no threads.
    pub(super) fn allowance(&mut self, group: u64, starter: Option<&Rc<Allowance>>, now: u64) -> Option<Rc<Allowance>> {
        if self.permille == 0 {
            return None;
        }
        let shared = starter.filter(|starter| starter.group == group);
        Some(shared.map_or_else(|| Rc::new(self.new_allowance(group, now)), Rc::clone))
    }

    fn new_allowance(&mut self, group: u64, now: u64) -> Allowance {
        let hold = self.draw_hold();
        Allowance { group, hold: Cell::new(hold), from: Cell::new(now + REST * hold) }
    }

    /// Decides whether a thread that becomes runnable at `now` is held, and returns the end of the hold.
    #[inline]
    pub(super) fn hold(&mut self, allowance: &Allowance, now: u64) -> Option<u64> {
        if now < allowance.from.get() || self.rng.random_range(0..1000) >= self.permille {
            return None;
        }
        let end = now + allowance.hold.get();
        let next = self.draw_hold();
        allowance.hold.set(next);
        allowance.from.set(end + REST * next);
        Some(end)
    }

    fn draw_hold(&mut self) -> u64 {
        self.rng.random_range(HOLD_NANOS_MIN..=HOLD_NANOS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A thread and the threads that it starts become runnable all the time, for ten seconds.
    #[test]
    fn a_thread_and_its_children_are_held_at_most_a_twentieth_of_their_time() {
        for seed in 1..=50 {
            let mut lag = Lag::draw(seed, ThreadLag::Often);
            let thread = lag.allowance(7, None, SECOND).expect("this run holds threads");
            let child = lag.allowance(7, Some(&thread), 2 * SECOND).expect("this run holds threads");
            let (mut now, mut held, mut holds) = (SECOND, 0, 0);
            while now < 11 * SECOND {
                let runs = if holds % 2 == 0 { &thread } else { &child };
                match lag.hold(runs, now) {
                    Some(end) => {
                        assert!((HOLD_NANOS_MIN..=HOLD_NANOS_MAX).contains(&(end - now)));
                        held += end - now;
                        holds += 1;
                        now = end;
                        assert!(held * 20 <= now - SECOND, "seed {seed}: held {held} ns at {now} ns");
                    }
                    None => now += 50_000,
                }
            }
            assert!(held * 25 > 10 * SECOND, "seed {seed}: held only {held} ns of 10 s");
        }
    }

    #[test]
    fn a_thread_of_another_group_has_an_allowance_of_its_own() {
        let mut lag = Lag::draw(1, ThreadLag::Often);
        let thread = lag.allowance(7, None, 0).expect("this run holds threads");
        let same = lag.allowance(7, Some(&thread), 0).expect("this run holds threads");
        let other = lag.allowance(8, Some(&thread), 0).expect("this run holds threads");
        assert!(Rc::ptr_eq(&thread, &same) && !Rc::ptr_eq(&thread, &other));
    }

    #[test]
    fn seeds_differ_in_how_often_they_hold_threads_and_some_never_do() {
        let drawn: Vec<u32> = (1..=100).map(|seed| Lag::draw(seed, ThreadLag::Drawn).permille).collect();
        for permille in PERMILLE {
            assert!(drawn.iter().filter(|&&drawn| drawn == permille).count() >= 10, "{permille}: {drawn:?}");
        }
        assert!(Lag::draw(1, ThreadLag::Never).allowance(7, None, 0).is_none());
    }
}

//! The choice of the next thread, and of the points at which a running thread is preempted. No policy finds every bug,
//! so each seed draws one.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// The policy that a seed has drawn.
pub(super) struct Policy {
    /// Whether the oldest runnable thread runs first. Otherwise a random one does.
    pub(super) fifo: bool,
    preemption: Option<Preemption>,
}

impl Policy {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Policy {
        const PREEMPT_PERMILLE: [u32; 5] = [0, 10, 50, 200, 500];
        let fifo = rng.random_range(0..8) == 0;
        let permille = PREEMPT_PERMILLE[rng.random_range(0..PREEMPT_PERMILLE.len())];
        Policy { fifo, preemption: (permille > 0).then(|| Preemption::new(permille)) }
    }

    /// Returns whether a running thread is ever preempted at a call on a lock or a channel.
    pub(super) fn preempts(&self) -> bool {
        self.preemption.is_some()
    }

    /// Draws the number of preemption points to pass before the next preemption.
    pub(super) fn draw_points_to_skip(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.preemption.as_ref().map_or(u32::MAX, |preemption| preemption.draw_points_to_skip(rng))
    }
}

/// Preemption with the same probability at each preemption point. The drawn number is the number of points to skip,
/// because most points are skipped: a draw at each point took a twentieth of a simulation's time.
struct Preemption {
    /// The probability to skip more than this many points, indexed by their number, in parts of 2^32.
    chance_to_skip_more: [u64; Preemption::POINTS_PER_DRAW as usize],
}

impl Preemption {
    /// The number of points of one draw. After that many skipped points the draw is repeated.
    const POINTS_PER_DRAW: u32 = 64;

    fn new(permille: u32) -> Preemption {
        let mut chance = 1 << 32;
        let chance_to_skip_more = std::array::from_fn(|_| {
            chance = chance * u64::from(1000 - permille) / 1000;
            chance
        });
        Preemption { chance_to_skip_more }
    }

    fn draw_points_to_skip(&self, rng: &mut ChaCha8Rng) -> u32 {
        let mut skipped = 0_u32;
        loop {
            let drawn = u64::from(rng.next_u32());
            let more = self.chance_to_skip_more.partition_point(|&chance| drawn < chance) as u32;
            skipped = skipped.saturating_add(more);
            if more < Self::POINTS_PER_DRAW {
                return skipped;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// After each number of skipped points the probability of a preemption is the same, below one draw's range and
    /// above it.
    #[test]
    fn each_preemption_point_has_the_same_probability() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for permille in [10, 50, 200, 500] {
            let preemption = Preemption::new(permille);
            let drawn: Vec<u32> = (0..200_000).map(|_| preemption.draw_points_to_skip(&mut rng)).collect();
            for point in [0, 1, 2, 3, 30, 63, 64, 65, 100] {
                let arrived = drawn.iter().filter(|&&skipped| skipped >= point).count() as f64;
                let preempted = drawn.iter().filter(|&&skipped| skipped == point).count() as f64;
                let chance = f64::from(permille) / 1000.0;
                let five_deviations = 5.0 * (arrived * chance * (1.0 - chance)).sqrt();
                assert!(
                    (preempted - arrived * chance).abs() <= five_deviations,
                    "{permille} in 1,000 at point {point}: {preempted} of {arrived}"
                );
            }
        }
    }
}

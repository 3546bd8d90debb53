//! How the next thread is chosen, and where a running one is interrupted. No policy finds every bug, so each seed draws one.

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// What a seed has drawn.
pub(super) struct Policy {
    /// First come, first served, instead of any of the runnable ones.
    pub(super) fifo: bool,
    interruptions: Option<Interruptions>,
}

impl Policy {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Policy {
        const INTERRUPT_PERMILLE: [u32; 5] = [0, 10, 50, 200, 500];
        let fifo = rng.random_range(0..8) == 0;
        let permille = INTERRUPT_PERMILLE[rng.random_range(0..INTERRUPT_PERMILLE.len())];
        Policy { fifo, interruptions: (permille > 0).then(|| Interruptions::new(permille)) }
    }

    /// Whether a running thread is ever interrupted where it touches a lock or a channel.
    pub(super) fn interrupts(&self) -> bool {
        self.interruptions.is_some()
    }

    /// How many such places the running threads pass before the next interruption.
    pub(super) fn draw_places(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.interruptions.as_ref().map_or(u32::MAX, |interruptions| interruptions.draw_places(rng))
    }
}

/// Interruptions with the same chance at each place. What is drawn is how many places are passed in between, for most
/// places are: asking chance at each of them was a twentieth of all that a simulation did.
struct Interruptions {
    /// The chance to pass more than this many places, by their number, in parts of 2^32.
    passes_more: [u64; Interruptions::STEP as usize],
}

impl Interruptions {
    /// Whoever passes this many places is as far as at the beginning.
    const STEP: u32 = 64;

    fn new(permille: u32) -> Interruptions {
        let mut chance = 1 << 32;
        let passes_more = std::array::from_fn(|_| {
            chance = chance * u64::from(1000 - permille) / 1000;
            chance
        });
        Interruptions { passes_more }
    }

    fn draw_places(&self, rng: &mut ChaCha8Rng) -> u32 {
        let mut passed = 0_u32;
        loop {
            let drawn = u64::from(rng.next_u32());
            let more = self.passes_more.partition_point(|&chance| drawn < chance) as u32;
            passed = passed.saturating_add(more);
            if more < Self::STEP {
                return passed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// After each number of places that were passed the chance of an interruption is the same, below a step and above.
    #[test]
    fn each_place_has_the_same_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for permille in [10, 50, 200, 500] {
            let interruptions = Interruptions::new(permille);
            let drawn: Vec<u32> = (0..200_000).map(|_| interruptions.draw_places(&mut rng)).collect();
            for place in [0, 1, 2, 3, 30, 63, 64, 65, 100] {
                let arrived = drawn.iter().filter(|&&places| places >= place).count() as f64;
                let interrupted = drawn.iter().filter(|&&places| places == place).count() as f64;
                let chance = f64::from(permille) / 1000.0;
                let five_deviations = 5.0 * (arrived * chance * (1.0 - chance)).sqrt();
                assert!(
                    (interrupted - arrived * chance).abs() <= five_deviations,
                    "{permille} in 1,000 at place {place}: {interrupted} of {arrived}"
                );
            }
        }
    }
}

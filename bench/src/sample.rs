//! What is made of several measurements of the same thing.

/// The middle one; of an even number, the mean of the two in the middle.
///
/// # Panics
///
/// If there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The value below which this share of them lies, of values that are sorted.
///
/// # Panics
///
/// If there is none.
pub fn percentile<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// Two things measured in turns: A, B, A, B.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// The figures of one, a round each.
    pub a: Vec<f64>,
    /// Those of the other.
    pub b: Vec<f64>,
}

impl Turns {
    /// Measures both so often.
    ///
    /// # Errors
    ///
    /// The first of theirs.
    pub fn take(
        rounds: usize,
        mut a: impl FnMut() -> Result<f64, String>,
        mut b: impl FnMut() -> Result<f64, String>,
    ) -> Result<Turns, String> {
        let mut turns = Turns::default();
        for _ in 0..rounds {
            turns.a.push(a()?);
            turns.b.push(b()?);
        }
        Ok(turns)
    }

    /// A divided by B, for each round.
    pub fn ratios(&self) -> impl Iterator<Item = [f64; 1]> {
        self.a.iter().zip(&self.b).map(|(a, b)| [a / b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (0..100).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&values, share)), [0, 50, 99, 99]);
    }

    #[test]
    fn what_is_compared_is_measured_in_turns() {
        let order = std::cell::RefCell::new(String::new());
        let take = |name, value| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(value)
            }
        };
        let turns = Turns::take(2, take('A', 3.0), take('B', 2.0)).unwrap();
        assert_eq!(*order.borrow(), "ABAB");
        assert_eq!(turns.ratios().collect::<Vec<_>>(), [[1.5], [1.5]]);
    }
}

//! Statistics over several measurements of one figure.

/// Returns the median. For an even number of values, it is the mean of the two middle ones.
///
/// # Panics
///
/// If there are no values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Returns the value below which this share of the sorted values lies.
///
/// # Panics
///
/// If there are no values.
pub fn percentile<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// The figures of two sides measured in turns: A, B, A, B.
#[derive(Clone, Debug, Default)]
pub struct Alternating {
    /// The figures of side A, one for each round.
    pub a: Vec<f64>,
    /// The figures of side B, one for each round.
    pub b: Vec<f64>,
}

impl Alternating {
    /// Measures both sides in turns, `rounds` times each.
    ///
    /// # Errors
    ///
    /// The first error of a measurement.
    pub fn measure(
        rounds: usize,
        mut a: impl FnMut() -> Result<f64, String>,
        mut b: impl FnMut() -> Result<f64, String>,
    ) -> Result<Alternating, String> {
        let mut turns = Alternating::default();
        for _ in 0..rounds {
            turns.a.push(a()?);
            turns.b.push(b()?);
        }
        Ok(turns)
    }

    /// Returns A divided by B for each round.
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
    fn the_two_sides_are_measured_in_turns() {
        let order = std::cell::RefCell::new(String::new());
        let take = |name, value| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(value)
            }
        };
        let turns = Alternating::measure(2, take('A', 3.0), take('B', 2.0)).unwrap();
        assert_eq!(*order.borrow(), "ABAB");
        assert_eq!(turns.ratios().collect::<Vec<_>>(), [[1.5], [1.5]]);
    }
}

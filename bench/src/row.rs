//! A row of the table: what is measured, against what, and what should come of it.

use std::path::PathBuf;

use bench::sample::median;

use crate::figure::Bar;

/// A row before it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name, by which it is asked for. It never changes.
    pub(crate) name: &'static str,
    /// What is measured.
    pub(crate) what: &'static str,
    /// What it is compared with; measured elsewhere, unless it says that it is of the same run.
    pub(crate) against: &'static str,
    /// Its figures.
    pub(crate) bars: &'static [Bar],
    /// Whether it is so slow that it is measured only if it is asked for.
    pub(crate) slow: bool,
    /// Measures it.
    pub(crate) measure: fn(&Setting) -> Measured,
}

/// What all rows are measured with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// How often.
    pub(crate) rounds: usize,
    /// Where the recorded histories are.
    pub(crate) histories: PathBuf,
}

/// What came of a row, or why nothing did.
pub(crate) type Measured = Result<Figures, String>;

/// What came of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// For each of the row's bars, the figure of each round.
    pub(crate) rounds: Vec<Vec<f64>>,
    /// What there is to say beside them.
    pub(crate) notes: Vec<String>,
}

impl Figures {
    /// Of rounds, each of which gave a figure for each bar.
    pub(crate) fn of_rounds<const BARS: usize>(rounds: impl IntoIterator<Item = [f64; BARS]>) -> Figures {
        let mut figures = Figures { rounds: vec![Vec::new(); BARS], notes: Vec::new() };
        for round in rounds {
            figures.rounds.iter_mut().zip(round).for_each(|(bar, value)| bar.push(value));
        }
        figures
    }

    /// With a sentence beside them.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Figures {
        self.notes.push(note.into());
        self
    }

    /// The figure that counts, for each bar.
    pub(crate) fn medians(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|rounds| median(rounds))
    }
}

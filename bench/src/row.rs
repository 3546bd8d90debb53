//! A row of the table: its measurement, the side that it is compared with, and its targets.

use std::path::PathBuf;

use bench::sample::median;

use crate::target::Target;

/// A row before it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The name of the row on the command line. It never changes.
    pub(crate) name: &'static str,
    /// A description of the measurement.
    pub(crate) what: &'static str,
    /// The figure or program that the row is compared with. It was measured elsewhere unless it says "in the same run".
    pub(crate) against: &'static str,
    /// One target for each figure of the row.
    pub(crate) targets: &'static [Target],
    /// `true` if the row is so slow that it is measured only on request.
    pub(crate) slow: bool,
    /// Measures the row.
    pub(crate) measure: fn(&Setting) -> Measured,
}

/// The settings for all rows.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Number of measurements of each row.
    pub(crate) rounds: usize,
    /// The folder of the recorded histories.
    pub(crate) histories: PathBuf,
    /// The folder of a Go solution's tests.
    pub(crate) go: Option<PathBuf>,
    /// Which of those tests to run; `None` means all.
    pub(crate) go_run: Option<String>,
}

/// The samples of a row, or the reason why it could not be measured.
pub(crate) type Measured = Result<Samples, String>;

/// The samples of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// For each of the row's targets, the figure of each round.
    pub(crate) rounds: Vec<Vec<f64>>,
    /// Remarks for the reader.
    pub(crate) notes: Vec<String>,
}

impl Samples {
    /// Collects the samples of rounds, each of which has a figure for each target.
    pub(crate) fn of_rounds<const TARGETS: usize>(rounds: impl IntoIterator<Item = [f64; TARGETS]>) -> Samples {
        let mut samples = Samples { rounds: vec![Vec::new(); TARGETS], notes: Vec::new() };
        for round in rounds {
            samples.rounds.iter_mut().zip(round).for_each(|(target, value)| target.push(value));
        }
        samples
    }

    /// Returns the same samples with one more remark.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Samples {
        self.notes.push(note.into());
        self
    }

    /// Returns the figure that counts for each target, the median.
    pub(crate) fn medians(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|rounds| median(rounds))
    }
}

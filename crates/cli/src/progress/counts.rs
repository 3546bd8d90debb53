//! The counts that a progress display shows.

use std::fmt;

use crate::plan::Plan;

/// The progress of all runs.
#[derive(Debug)]
pub(super) struct BatchCounts {
    /// Planned number of runs; `None` if the batch is endless.
    pub(super) total: Option<usize>,
    pub(super) scenarios: Vec<ScenarioCounts>,
    pub(super) passed: usize,
    pub(super) not_passed: usize,
}

/// The progress of one scenario.
#[derive(Clone, Debug)]
pub(super) struct ScenarioCounts {
    pub(super) name: &'static str,
    /// Planned number of runs.
    pub(super) total: Option<usize>,
    pub(super) running: usize,
    pub(super) passed: usize,
    pub(super) not_passed: usize,
}

impl BatchCounts {
    /// Counts of a plan of which no run has started.
    pub(super) fn new(plan: &Plan) -> BatchCounts {
        let of = |(index, name)| {
            let total = plan.runs_of(index);
            ScenarioCounts { name, total, running: 0, passed: 0, not_passed: 0 }
        };
        let names = plan.scenarios.iter().map(|scenario| scenario.info.name);
        let scenarios: Vec<ScenarioCounts> = names.enumerate().map(of).collect();
        let total = scenarios.iter().map(|counts| counts.total).sum();
        BatchCounts { total, scenarios, passed: 0, not_passed: 0 }
    }

    /// Counts a run that has ended.
    pub(super) fn ended(&mut self, index: usize, passed: bool) {
        let counts = &mut self.scenarios[index];
        counts.running = counts.running.saturating_sub(1);
        *(if passed { &mut counts.passed } else { &mut counts.not_passed }) += 1;
        *(if passed { &mut self.passed } else { &mut self.not_passed }) += 1;
    }

    /// The number of completed runs.
    pub(super) fn done(&self) -> usize {
        self.passed + self.not_passed
    }

    /// The scenarios that have started and have runs left.
    pub(super) fn running_scenarios(&self) -> impl Iterator<Item = &ScenarioCounts> {
        self.scenarios.iter().filter(|counts| counts.running > 0 || (counts.done() > 0 && !counts.is_complete()))
    }
}

impl ScenarioCounts {
    /// The number of completed runs.
    pub(super) fn done(&self) -> usize {
        self.passed + self.not_passed
    }

    /// Whether no run is left.
    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.done())
    }
}

/// Shows `12/100`, and the number of failures.
impl fmt::Display for ScenarioCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.done())?;
        if let Some(total) = self.total {
            write!(f, "/{total}")?;
        }
        if self.not_passed > 0 { write!(f, " ({} failed)", self.not_passed) } else { Ok(()) }
    }
}

//! What there is to show: counts.

use std::fmt;

use crate::plan::Plan;

/// How far all runs are.
#[derive(Debug)]
pub(super) struct Board {
    /// How many runs there are to be; `None` if there is no end.
    pub(super) total: Option<usize>,
    pub(super) scenarios: Vec<Counts>,
    pub(super) passed: usize,
    pub(super) not_passed: usize,
}

/// How far the runs of a scenario are.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) name: &'static str,
    /// How many there are to be.
    pub(super) total: Option<usize>,
    pub(super) running: usize,
    pub(super) passed: usize,
    pub(super) not_passed: usize,
}

impl Board {
    /// Of runs none of which has begun.
    pub(super) fn new(plan: &Plan) -> Board {
        let of = |(place, name)| {
            let total = plan.runs_of(place);
            Counts { name, total, running: 0, passed: 0, not_passed: 0 }
        };
        let names = plan.scenarios.iter().map(|scenario| scenario.about.name);
        let scenarios: Vec<Counts> = names.enumerate().map(of).collect();
        let total = scenarios.iter().map(|counts| counts.total).sum();
        Board { total, scenarios, passed: 0, not_passed: 0 }
    }

    /// A run is over.
    pub(super) fn ended(&mut self, place: usize, passed: bool) {
        let counts = &mut self.scenarios[place];
        counts.running = counts.running.saturating_sub(1);
        *(if passed { &mut counts.passed } else { &mut counts.not_passed }) += 1;
        *(if passed { &mut self.passed } else { &mut self.not_passed }) += 1;
    }

    /// How many runs are over.
    pub(super) fn done(&self) -> usize {
        self.passed + self.not_passed
    }

    /// Those that have begun and have runs left.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Counts> {
        self.scenarios.iter().filter(|counts| counts.running > 0 || (counts.done() > 0 && !counts.complete()))
    }
}

impl Counts {
    /// How many runs are over.
    pub(super) fn done(&self) -> usize {
        self.passed + self.not_passed
    }

    /// Whether none is left.
    pub(super) fn complete(&self) -> bool {
        self.total == Some(self.done())
    }
}

/// `12/100`, and how many of them did not pass.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.done())?;
        if let Some(total) = self.total {
            write!(f, "/{total}")?;
        }
        if self.not_passed > 0 { write!(f, " ({} failed)", self.not_passed) } else { Ok(()) }
    }
}

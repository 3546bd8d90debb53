//! Which runs are to be made, and in which order.

use tester::{Clock, Scenario};

use crate::Error;

/// How many runs on threads go on at once if nobody says: they sleep more than they compute.
const JOBS_ON_THREADS: usize = 64;

/// Runs that are to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) clock: Clock,
    /// How many at once.
    pub(crate) jobs: usize,
    order: Order,
}

/// In which order.
#[derive(Debug)]
enum Order {
    /// So many runs of each scenario, one scenario after the other.
    ByScenario { runs: usize, seeds: Seeds },
    /// All scenarios with each seed, so many in all.
    BySeed { count: usize, seeds: Seeds },
    /// These.
    List {
        /// Places of scenarios, and seeds.
        list: Vec<(usize, u64)>,
        /// How many there are, by place.
        counts: Vec<usize>,
    },
}

/// The seeds of the runs of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeds {
    /// `None`: a fresh one each time.
    first: Option<u64>,
}

impl Seeds {
    /// From `first` on; in the simulation from 1 on if there is none, and on threads any.
    pub(crate) fn new(first: Option<u64>, clock: Clock) -> Seeds {
        Seeds { first: first.or((clock == Clock::Simulated).then_some(1)) }
    }

    /// The first, if it is known before the runs are made.
    pub(crate) fn first(self) -> Option<u64> {
        self.first
    }

    /// How many there are at most.
    fn count(self) -> u64 {
        self.first.map_or(u64::MAX, |first| u64::MAX - first)
    }

    fn get(self, number: usize) -> u64 {
        self.first.map_or_else(labstd::rng::fresh_seed, |first| first + number as u64)
    }
}

impl Plan {
    /// So many runs of each scenario.
    ///
    /// # Errors
    ///
    /// If there are not as many seeds or numbers.
    pub(crate) fn runs_of_each(
        scenarios: Vec<Scenario>,
        clock: Clock,
        jobs: usize,
        runs: u64,
        seeds: Seeds,
    ) -> Result<Plan, Error> {
        if runs > seeds.count() {
            let first = seeds.first.unwrap_or(0);
            return Err(Error::Usage(format!("there are no {runs} seeds from {first} on")));
        }
        let number = usize::try_from(runs).ok().filter(|runs| scenarios.len().checked_mul(*runs).is_some());
        let runs = number.ok_or_else(|| Error::Usage(format!("{runs} runs are too many")))?;
        Ok(Plan { scenarios, clock, jobs, order: Order::ByScenario { runs, seeds } })
    }

    /// All scenarios with each seed, as long as there are seeds.
    pub(crate) fn without_end(scenarios: Vec<Scenario>, clock: Clock, jobs: usize, seeds: Seeds) -> Plan {
        let count = usize::try_from(seeds.count()).unwrap_or(usize::MAX).saturating_mul(scenarios.len());
        Plan { scenarios, clock, jobs, order: Order::BySeed { count, seeds } }
    }

    /// These runs: places of scenarios, and seeds.
    pub(crate) fn list(scenarios: Vec<Scenario>, clock: Clock, jobs: usize, list: Vec<(usize, u64)>) -> Plan {
        let mut counts = vec![0; scenarios.len()];
        for (place, _) in &list {
            counts[*place] += 1;
        }
        Plan { scenarios, clock, jobs, order: Order::List { list, counts } }
    }

    /// How many runs there are.
    pub(crate) fn count(&self) -> usize {
        match &self.order {
            Order::ByScenario { runs, .. } => self.scenarios.len() * runs,
            Order::BySeed { count, .. } => *count,
            Order::List { list, .. } => list.len(),
        }
    }

    /// The place of the scenario of a run, and its seed.
    pub(crate) fn get(&self, number: usize) -> (usize, u64) {
        match &self.order {
            Order::ByScenario { runs, seeds } => (number / runs, seeds.get(number % runs)),
            Order::BySeed { seeds, .. } => (number % self.scenarios.len(), seeds.get(number / self.scenarios.len())),
            Order::List { list, .. } => list[number],
        }
    }

    /// The place of the scenario of a run.
    pub(crate) fn place(&self, number: usize) -> usize {
        match &self.order {
            Order::ByScenario { runs, .. } => number / runs,
            Order::BySeed { .. } => number % self.scenarios.len(),
            Order::List { list, .. } => list[number].0,
        }
    }

    /// How many runs of the scenario at a place there are; `None` if there is no end.
    pub(crate) fn runs_of(&self, place: usize) -> Option<usize> {
        match &self.order {
            Order::ByScenario { runs, .. } => Some(*runs),
            Order::BySeed { .. } => None,
            Order::List { counts, .. } => Some(counts[place]),
        }
    }

    /// Whether each run is told by itself, and not in the medians of its scenario.
    pub(crate) fn tells_each(&self) -> bool {
        match &self.order {
            Order::ByScenario { runs, .. } => *runs == 1,
            Order::BySeed { .. } => false,
            Order::List { .. } => true,
        }
    }
}

/// How many runs there are at once if nobody says.
pub(crate) fn default_jobs(clock: Clock) -> usize {
    match clock {
        Clock::Simulated => std::thread::available_parallelism().map_or(1, usize::from),
        Clock::Threads => JOBS_ON_THREADS,
    }
}

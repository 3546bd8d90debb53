//! The runs of a command, and their order.

use tester::{Clock, Scenario};

use crate::Error;

/// Default number of concurrent runs on threads. It is large because these runs sleep more than they compute.
const JOBS_ON_THREADS: usize = 64;

/// The runs of a command.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) clock: Clock,
    /// Number of concurrent runs.
    pub(crate) jobs: usize,
    order: Order,
}

/// The order of the runs.
#[derive(Debug)]
enum Order {
    /// `runs` runs of each scenario, one scenario after the other.
    ByScenario { runs: usize, seeds: Seeds },
    /// All scenarios with one seed, then with the next; `count` runs in all.
    BySeed { count: usize, seeds: Seeds },
    /// An explicit list of runs.
    List {
        /// Scenario index and seed of each run.
        list: Vec<(usize, u64)>,
        /// Number of runs of each scenario, by scenario index.
        counts: Vec<usize>,
    },
}

/// The seeds of the runs of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeds {
    /// `None`: a fresh seed for each run.
    first: Option<u64>,
}

impl Seeds {
    /// Seeds from `first` on. Without `first`, a simulation starts at 1, and a run on threads takes a fresh seed.
    pub(crate) fn new(first: Option<u64>, clock: Clock) -> Seeds {
        Seeds { first: first.or((clock == Clock::Simulated).then_some(1)) }
    }

    /// The first seed, if it is known before the runs start.
    pub(crate) fn first(self) -> Option<u64> {
        self.first
    }

    /// The maximum number of seeds.
    fn count(self) -> u64 {
        self.first.map_or(u64::MAX, |first| u64::MAX - first)
    }

    fn get(self, number: usize) -> u64 {
        self.first.map_or_else(labstd::rng::fresh_seed, |first| first + number as u64)
    }
}

impl Plan {
    /// `runs` runs of each scenario.
    ///
    /// # Errors
    ///
    /// Fails if there are not enough seeds, or if the number of runs overflows.
    pub(crate) fn runs_of_each(
        scenarios: Vec<Scenario>,
        clock: Clock,
        jobs: usize,
        runs: u64,
        seeds: Seeds,
    ) -> Result<Plan, Error> {
        if runs > seeds.count() {
            let first = seeds.first.unwrap_or(0);
            return Err(Error::Usage(format!("there are fewer than {runs} seeds from {first} on")));
        }
        let number = usize::try_from(runs).ok().filter(|runs| scenarios.len().checked_mul(*runs).is_some());
        let runs = number.ok_or_else(|| Error::Usage(format!("{runs} runs are too many")))?;
        Ok(Plan { scenarios, clock, jobs, order: Order::ByScenario { runs, seeds } })
    }

    /// All scenarios with each seed, until the seeds are exhausted.
    pub(crate) fn endless(scenarios: Vec<Scenario>, clock: Clock, jobs: usize, seeds: Seeds) -> Plan {
        let count = usize::try_from(seeds.count()).unwrap_or(usize::MAX).saturating_mul(scenarios.len());
        Plan { scenarios, clock, jobs, order: Order::BySeed { count, seeds } }
    }

    /// The given runs, each a scenario index and a seed.
    pub(crate) fn list(scenarios: Vec<Scenario>, clock: Clock, jobs: usize, list: Vec<(usize, u64)>) -> Plan {
        let mut counts = vec![0; scenarios.len()];
        for (index, _) in &list {
            counts[*index] += 1;
        }
        Plan { scenarios, clock, jobs, order: Order::List { list, counts } }
    }

    /// The number of runs.
    pub(crate) fn count(&self) -> usize {
        match &self.order {
            Order::ByScenario { runs, .. } => self.scenarios.len() * runs,
            Order::BySeed { count, .. } => *count,
            Order::List { list, .. } => list.len(),
        }
    }

    /// The scenario index and the seed of a run.
    pub(crate) fn run(&self, number: usize) -> (usize, u64) {
        match &self.order {
            Order::ByScenario { runs, seeds } => (number / runs, seeds.get(number % runs)),
            Order::BySeed { seeds, .. } => (number % self.scenarios.len(), seeds.get(number / self.scenarios.len())),
            Order::List { list, .. } => list[number],
        }
    }

    /// The scenario index of a run.
    pub(crate) fn scenario_index(&self, number: usize) -> usize {
        match &self.order {
            Order::ByScenario { runs, .. } => number / runs,
            Order::BySeed { .. } => number % self.scenarios.len(),
            Order::List { list, .. } => list[number].0,
        }
    }

    /// The number of runs of a scenario; `None` if the plan has no end.
    pub(crate) fn runs_of(&self, index: usize) -> Option<usize> {
        match &self.order {
            Order::ByScenario { runs, .. } => Some(*runs),
            Order::BySeed { .. } => None,
            Order::List { counts, .. } => Some(counts[index]),
        }
    }

    /// Whether each run is printed on its own, instead of in the medians of its scenario.
    pub(crate) fn prints_each_run(&self) -> bool {
        match &self.order {
            Order::ByScenario { runs, .. } => *runs == 1,
            Order::BySeed { .. } => false,
            Order::List { .. } => true,
        }
    }
}

/// The default number of concurrent runs.
pub(crate) fn default_jobs(clock: Clock) -> usize {
    match clock {
        Clock::Simulated => std::thread::available_parallelism().map_or(1, usize::from),
        Clock::Threads => JOBS_ON_THREADS,
    }
}

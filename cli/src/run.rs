//! `run`: scenarios, once or many times, under either clock.

use std::io::Write;
use std::time::Instant;

use tester::harness::Ended;
use tester::keep::interrupt;
use tester::{Clock, Scenario, harness};

use crate::args::RunArgs;
use crate::select::select;
use crate::summary::{self, Tally};
use crate::{Error, batch};

/// How many runs on threads go on at once if nobody says: they sleep more than they compute.
const JOBS_ON_THREADS: usize = 64;

/// Runs what was asked for and writes the lines and the summary to `out`. Whether all runs passed.
pub(crate) fn run(args: &RunArgs, all: Vec<Scenario>, package: &str, out: &mut impl Write) -> Result<bool, Error> {
    let scenarios = select(all, &args.filters)?;
    let clock = Clock::from(args.clock);
    let jobs = args.jobs.map_or_else(|| default_jobs(clock), |jobs| usize::from(jobs.get()));
    let runs =
        usize::try_from(args.runs.get()).map_err(|_| Error::Usage(format!("{} runs are too many", args.runs)))?;
    let count = scenarios.len().checked_mul(runs);
    let count = count.ok_or_else(|| Error::Usage(format!("{runs} runs are too many")))?;

    let seeds = Seeds::new(args, clock)?;
    let work = |number: usize| {
        let (scenario, seed) = (&scenarios[number / runs], seeds.get(number % runs));
        harness::run_undisturbed(scenario, clock, seed, harness::print)
    };
    let begun = Instant::now();
    let mut tallies: Vec<Tally> = scenarios.iter().map(|scenario| Tally::new(&scenario.about)).collect();
    let mut all_passed = true;
    interrupt::install();
    batch::in_order(count, jobs, work, |number, ended: Ended| {
        all_passed &= ended.report().passed();
        let tally = &mut tallies[number / runs];
        let may_keep = !args.hashes && tally.may_keep(ended.report());
        ended.tell(may_keep, |report, kept| {
            if args.hashes {
                writeln!(out, "{} {} {:016x}", report.about.name, report.seed, report.hash())?;
                return Ok(out.flush()?);
            }
            if runs == 1 {
                write!(out, "{}{}", report.lines(), harness::below(&kept))?;
            }
            tally.add(report, kept);
            if runs > 1 && number % runs == runs - 1 {
                write!(out, "{}", tally.lines())?;
            }
            Ok::<(), Error>(out.flush()?)
        })
    })?;
    if !args.hashes {
        summary::write(&tallies, clock, begun.elapsed(), package, out)?;
    }
    Ok(all_passed)
}

fn default_jobs(clock: Clock) -> usize {
    match clock {
        Clock::Simulated => std::thread::available_parallelism().map_or(1, usize::from),
        Clock::Threads => JOBS_ON_THREADS,
    }
}

/// The seeds of the runs of one scenario.
struct Seeds {
    /// `None`: a fresh one each time.
    first: Option<u64>,
}

impl Seeds {
    fn new(args: &RunArgs, clock: Clock) -> Result<Seeds, Error> {
        let first = args.seed.or((clock == Clock::Simulated).then_some(1));
        if first.is_some_and(|first| first.checked_add(args.runs.get()).is_none()) {
            return Err(Error::Usage(format!("there are no {} seeds from {} on", args.runs, first.unwrap_or(0))));
        }
        Ok(Seeds { first })
    }

    fn get(&self, number: usize) -> u64 {
        self.first.map_or_else(labstd::rng::fresh_seed, |first| first + number as u64)
    }
}

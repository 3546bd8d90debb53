//! `run`: runs scenarios once or many times, under either clock.

use std::io::Write;
use std::time::Duration;

use tester::artifacts::ArtifactStore;
use tester::{Clock, Scenario};

use crate::Error;
use crate::args::RunArgs;
use crate::moment::Moment;
use crate::plan::{self, Plan, Seeds};
use crate::progress::Progress;
use crate::results::{Header, ResultsFile};
use crate::resume::Resume;
use crate::select::select;
use crate::series::Series;

/// Runs the selected scenarios, and writes their lines and the summary to `out`. Returns whether all runs passed.
pub(crate) fn run(args: &RunArgs, all: Vec<Scenario>, package: &str, out: &mut impl Write) -> Result<bool, Error> {
    let mut scenarios = select(all, &args.filters)?;
    let clock = Clock::from(args.clock);
    if let Some(Moment(nanos)) = args.calm_from {
        if clock == Clock::Threads {
            return Err(Error::Usage(
                "--calm-from needs --clock simulated, because a run on threads cannot be replayed".into(),
            ));
        }
        let with_cutoff = |scenario: Scenario| scenario.with_fault_cutoff(Duration::from_nanos(nanos));
        scenarios = scenarios.into_iter().map(with_cutoff).collect::<Result<_, _>>().map_err(Error::Usage)?;
    }
    if args.twice && clock == Clock::Threads {
        return Err(Error::Usage(
            "--twice needs --clock simulated, because two runs of one seed always differ on threads".into(),
        ));
    }
    let jobs = args.jobs.map_or_else(|| plan::default_jobs(clock), |jobs| usize::from(jobs.get()));
    let seeds = Seeds::new(args.seed, clock);
    let plan = if args.until_fail {
        Plan::endless(scenarios, clock, jobs, seeds)
    } else {
        Plan::runs_of_each(scenarios, clock, jobs, args.runs.get(), seeds)?
    };
    let many = !args.hashes && !plan.prints_each_run();
    let runs = (!args.until_fail).then_some(args.runs.get());
    let header = Header::new(package, clock, &args.filters, seeds.first(), runs, args.twice);
    let header = Header { calm_from: args.calm_from.map(|Moment(nanos)| nanos), ..header };
    let results = if many { ResultsFile::new(ArtifactStore::from_env(), header) } else { None };
    let series = Series {
        plan: &plan,
        package,
        fail_fast: args.fail_fast || args.until_fail,
        twice: args.twice,
        hashes: args.hashes,
        progress: Progress::new(args.progress, &plan),
        results,
        resume: Some(Resume::from_env()?),
    };
    series.run(out)
}

//! `shrink`: looks for the shortest run that fails in the same way as a given one, among neighbouring seeds, and among runs
//! whose faults end early.
//!
//! - [`way`]: what it is to fail in the same way.
//! - [`size`]: what it is to be short.
//! - [`search`]: which runs are tried.

mod search;
mod size;
mod way;

use std::fs::File;
use std::io::{BufReader, Write};
use std::time::{Duration, Instant};

use record::file;
use tester::keep::interrupt;
use tester::{Clock, Report, Scenario, calm, harness};

use self::search::{Candidate, Counts, Failing, Found};
use self::size::{Size, Wrongs};
use self::way::Way;
use crate::args::ShrinkArgs;
use crate::replay::Recorded;
use crate::{Error, batch, plan, summary};

/// How often it is said how far the search is.
const PAUSE: Duration = Duration::from_secs(5);

/// The run that is to be shrunk.
struct Given {
    /// Its scenario, without calm.
    scenario: Scenario,
    run: Candidate,
    /// Whether there is a record of it already.
    is_recorded: bool,
}

/// Whether there is a run that fails.
pub(crate) fn shrink(
    args: &ShrinkArgs,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let tries =
        usize::try_from(args.tries.get()).map_err(|_| Error::Usage(format!("{} runs are too many", args.tries)))?;
    let jobs = args.jobs.map_or_else(|| plan::default_jobs(Clock::Simulated), |jobs| usize::from(jobs.get()));
    let given = Given::of(args, all)?;
    let name = described(given.scenario.about.name, given.run);
    let report = given.run(given.run);
    let Some(broken) = report.broken() else {
        writeln!(out, "{name} passes: there is nothing to shrink")?;
        out.flush()?;
        return Ok(false);
    };
    let sentence = summary::sentence(&report);
    let Some(way) = Way::of(&report) else {
        let why = if broken.unwritten { "" } else { ": nothing is claimed about it" };
        return Err(Error::Usage(format!(
            "{name} has not failed{why}, so that there is nothing to shrink: {sentence}"
        )));
    };
    writeln!(out, "{name} fails after {:.3} s: {sentence}", broken.at.as_secs_f64())?;
    out.flush()?;

    let failing = failing(&report, &way).expect("it fails in its own way");
    drop(report);
    let before = failing.size;
    let can_be_calm = !calm::needs_its_faults(&given.scenario.about);
    let mut said = Instant::now();
    let found = search::search((given.run, failing), tries, can_be_calm, |candidates, counts, best| {
        let mut answers = Vec::with_capacity(candidates.len());
        let work = |number: usize| failing_as(&given, candidates[number], &way);
        batch::in_order(candidates.len(), jobs, work, |number, answer| {
            answers.push(answer);
            if said.elapsed() > PAUSE {
                said = Instant::now();
                harness::print(&progress(counts, number + 1, tries, best));
            }
            Ok::<(), Error>(())
        })?;
        Ok::<_, Error>(answers)
    })?;
    write!(out, "\n{}", tried(&found.counts, can_be_calm, &given.scenario))?;
    if found.best == given.run {
        writeln!(out, "\nnone of them is shorter than the given one\n")?;
    } else {
        write!(out, "\n{}\n", table((given.run, before), (found.best, found.size)))?;
    }
    out.flush()?;
    given.tell(&found, package, out)?;
    Ok(true)
}

impl Given {
    /// What the arguments say.
    fn of(args: &ShrinkArgs, mut all: Vec<Scenario>) -> Result<Given, Error> {
        let path = &args.run;
        let place = path.to_str().and_then(|name| all.iter().position(|scenario| scenario.about.name == name));
        if let Some(place) = place.filter(|_| !path.exists()) {
            let scenario = all.swap_remove(place);
            let name = scenario.about.name;
            let seed = args.seed.ok_or_else(|| {
                Error::Usage(format!("which run of {name}? --seed says it; run {name} -n 1000 finds one that fails"))
            })?;
            return Ok(Given { scenario, run: Candidate { seed, calm_from: None }, is_recorded: false });
        }
        let shown = path.display();
        if !path.exists() {
            return Err(Error::Usage(format!("'{shown}' is neither a file nor the whole name of a scenario")));
        }
        if args.seed.is_some() {
            return Err(Error::Usage(format!("'{shown}' is a file, and has its own seed: --seed is for scenarios")));
        }
        let cannot = |why: String| Error::Usage(format!("cannot shrink '{shown}': {why}"));
        let opened = File::open(path).map_err(file::ReadError::Input);
        let stored = opened.and_then(|input| file::read(BufReader::new(input)));
        let stored = stored.map_err(|error| cannot(error.to_string()))?;
        let fresh = all.clone();
        let Recorded { scenario, seed, clock } = Recorded::of(&stored, all).map_err(cannot)?;
        let name = scenario.about.name;
        if clock == Clock::Threads {
            return Err(cannot(format!(
                "it is of threads, which cannot be replayed; run {name} -n 1000 looks for a seed that fails"
            )));
        }
        let run = Candidate { seed, calm_from: scenario.is_calm_from() };
        let scenario = fresh.into_iter().find(|scenario| scenario.about.name == name).expect("it has just been found");
        Ok(Given { scenario, run, is_recorded: true })
    }

    /// The scenario as a candidate wants it.
    fn scenario(&self, Candidate { calm_from, .. }: Candidate) -> Scenario {
        let scenario = self.scenario.clone();
        match calm_from {
            Some(moment) => scenario.calm_from(moment).expect("only stories that can be calm are asked to"),
            None => scenario,
        }
    }

    /// Runs a candidate; nothing of it is written.
    fn run(&self, candidate: Candidate) -> Report {
        let ended = harness::run_if(
            || true,
            &self.scenario(candidate),
            Clock::Simulated,
            candidate.seed,
            |_| false,
            harness::print,
        );
        ended.expect("it was to begin").report().clone()
    }

    /// Runs the shortest run once more, and writes its lines, its files, and the command that replays it.
    fn tell(&self, found: &Found, package: &str, out: &mut impl Write) -> Result<(), Error> {
        interrupt::install();
        let scenario = self.scenario(found.best);
        // A second run that is another one has to be explained.
        let differs = |report: &Report| report.hash() != found.hash && !harness::prints_events();
        let ended = harness::run_if(|| true, &scenario, Clock::Simulated, found.best.seed, differs, harness::print);
        let may_keep = !(self.is_recorded && found.best == self.run);
        ended.expect("it was to begin").tell(may_keep, |report, kept| {
            let other = report.difference.is_none() && report.hash() != found.hash;
            write!(out, "{}\n{}\n", report.lines(), harness::closing(&report, &kept, package))?;
            if other {
                writeln!(
                    out,
                    "\nthis is NOT the run that the search has seen: the code under test takes something from outside of the \
                     simulation, which run --twice finds out"
                )?;
            }
            Ok(out.flush()?)
        })
    }
}

/// What came of a candidate, if it fails in this way.
fn failing_as(given: &Given, candidate: Candidate, way: &Way) -> Option<Failing> {
    failing(&given.run(candidate), way)
}

/// What is known of a run, if it failed in this way.
fn failing(report: &Report, way: &Way) -> Option<Failing> {
    if Way::of(report).as_ref() != Some(way) {
        return None;
    }
    let Wrongs { faults, lost, moments } = Wrongs::of(report.record.events());
    let at = report.broken()?.at;
    Some(Failing { size: Size { faults, lost, at, events: report.record.len() }, moments, hash: report.hash() })
}

/// A run, in words.
fn described(name: &str, run: Candidate) -> String {
    let calm = run.calm_from.map_or(String::new(), |moment| format!(", calm from {}", calm::moment(moment)));
    format!("{name} with seed {}{calm}", run.seed)
}

/// How far the search is, when so many runs of the present step are over.
fn progress(counts: &Counts, of_this_step: usize, tries: usize, best: &Size) -> String {
    let failing = counts.seeds_failing + counts.calm_failing;
    format!(
        "{} of at most {tries} runs, {failing} failed in the same way; the shortest has {} faults, {} losses, {:.3} s\n",
        counts.all() + of_this_step,
        best.faults,
        best.lost,
        best.at.as_secs_f64()
    )
}

/// What was tried.
fn tried(counts: &Counts, can_be_calm: bool, scenario: &Scenario) -> String {
    let Counts { seeds, seeds_failing, calm, calm_failing } = counts;
    let mut text = format!("tried: {seeds} seeds, {seeds_failing} of which fail in the same way\n");
    text += &match can_be_calm {
        true => format!("       {calm} runs whose faults end early, {calm_failing} of which do\n"),
        false => format!("       none with fewer faults: {} is a story of certain ones\n", scenario.about.name),
    };
    text
}

/// Two runs, one beside the other.
fn table((run, size): (Candidate, Size), (best, shortest): (Candidate, Size)) -> String {
    let moment = |run: Candidate| run.calm_from.map_or("-".to_string(), calm::moment);
    let seconds = |size: Size| format!("{:.3}", size.at.as_secs_f64());
    let rows = [
        ("", "given".to_string(), "shortest".to_string()),
        ("seed", run.seed.to_string(), best.seed.to_string()),
        ("calm from", moment(run), moment(best)),
        ("faults", size.faults.to_string(), shortest.faults.to_string()),
        ("messages lost", size.lost.to_string(), shortest.lost.to_string()),
        ("seconds until it fails", seconds(size), seconds(shortest)),
        ("events", size.events.to_string(), shortest.events.to_string()),
    ];
    let width = rows.iter().flat_map(|(_, one, other)| [one.len(), other.len()]).max().unwrap_or(0) + 2;
    rows.iter().map(|(what, one, other)| format!("{what:<22}{one:>width$}{other:>width$}\n")).collect()
}

#[cfg(test)]
mod tests;

//! `shrink`: searches for the shortest run that fails in the same way as a given run, among neighbouring seeds and
//! among runs whose faults end early.
//!
//! - [`signature`]: when two runs fail in the same way.
//! - [`size`]: when a run is shorter than another.
//! - [`search`]: which runs are tried.

mod search;
mod signature;
mod size;

use std::fs::File;
use std::io::{BufReader, Write};
use std::time::{Duration, Instant};

use record::file;
use tester::artifacts::interrupt;
use tester::harness::Recording;
use tester::{Clock, Report, Scenario, fault_cutoff, harness};

use self::search::{Candidate, FailingRun, SearchResult, TryCounts};
use self::signature::FailureSignature;
use self::size::{FaultSummary, Size};
use crate::args::ShrinkArgs;
use crate::replay::RecordedRun;
use crate::{Error, batch, plan, summary};

/// Interval between two progress lines.
const PAUSE: Duration = Duration::from_secs(5);

/// The run to shrink.
struct GivenRun {
    /// Its scenario, without an end of faults.
    scenario: Scenario,
    run: Candidate,
    /// Whether a record of it exists already.
    is_recorded: bool,
}

/// Searches for the shortest run. Returns whether the given run fails.
pub(crate) fn shrink(
    args: &ShrinkArgs,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let tries =
        usize::try_from(args.tries.get()).map_err(|_| Error::Usage(format!("{} runs are too many", args.tries)))?;
    let jobs = args.jobs.map_or_else(|| plan::default_jobs(Clock::Simulated), |jobs| usize::from(jobs.get()));
    let given = GivenRun::of(args, all)?;
    let name = describe(given.scenario.info.name, given.run);
    let report = given.run(given.run);
    let Some(broken) = report.run_failure() else {
        writeln!(out, "{name} passes: there is nothing to shrink")?;
        out.flush()?;
        return Ok(false);
    };
    let sentence = summary::failure_sentence(&report);
    let Some(signature) = FailureSignature::of(&report) else {
        let why = if broken.unwritten { "" } else { " (its result claims nothing about the code)" };
        return Err(Error::Usage(format!("{name} has no failure to shrink{why}: {sentence}")));
    };
    writeln!(out, "{name} fails after {:.3} s: {sentence}", broken.at.as_secs_f64())?;
    out.flush()?;

    let failing = measure_failure(&report, &signature).expect("it has its own signature");
    drop(report);
    let before = failing.size;
    let can_cut_faults = !fault_cutoff::requires_faults(&given.scenario.info);
    let mut last_print = Instant::now();
    let found = search::search((given.run, failing), tries, can_cut_faults, |candidates, counts, best| {
        let mut outcomes = Vec::with_capacity(candidates.len());
        let work = |number: usize| run_candidate(&given, candidates[number], &signature);
        batch::in_order(candidates.len(), jobs, work, |number, outcome| {
            outcomes.push(outcome);
            if last_print.elapsed() > PAUSE {
                last_print = Instant::now();
                harness::print(&progress(counts, number + 1, tries, best));
            }
            Ok::<(), Error>(())
        })?;
        Ok::<_, Error>(outcomes)
    })?;
    write!(out, "\n{}", tried_text(&found.counts, can_cut_faults, &given.scenario))?;
    if found.best == given.run {
        writeln!(out, "\nnone of these runs is shorter than the given one\n")?;
    } else {
        write!(out, "\n{}\n", table((given.run, before), (found.best, found.size)))?;
    }
    out.flush()?;
    given.report(&found, package, out)?;
    Ok(true)
}

impl GivenRun {
    /// Finds the run that the arguments name.
    fn of(args: &ShrinkArgs, mut all: Vec<Scenario>) -> Result<GivenRun, Error> {
        let path = &args.run;
        let index = path.to_str().and_then(|name| all.iter().position(|scenario| scenario.info.name == name));
        if let Some(index) = index.filter(|_| !path.exists()) {
            let scenario = all.swap_remove(index);
            let name = scenario.info.name;
            let seed = args.seed.ok_or_else(|| {
                Error::Usage(format!("{name} needs a seed: give --seed; run {name} -n 1000 looks for a failing seed"))
            })?;
            return Ok(GivenRun { scenario, run: Candidate { seed, calm_from: None }, is_recorded: false });
        }
        let shown = path.display();
        if !path.exists() {
            return Err(Error::Usage(format!("'{shown}' is neither a file nor the whole name of a scenario")));
        }
        if args.seed.is_some() {
            return Err(Error::Usage(format!(
                "'{shown}' is a record and has its own seed; use --seed only with a scenario name"
            )));
        }
        let shrink_error = |why: String| Error::Usage(format!("cannot shrink '{shown}': {why}"));
        let opened = File::open(path).map_err(file::ReadError::Input);
        let stored = opened.and_then(|input| file::read(BufReader::new(input)));
        let stored = stored.map_err(|error| shrink_error(error.to_string()))?;
        let fresh = all.clone();
        let RecordedRun { scenario, seed, clock } = RecordedRun::of(&stored, all).map_err(shrink_error)?;
        let name = scenario.info.name;
        if clock == Clock::Threads {
            return Err(shrink_error(format!(
                "runs on threads cannot be replayed; run {name} -n 1000 looks for a failing seed"
            )));
        }
        let run = Candidate { seed, calm_from: scenario.fault_cutoff() };
        let scenario = fresh.into_iter().find(|scenario| scenario.info.name == name).expect("it has just been found");
        Ok(GivenRun { scenario, run, is_recorded: true })
    }

    /// The scenario with the end of faults that a candidate has.
    fn scenario(&self, Candidate { calm_from, .. }: Candidate) -> Scenario {
        let scenario = self.scenario.clone();
        match calm_from {
            Some(moment) => {
                scenario.with_fault_cutoff(moment).expect("only scenarios that can do without faults get a cutoff")
            }
            None => scenario,
        }
    }

    /// Runs a candidate, and writes no files.
    fn run(&self, candidate: Candidate) -> Report {
        let ended = harness::run_if(
            || true,
            &self.scenario(candidate),
            Clock::Simulated,
            candidate.seed,
            Recording::All,
            |_| false,
            harness::print,
        );
        ended.expect("the run was wanted").report().clone()
    }

    /// Runs the shortest run once more, and writes its lines, its files, and its replay command.
    fn report(&self, found: &SearchResult, package: &str, out: &mut impl Write) -> Result<(), Error> {
        interrupt::install();
        let scenario = self.scenario(found.best);
        // A run that differs from the search's run is repeated, so that the report explains the difference.
        let differs = |report: &Report| report.hash() != found.hash && !harness::prints_events();
        let ended = harness::run_if(
            || true,
            &scenario,
            Clock::Simulated,
            found.best.seed,
            Recording::All,
            differs,
            harness::print,
        );
        let may_keep = !(self.is_recorded && found.best == self.run);
        ended.expect("the run was wanted").finish(may_keep, |report, kept| {
            let other = report.divergence.is_none() && report.hash() != found.hash;
            write!(out, "{}\n{}\n", report.lines(), harness::failure_footer(&report, &kept, package))?;
            if other {
                writeln!(
                    out,
                    "\nthis is NOT the run that the search has seen: the code under test depends on something outside of the \
                     simulation; run --twice finds that"
                )?;
            }
            Ok(out.flush()?)
        })
    }
}

/// Runs a candidate. Returns its measurements if it fails with this signature.
fn run_candidate(given: &GivenRun, candidate: Candidate, signature: &FailureSignature) -> Option<FailingRun> {
    measure_failure(&given.run(candidate), signature)
}

/// Returns the measurements of a run if it failed with this signature.
fn measure_failure(report: &Report, signature: &FailureSignature) -> Option<FailingRun> {
    if FailureSignature::of(report).as_ref() != Some(signature) {
        return None;
    }
    let FaultSummary { faults, lost, moments } = FaultSummary::of(report.record.events());
    let at = report.run_failure()?.at;
    Some(FailingRun { size: Size { faults, lost, at, events: report.record.len() }, moments, hash: report.hash() })
}

/// Describes a run in words.
fn describe(name: &str, run: Candidate) -> String {
    let cutoff =
        run.calm_from.map_or(String::new(), |moment| format!(", calm from {}", fault_cutoff::format_moment(moment)));
    format!("{name} with seed {}{cutoff}", run.seed)
}

/// The progress line after `of_this_step` runs of the current step.
fn progress(counts: &TryCounts, of_this_step: usize, tries: usize, best: &Size) -> String {
    let failing = counts.seeds_failing + counts.cutoffs_failing;
    format!(
        "{} of at most {tries} runs, {failing} failed in the same way; the shortest has {} faults, {} losses, {:.3} s\n",
        counts.all() + of_this_step,
        best.faults,
        best.lost,
        best.at.as_secs_f64()
    )
}

/// The text with the numbers of tried runs.
fn tried_text(counts: &TryCounts, can_cut_faults: bool, scenario: &Scenario) -> String {
    let TryCounts { seeds, seeds_failing, cutoffs, cutoffs_failing } = counts;
    let mut text = format!("tried: {seeds} seeds, {seeds_failing} of which fail in the same way\n");
    text += &match can_cut_faults {
        true => format!("       {cutoffs} runs whose faults end early, {cutoffs_failing} of which do\n"),
        false => format!("       none with fewer faults, because {} needs all of its faults\n", scenario.info.name),
    };
    text
}

/// A table of two runs side by side.
fn table((run, size): (Candidate, Size), (best, shortest): (Candidate, Size)) -> String {
    let moment = |run: Candidate| run.calm_from.map_or("-".to_string(), fault_cutoff::format_moment);
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

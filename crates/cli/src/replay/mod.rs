//! `replay`: runs failed runs again, from the record of one run or from the saved results of many.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use record::file::{self, StoredRecord};
use record::{Event, EventKind};
use tester::artifacts::interrupt;
use tester::determinism::{self, DivergencePoint};
use tester::harness::Recording;
use tester::{Clock, Report, Scenario, harness};

use crate::Error;
use crate::args::{ProgressMode, ReplayArgs};
use crate::plan::{self, Plan};
use crate::progress::Progress;
use crate::results::{self, SavedResults};
use crate::series::Series;
use crate::summary::{self, Tally};

/// The note that a replay on threads begins with.
const THREADS_NOTE: &str =
    "a run on threads cannot be replayed exactly: this one has the same seed, but another schedule\n\n";

/// The first byte of a record. No text begins with it.
const RECORD_FIRST_BYTE: u8 = 0x89;

/// Runs again what `args` name. Returns whether all runs pass now.
pub(crate) fn replay(
    args: &ReplayArgs,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let path = &args.file;
    let replay_error = |why: String| Error::Usage(format!("cannot replay '{}': {why}", path.display()));
    if is_record(path).map_err(|error| replay_error(error.to_string()))? {
        let opened = File::open(path).map_err(file::ReadError::Input);
        let stored = opened.and_then(|input| file::read(BufReader::new(input)));
        let stored = stored.map_err(|error| replay_error(error.to_string()))?;
        let run = RecordedRun::of(&stored, all).map_err(replay_error)?;
        run.replay(&stored, package, out)
    } else {
        let text = fs::read(path).map_err(|error| replay_error(error.to_string()))?;
        let saved = results::read(&String::from_utf8_lossy(&text)).map_err(replay_error)?;
        replay_results(&saved, all, package, out).map_err(|error| match error {
            Error::Usage(why) => replay_error(why),
            error => error,
        })
    }
}

fn is_record(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(1).read_to_end(&mut first)?;
    Ok(first == [RECORD_FIRST_BYTE])
}

/// Returns the index of the scenario with this name, or an error message.
fn scenario_index(name: &str, all: &[Scenario]) -> Result<usize, String> {
    let index = all.iter().position(|scenario| scenario.info.name == name);
    index.ok_or_else(|| format!("this program has no scenario '{name}'"))
}

/// The run that a record describes.
pub(crate) struct RecordedRun {
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
}

impl RecordedRun {
    /// Reads scenario, seed and clock from the first events of a record.
    pub(crate) fn of(stored: &StoredRecord, mut all: Vec<Scenario>) -> Result<RecordedRun, String> {
        let mut kinds = stored.events().map(|event| event.kind);
        let Some(EventKind::RunBegun { scenario, seed, simulated, .. }) = kinds.next() else {
            return Err("the record does not name its scenario".to_string());
        };
        let mut scenario = all.swap_remove(scenario_index(&scenario, &all)?);
        if let Some(EventKind::FaultCutoff { at: moment }) = kinds.next() {
            scenario = scenario.with_fault_cutoff(Duration::from_nanos(moment))?;
        }
        Ok(RecordedRun { scenario, seed, clock: if simulated { Clock::Simulated } else { Clock::Threads } })
    }

    fn replay(self, stored: &StoredRecord, package: &str, out: &mut impl Write) -> Result<bool, Error> {
        let RecordedRun { scenario, seed, clock } = self;
        if clock == Clock::Threads {
            write!(out, "{THREADS_NOTE}")?;
            out.flush()?;
        }
        interrupt::install();
        let begun = Instant::now();
        let failed = |report: &Report| !report.passed() && !harness::prints_events();
        let ended = harness::run_if(|| true, &scenario, clock, seed, Recording::All, failed, harness::print);
        let ended = ended.expect("the run was wanted");
        let same = (clock == Clock::Simulated).then(|| compare(stored, ended.report()));
        // The files of the same run exist already.
        let may_keep = !matches!(same, Some(Ok(_)));
        ended.finish(may_keep, |report, kept| {
            write!(out, "{}{}", report.lines(), harness::indented_artifact_lines(&kept))?;
            let passed = report.passed();
            let mut tally = Tally::new(&scenario.info);
            tally.add(report, &kept, package);
            summary::write(&[tally], clock, begun.elapsed(), out)?;
            match same {
                None => {}
                Some(Ok(events)) => writeln!(out, "\nthe same run as recorded: all {events} events are equal")?,
                Some(Err(parting)) => writeln!(out, "\n{}", describe_difference(&parting))?,
            }
            out.flush()?;
            Ok(passed)
        })
    }
}

/// Compares a run with its record. Returns the number of equal events, or the first difference.
///
/// Events of the checker are ignored: they depend on what is written to disk, and are no part of the run. The record of
/// an interrupted run is compared with the beginning of the new run.
fn compare(stored: &StoredRecord, report: &Report) -> Result<u64, Box<DivergencePoint>> {
    if stored.hash() == report.hash() {
        return Ok(stored.len());
    }
    let is_run_event = |event: &Event| !matches!(event.kind, EventKind::HistoryChecked { .. });
    let ended = |event: &Event| matches!(event.kind, EventKind::RunEnded { .. });
    let recorded: Vec<Event> = stored.events().filter(is_run_event).collect();
    let now = report.record.events().filter(is_run_event);
    let parting = if recorded.last().is_some_and(ended) {
        determinism::first_divergence(recorded.iter().cloned(), now)
    } else {
        let recorded = &recorded[..recorded.len().saturating_sub(1)];
        determinism::first_divergence(recorded.iter().cloned(), now.take(recorded.len()))
    };
    match parting {
        Some(parting) => Err(Box::new(parting)),
        // The hashes differ, so only calls that a long record omits can differ.
        None if stored.omitted() > 0 && recorded.last().is_some_and(ended) => {
            Err(Box::new(DivergencePoint { number: stored.len(), before: Vec::new(), first: None, second: None }))
        }
        None => Ok(recorded.len() as u64),
    }
}

/// Says where a run differs from its record, and what may be the reason.
fn describe_difference(parting: &DivergencePoint) -> String {
    let location = match parting.at() {
        Some(at) => format!(
            "from event {} on, at {:.4} s:{}",
            parting.number,
            at.as_secs_f64(),
            parting.lines("recorded", "now")
        ),
        None => "in calls that the record omits".to_string(),
    };
    format!(
        "NOT the run that was recorded: it differs {location}\neither the code has changed, or it depends on something outside \
         of the simulation; run --twice finds that"
    )
}

/// Runs the failed runs of a results file again, in the order of the file.
fn replay_results(
    saved: &SavedResults,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    if saved.failed.is_empty() {
        writeln!(out, "no run in it failed")?;
        out.flush()?;
        return Ok(true);
    }
    let mut indexes = Vec::new();
    let mut list = Vec::new();
    for run in &saved.failed {
        let index = scenario_index(&run.scenario, &all).map_err(Error::Usage)?;
        let known = indexes.iter().position(|known| *known == index);
        let index_here = known.unwrap_or_else(|| {
            indexes.push(index);
            indexes.len() - 1
        });
        list.push((index_here, run.seed));
    }
    let with_cutoff = |scenario: Scenario| match saved.header.calm_from {
        Some(nanos) => scenario.with_fault_cutoff(Duration::from_nanos(nanos)),
        None => Ok(scenario),
    };
    let scenarios: Result<Vec<Scenario>, String> =
        indexes.into_iter().map(|index| with_cutoff(all[index].clone())).collect();
    let scenarios = scenarios.map_err(Error::Usage)?;
    let clock = Clock::from(saved.header.clock);
    if clock == Clock::Threads {
        write!(out, "{THREADS_NOTE}")?;
    }
    let plan = Plan::list(scenarios, clock, plan::default_jobs(clock), list);
    let progress = Progress::new(ProgressMode::Auto, &plan);
    let twice = saved.header.twice && clock == Clock::Simulated;
    let series =
        Series { plan: &plan, package, fail_fast: false, twice, hashes: false, progress, results: None, resume: None };
    series.run(out)
}

#[cfg(test)]
mod tests;

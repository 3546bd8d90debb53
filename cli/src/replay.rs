//! `replay`: runs again what did not pass, from the record of a run or from the saved results of many.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use record::file::{self, Stored};
use record::{Event, EventKind};
use tester::again::{self, Parting};
use tester::keep::interrupt;
use tester::{Clock, Report, Scenario, harness};

use crate::Error;
use crate::args::{ProgressName, ReplayArgs};
use crate::plan::{self, Plan};
use crate::progress::Progress;
use crate::results::{self, Saved};
use crate::series::Series;
use crate::summary::{self, Tally};

/// What is said of a replay on threads.
const ON_THREADS: &str = "threads cannot be replayed exactly: the seed is the same, and the run is another one\n\n";

/// The first byte of a record, which no text begins with.
const RECORD: u8 = 0x89;

/// Whether all passes now.
pub(crate) fn replay(
    args: &ReplayArgs,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let path = &args.file;
    let cannot = |why: String| Error::Usage(format!("cannot replay '{}': {why}", path.display()));
    if begins_as_a_record(path).map_err(|error| cannot(error.to_string()))? {
        let opened = File::open(path).map_err(file::ReadError::Input);
        let stored = opened.and_then(|input| file::read(BufReader::new(input)));
        let stored = stored.map_err(|error| cannot(error.to_string()))?;
        let run = Recorded::of(&stored, all).map_err(cannot)?;
        run.replay(&stored, package, out)
    } else {
        let text = fs::read(path).map_err(|error| cannot(error.to_string()))?;
        let saved = results::read(&String::from_utf8_lossy(&text)).map_err(cannot)?;
        replay_results(&saved, all, package, out).map_err(|error| match error {
            Error::Usage(why) => cannot(why),
            error => error,
        })
    }
}

fn begins_as_a_record(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(1).read_to_end(&mut first)?;
    Ok(first == [RECORD])
}

/// The scenario of that name, or why there is none.
fn place_of(name: &str, all: &[Scenario]) -> Result<usize, String> {
    let place = all.iter().position(|scenario| scenario.about.name == name);
    place.ok_or_else(|| format!("there is no scenario '{name}' here"))
}

/// The run of which there is a record.
pub(crate) struct Recorded {
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
}

impl Recorded {
    /// What its first events say.
    pub(crate) fn of(stored: &Stored, mut all: Vec<Scenario>) -> Result<Recorded, String> {
        let mut kinds = stored.events().map(|event| event.kind);
        let Some(EventKind::RunBegun { scenario, seed, simulated, .. }) = kinds.next() else {
            return Err("the record does not say which scenario it is of".to_string());
        };
        let mut scenario = all.swap_remove(place_of(&scenario, &all)?);
        if let Some(EventKind::CalmFrom { moment }) = kinds.next() {
            scenario = scenario.calm_from(Duration::from_nanos(moment))?;
        }
        Ok(Recorded { scenario, seed, clock: if simulated { Clock::Simulated } else { Clock::Threads } })
    }

    fn replay(self, stored: &Stored, package: &str, out: &mut impl Write) -> Result<bool, Error> {
        let Recorded { scenario, seed, clock } = self;
        if clock == Clock::Threads {
            write!(out, "{ON_THREADS}")?;
            out.flush()?;
        }
        interrupt::install();
        let begun = Instant::now();
        let failed = |report: &Report| !report.passed() && !harness::prints_events();
        let ended = harness::run_if(|| true, &scenario, clock, seed, failed, harness::print);
        let ended = ended.expect("it was to begin");
        let same = (clock == Clock::Simulated).then(|| compare(stored, ended.report()));
        // Files of the same run are there already.
        let may_keep = !matches!(same, Some(Ok(_)));
        ended.tell(may_keep, |report, kept| {
            write!(out, "{}{}", report.lines(), harness::below(&kept))?;
            let passed = report.passed();
            let mut tally = Tally::new(&scenario.about);
            tally.add(report, &kept, package);
            summary::write(&[tally], clock, begun.elapsed(), out)?;
            match same {
                None => {}
                Some(Ok(events)) => writeln!(out, "\nthe same run as recorded: all {events} events are equal")?,
                Some(Err(parting)) => writeln!(out, "\n{}", differs(&parting))?,
            }
            out.flush()?;
            Ok(passed)
        })
    }
}

/// How many events are equal, if all that was recorded of a run has happened again; else where it has not. Both may have
/// what the checker found, which depends on what was to be written, and is no part of the run. The record of a run that was
/// interrupted is the beginning of one.
fn compare(stored: &Stored, report: &Report) -> Result<u64, Box<Parting>> {
    if stored.hash() == report.hash() {
        return Ok(stored.len());
    }
    let of_the_run = |event: &Event| !matches!(event.kind, EventKind::Linearized { .. });
    let ended = |event: &Event| matches!(event.kind, EventKind::RunEnded { .. });
    let recorded: Vec<Event> = stored.events().filter(of_the_run).collect();
    let now = report.record.events().filter(of_the_run);
    let parting = if recorded.last().is_some_and(ended) {
        again::parting(recorded.iter().cloned(), now)
    } else {
        let recorded = &recorded[..recorded.len().saturating_sub(1)];
        again::parting(recorded.iter().cloned(), now.take(recorded.len()))
    };
    match parting {
        Some(parting) => Err(Box::new(parting)),
        // The hashes differ, and what is left out of long records is all that can.
        None if stored.omitted() > 0 && recorded.last().is_some_and(ended) => {
            Err(Box::new(Parting { number: stored.len(), before: Vec::new(), first: None, second: None }))
        }
        None => Ok(recorded.len() as u64),
    }
}

/// That a run is not the one that was recorded, and why that may be.
fn differs(parting: &Parting) -> String {
    let place = match parting.at() {
        Some(at) => format!(
            "from event {} on, at {:.4} s:{}",
            parting.number,
            at.as_secs_f64(),
            parting.lines("recorded", "now")
        ),
        None => "in calls that the record does not keep".to_string(),
    };
    format!(
        "NOT the run that was recorded: it differs {place}\neither the code has changed since, or it takes something from \
         outside of the simulation, which run --twice finds out"
    )
}

/// Runs again what did not pass, in the order in which it was written.
fn replay_results(saved: &Saved, all: Vec<Scenario>, package: &str, out: &mut impl Write) -> Result<bool, Error> {
    if saved.failed.is_empty() {
        writeln!(out, "nothing in it failed")?;
        out.flush()?;
        return Ok(true);
    }
    let mut places = Vec::new();
    let mut list = Vec::new();
    for run in &saved.failed {
        let place = place_of(&run.scenario, &all).map_err(Error::Usage)?;
        let known = places.iter().position(|known| *known == place);
        let here = known.unwrap_or_else(|| {
            places.push(place);
            places.len() - 1
        });
        list.push((here, run.seed));
    }
    let calm = |scenario: Scenario| match saved.head.calm_from {
        Some(nanos) => scenario.calm_from(Duration::from_nanos(nanos)),
        None => Ok(scenario),
    };
    let scenarios: Result<Vec<Scenario>, String> = places.into_iter().map(|place| calm(all[place].clone())).collect();
    let scenarios = scenarios.map_err(Error::Usage)?;
    let clock = Clock::from(saved.head.clock);
    if clock == Clock::Threads {
        write!(out, "{ON_THREADS}")?;
    }
    let plan = Plan::list(scenarios, clock, plan::default_jobs(clock), list);
    let progress = Progress::new(ProgressName::Auto, &plan);
    let twice = saved.head.twice && clock == Clock::Simulated;
    let series = Series { plan: &plan, package, fail_fast: false, twice, hashes: false, progress, results: None };
    series.run(out)
}

#[cfg(test)]
mod tests;

//! `compare`: the figures of a Go lab's output beside ours.
//!
//! - [`text`]: splits bytes into lines, and makes foreign text safe to print.
//! - [`line`]: classifies one line.
//! - [`parse`]: groups lines into tests.
//! - [`names`]: finds the scenario of a Go test; [`samples`]: collects the results of each scenario.
//! - [`ours`]: runs the same scenarios here.
//! - [`table`]: prints both side by side; [`notes`]: explains known differences.

mod cost;
mod line;
mod names;
mod notes;
mod ours;
mod parse;
mod samples;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tester::{Clock, Part, Scenario, ScenarioInfo, harness};

use crate::Error;
use crate::args::CompareArgs;

use self::names::{Catalogue, StageId};
use self::ours::OurRuns;
use self::samples::{GoOutcome, Sample, Samples};
use self::table::{Side, TableRow};
use self::text::{WIDTH, sanitized};

/// Size of the largest output that is read, in bytes.
const BYTES_MAX: u64 = 256 << 20;

/// Number of unreadable lines that are shown.
const OTHERS_MAX: usize = 50;

/// Default number of concurrent runs on threads. It may be large because the tester's gate holds runs back.
const JOBS_ON_THREADS: usize = 64;

/// Runs the scenarios of a Go output, and writes both results to `out`. Returns whether all our runs passed.
pub(crate) fn compare(
    args: &CompareArgs,
    all: Vec<Scenario>,
    package: &str,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let from_course: Vec<Scenario> = all.into_iter().filter(|scenario| scenario.info.from_course).collect();
    let catalogue = Catalogue(from_course.iter().map(|scenario| scenario.info.clone()).collect());
    let name = sanitized(&args.file.display().to_string(), WIDTH - 40);
    let samples = read(&read_bytes(&args.file, &name)?, &catalogue);
    if samples.rows.is_empty() {
        return Err(Error::Usage(nothing_to_compare(&name, &samples)));
    }
    let clock = Clock::from(args.clock);
    let runs =
        usize::try_from(args.runs.get()).map_err(|_| Error::Usage(format!("{} runs are too many", args.runs)))?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(
        match clock {
            Clock::Simulated => processors,
            Clock::Threads => JOBS_ON_THREADS,
        },
        |jobs| usize::from(jobs.get()),
    );
    let wanted = scenarios_of(&samples);
    let scenarios: Vec<&Scenario> = wanted.iter().map(|&number| &from_course[number]).collect();
    let ours = ours::run(&scenarios, clock, runs, jobs, package)?;
    let ours_of = |number: usize| wanted.iter().position(|&wanted| wanted == number).map(|index| &ours[index]);

    let how = how_ours_ran(package, clock, runs, processors);
    write_heading(&name, &samples, &catalogue, &how, out)?;
    let lines = lines(&samples, &catalogue, ours_of);
    write!(out, "{}", table::table(&lines))?;
    let abouts: Vec<&ScenarioInfo> = scenarios.iter().map(|scenario| &scenario.info).collect();
    for note in notes::notes(&abouts, &samples.editions) {
        writeln!(out, "{note}")?;
    }
    write_rest(&samples, &catalogue, out)?;
    for (about, ours) in abouts.iter().zip(&ours) {
        for not_passed in ours.not_passed.iter().take(1) {
            let (seed, text) = (not_passed.seed, &not_passed.text);
            write!(out, "\n{} {} with seed {seed}: {text}\n{}\n", about.name, not_passed.word, not_passed.closing)?;
        }
    }
    out.flush()?;
    Ok(ours.iter().all(|ours| ours.not_passed.is_empty()))
}

fn read_bytes(file: &Path, name: &str) -> Result<Vec<u8>, Error> {
    let read_error = |error: io::Error| Error::Usage(format!("cannot read '{name}': {error}"));
    let mut bytes = Vec::new();
    let input: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(read_error)?),
    };
    input.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Error::Usage(format!(
            "'{name}' has more than {} MB; keep the needed lines with grep -E '^(Test|===|---|  \\.\\.\\.)'",
            BYTES_MAX >> 20
        )));
    }
    Ok(bytes)
}

/// Reads the results that a Go output has of the scenarios of the catalogue.
fn read(bytes: &[u8], catalogue: &Catalogue) -> Samples {
    let output = parse::parse(&text::lines(bytes), |function, title| catalogue.begins(function, title));
    samples::classify(output, catalogue)
}

/// The error message for an output without a comparable test.
fn nothing_to_compare(name: &str, samples: &Samples) -> String {
    if let Some(first) = samples.unknown.keys().next() {
        let count = samples.unknown.len();
        return format!(
            "'{name}' has {count} tests, but none that this lab has, such as '{}'; it has parts 3A to 3D of 2024 and 2025, \
             and 4A and 4B of 2024",
            sanitized(first, 60)
        );
    }
    if let Some((number, line, _)) = samples.ambiguous.first() {
        return format!(
            "the titles in '{name}' are ambiguous: line {number} '{}'; use the output of go test -v, which has names",
            sanitized(line, 60)
        );
    }
    let first = samples.others.first();
    let found = first.map_or(String::new(), |(number, line)| format!("; line {number} is '{}'", sanitized(line, 50)));
    format!("'{name}' has no test of the lab; use the output of go test -v{found}")
}

/// The scenarios that an output has, in the order of the lab.
fn scenarios_of(samples: &Samples) -> Vec<usize> {
    let mut scenarios: Vec<usize> = samples.rows.keys().map(|row| row.scenario).collect();
    scenarios.dedup();
    scenarios
}

fn write_heading(
    name: &str,
    samples: &Samples,
    catalogue: &Catalogue,
    how: &str,
    out: &mut impl Write,
) -> Result<(), Error> {
    let years: Vec<&str> = samples.editions.iter().map(|edition| edition.year()).collect();
    let edition = match years[..] {
        [] => "edition unknown".to_string(),
        [year] => format!("{year} edition"),
        _ => format!("{} editions", years.join(" and ")),
    };
    let all: Vec<&Sample> = samples.rows.values().flatten().collect();
    let count = |is: fn(&GoOutcome) -> bool| all.iter().filter(|sample| is(&sample.outcome)).count();
    // A test of several stages has passed if its last stage has.
    let last = |row: &StageId| row.stage + 1 == catalogue.stages(row.scenario).len();
    let ends = samples.rows.iter().filter(|(row, _)| last(row)).flat_map(|(_, samples)| samples);
    let passed = ends.filter(|sample| sample.cost().is_some()).count();
    let failed = count(|outcome| matches!(outcome, GoOutcome::Failed));
    let no_end = count(|outcome| matches!(outcome, GoOutcome::NoEnd));
    write!(out, "Go:   {name}, {edition}: {passed} passed")?;
    for (count, what) in [(failed, "FAILED"), (no_end, "never ended")] {
        if count > 0 {
            write!(out, ", {count} {what}")?;
        }
    }
    writeln!(out, "\nours: {how}")?;
    if harness::disturbed_runs() > 0 {
        writeln!(out, "      {} runs were disturbed by a busy machine and repeated", harness::disturbed_runs())?;
    }
    writeln!(out, "Ratios are ours / Go. Better is below 1 for seconds, RPCs and bytes.\n")?;
    Ok(())
}

/// The heading's description of our runs.
fn how_ours_ran(package: &str, clock: Clock, runs: usize, processors: usize) -> String {
    let whose = match package.split(' ').next() {
        Some("raftlab") => format!("the reference (package {package})"),
        _ => format!("the code of package {package}"),
    };
    let clock = match clock {
        Clock::Simulated => "simulated (virtual time; a message takes 0.2 to 1 ms)",
        Clock::Threads => "on threads",
    };
    let of = if runs == 1 { "1 run".to_string() } else { format!("medians of {runs} runs") };
    format!("{whose}\n      {clock}, {of}, {processors} cores")
}

/// The rows of the table.
fn lines<'a>(
    samples: &Samples,
    catalogue: &Catalogue,
    ours_of: impl Fn(usize) -> Option<&'a OurRuns>,
) -> Vec<TableRow> {
    let line = |(row, of_go): (&StageId, &Vec<Sample>)| {
        let about = &catalogue.0[row.scenario];
        let stages = catalogue.stages(row.scenario);
        let (title, only) = (stages[row.stage], stages.len() == 1);
        let plain = about.name.strip_suffix(about.part.number()).unwrap_or(about.name).trim_end_matches('_');
        let name = if only { plain.to_string() } else { format!("{plain}: {title}") };
        let mut remarks: Vec<String> = go_remark(of_go).into_iter().collect();
        let ours = ours_of(row.scenario);
        let first = ours.and_then(|ours| Some((ours, ours.not_passed.first()?)));
        let side = match (first, ours.and_then(|ours| ours.cost(title, only))) {
            (Some((ours, first)), _) => {
                let many = if ours.runs > 1 {
                    format!(", {} of {} runs", ours.not_passed.len(), ours.runs)
                } else {
                    String::new()
                };
                let remark = format!("ours: {}, seed {}{many}: {}", first.word, first.seed, first.text);
                remarks.push(sanitized(&remark, WIDTH - 6));
                Side::None(first.word)
            }
            (None, Some(cost)) => Side::Cost(cost),
            (None, None) => Side::None("-"),
        };
        TableRow { part: about.part.number(), name, go_runs: of_go.len(), go: go_side(of_go), ours: side, remarks }
    };
    samples.rows.iter().map(line).collect()
}

fn word(outcome: &GoOutcome) -> &'static str {
    match outcome {
        GoOutcome::Passed(_) => "passed",
        GoOutcome::Failed => "FAILED",
        GoOutcome::NoEnd => "no end",
        GoOutcome::NoFigures => "none",
        GoOutcome::Skipped => "skipped",
    }
}

/// The medians of the passed Go runs; if no run passed, the outcome of the first.
fn go_side(samples: &[Sample]) -> Side {
    match samples::cost(samples) {
        Some(cost) => Side::Cost(cost),
        None => Side::None(samples.first().map_or("-", |sample| word(&sample.outcome))),
    }
}

/// A remark on the Go runs, if some did not pass.
fn go_remark(samples: &[Sample]) -> Option<String> {
    let wrong: Vec<&Sample> = samples.iter().filter(|sample| sample.cost().is_none()).collect();
    let first = wrong.first()?;
    let what = match first.outcome {
        GoOutcome::NoEnd => "never ended",
        GoOutcome::NoFigures => "passed, but its line of figures is missing",
        _ => word(&first.outcome),
    };
    let many = if samples.len() > 1 { format!(", {} of {} runs", wrong.len(), samples.len()) } else { String::new() };
    let (at, why) = match &first.reason {
        Some((line, reason)) => (*line, format!(": {reason}")),
        None => (first.line, String::new()),
    };
    Some(sanitized(&format!("Go: {what}{many}, line {at}{why}"), WIDTH - 6))
}

/// Writes the results that are not in the table: unknown tests and lines, ambiguous titles, and our scenarios that the
/// Go output lacks.
fn write_rest(samples: &Samples, catalogue: &Catalogue, out: &mut impl Write) -> Result<(), Error> {
    let has = scenarios_of(samples);
    let absent = |part: Part| {
        let of_part = |number: &usize| catalogue.0[*number].part == part;
        let all: Vec<usize> = (0..catalogue.0.len()).filter(of_part).collect();
        let missing: Vec<usize> = all.iter().copied().filter(|number| !has.contains(number)).collect();
        match missing.len() {
            0 => Vec::new(),
            many if many == all.len() => vec![part.number().to_string()],
            1..=3 => missing.iter().map(|&number| catalogue.0[number].name.to_string()).collect(),
            many => vec![format!("{many} of {}", part.number())],
        }
    };
    let absent: Vec<String> = Part::ALL.into_iter().flat_map(absent).collect();
    if !absent.is_empty() {
        writeln!(out, "not in the file: {}", absent.join(", "))?;
    }
    if !samples.unknown.is_empty() {
        writeln!(out, "\nGo tests that this lab does not have:")?;
        for (what, runs) in &samples.unknown {
            let how = match (samples::cost(runs), runs.first()) {
                (Some(cost), _) => format!("{:.1} s, {} RPCs", cost.seconds, cost.rpcs),
                (None, Some(sample)) => word(&sample.outcome).to_string(),
                (None, None) => String::new(),
            };
            writeln!(out, "  {} ({how})", sanitized(what, WIDTH - how.len() - 5))?;
        }
    }
    if !samples.ambiguous.is_empty() {
        writeln!(out, "\nTitles that two tests share, left out (go test -v prints the names):")?;
        for (number, title, pair) in &samples.ambiguous {
            let pair = pair.map(|one| catalogue.0[one].name);
            writeln!(out, "  line {number}: {}\n      {} or {}", sanitized(title, WIDTH - 20), pair[0], pair[1])?;
        }
    }
    if !samples.others.is_empty() {
        writeln!(out, "\nLines that belong neither to a test nor to go test:")?;
        for (number, line) in samples.others.iter().take(OTHERS_MAX) {
            let prefix = format!("  {number:>5}: ");
            writeln!(out, "{prefix}{}", sanitized(line, WIDTH - prefix.len()))?;
        }
        if let Some((number, _)) = samples.others.get(OTHERS_MAX) {
            let more = samples.others.len() - OTHERS_MAX;
            writeln!(out, "  and {more} more, from line {number} on")?;
        }
    }
    Ok(())
}

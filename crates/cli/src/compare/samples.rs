//! The results that a Go output has of each of our scenarios: the number of runs, their costs, and the reasons of
//! failures.

use std::collections::{BTreeMap, BTreeSet};

use super::cost::{Cost, medians};
use super::line::{Edition, GoStatus, Title};
use super::names::{Catalogue, StageId, TitleMatch};
use super::parse::{End, Output, Stage, Test};

/// The outcome of one run of a Go test.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GoOutcome {
    Passed(Cost),
    Failed,
    /// The output ends inside the test.
    NoEnd,
    /// The test passed, but the output does not have its figures.
    NoFigures,
    Skipped,
}

/// One run of a Go test, or of one of its stages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) line: usize,
    pub(super) outcome: GoOutcome,
    /// The reason of its failure, with the number of its line.
    pub(super) reason: Option<(usize, String)>,
}

/// All results of a Go output.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) rows: BTreeMap<StageId, Vec<Sample>>,
    pub(super) editions: BTreeSet<Edition>,
    /// Tests without a scenario here: their names, and their runs.
    pub(super) unknown: BTreeMap<String, Vec<Sample>>,
    /// Titles that two tests share.
    pub(super) ambiguous: Vec<(usize, String, [usize; 2])>,
    pub(super) others: Vec<(usize, String)>,
}

impl Sample {
    pub(super) fn cost(&self) -> Option<Cost> {
        if let GoOutcome::Passed(cost) = self.outcome { Some(cost) } else { None }
    }
}

/// Returns the medians of the passed runs.
pub(super) fn cost(samples: &[Sample]) -> Option<Cost> {
    medians(&samples.iter().filter_map(Sample::cost).collect::<Vec<_>>())
}

/// Assigns the tests of an output to scenarios.
pub(super) fn classify(output: Output, catalogue: &Catalogue) -> Samples {
    let mut samples = Samples { others: output.others, ..Samples::default() };
    for test in &output.tests {
        samples.editions.extend(test.stages.iter().filter_map(edition_of));
    }
    // A test without a title has the edition of the other tests.
    let usual = samples.editions.first().copied();
    let in_order = resolve_pairs_by_order(&output.tests, catalogue, usual);
    for (index, test) in output.tests.into_iter().enumerate() {
        let edition = test.stages.iter().find_map(edition_of).or(usual);
        let by_name = test.name.as_deref().map(|name| catalogue.by_name(name, edition));
        let outcomes = outcomes(&test, output.says_ends);
        let said = test.messages.first().cloned();
        let went_wrong = outcomes.iter().any(|outcome| matches!(outcome, GoOutcome::Failed | GoOutcome::NoEnd));
        // The first message of a failed test is its reason. All other messages are shown as other lines.
        samples.others.extend(test.messages.into_iter().skip(usize::from(went_wrong)));
        let sample = |line, outcome: GoOutcome| {
            let reason = said.clone().filter(|_| matches!(outcome, GoOutcome::Failed | GoOutcome::NoEnd));
            Sample { line, outcome, reason }
        };
        let Some(by_name) = by_name else {
            for (stage, outcome) in test.stages.iter().zip(outcomes) {
                let named = catalogue.by_title(&stage.title, edition);
                let row = match (named, in_order.get(&index)) {
                    (TitleMatch::One(row), _) => Some(row),
                    (TitleMatch::OneOf(_), Some(&scenario)) => Some(StageId { scenario, stage: 0 }),
                    (TitleMatch::OneOf(pair), None) => {
                        samples.ambiguous.push((stage.line, stage.title.line.clone(), pair));
                        continue;
                    }
                    (TitleMatch::Unknown, _) => None,
                };
                let sample = sample(stage.line, outcome);
                match row {
                    Some(row) => samples.rows.entry(row).or_default().push(sample),
                    None => samples.unknown.entry(stage.title.line.clone()).or_default().push(sample),
                }
            }
            continue;
        };
        let name = test.name.unwrap_or_default();
        let Some(scenario) = by_name else {
            let titles: Vec<&str> = test.stages.iter().map(|stage| stage.title.line.as_str()).collect();
            let what = if titles.is_empty() { name } else { format!("{name}: {}", titles.join("; ")) };
            let of_all = outcomes.into_iter().reduce(|all, next| if went_wrong_in(&all) { all } else { next });
            let all = of_all.map(|outcome| sample(test.line, outcome));
            samples.unknown.entry(what).or_default().extend(all);
            continue;
        };
        let mut expected = 0..catalogue.stages(scenario).len();
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let stage = match test.stages.get(number) {
                Some(stage) => catalogue.stage(scenario, &stage.title),
                None => expected.start.min(expected.end - 1),
            };
            let line = test.stages.get(number).map_or(test.line, |stage| stage.line);
            expected.start = stage + 1;
            let row = StageId { scenario, stage };
            // The test failed after its last stage had passed, and the scenario has a further stage: that stage failed.
            if matches!(outcome, GoOutcome::Failed | GoOutcome::NoEnd)
                && let Some((_, cost)) = test.stages.get(number).and_then(|stage| stage.passed)
                && expected.start < expected.end
            {
                samples.rows.entry(row).or_default().push(sample(line, GoOutcome::Passed(cost)));
                let next = StageId { scenario, stage: expected.start };
                samples.rows.entry(next).or_default().push(sample(line, outcome));
            } else {
                samples.rows.entry(row).or_default().push(sample(line, outcome));
            }
        }
    }
    samples.others.sort_by_key(|&(line, _)| line);
    samples
}

fn went_wrong_in(outcome: &GoOutcome) -> bool {
    !matches!(outcome, GoOutcome::Passed(_) | GoOutcome::Skipped)
}

fn edition_of(stage: &Stage) -> Option<Edition> {
    stage.title.edition.or(stage.passed.map(|(edition, _)| edition))
}

/// Returns the outcome of each stage of a test; for a test without stages, the outcome of the whole test.
fn outcomes(test: &Test, says_ends: bool) -> Vec<GoOutcome> {
    let mut outcomes: Vec<GoOutcome> = Vec::new();
    let (last, before) = match test.stages.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &[][..]),
    };
    for stage in before {
        outcomes.push(match stage.passed {
            Some((_, cost)) => GoOutcome::Passed(cost),
            None if test.end == End::Said(GoStatus::Pass) => GoOutcome::NoFigures,
            None => GoOutcome::Failed,
        });
    }
    let cost = last.and_then(|stage| stage.passed).map(|(_, cost)| cost);
    let named = test.name.is_some();
    outcomes.push(match (test.end, cost) {
        (End::Said(GoStatus::Fail), _) => GoOutcome::Failed,
        (End::Said(GoStatus::Skip), _) => GoOutcome::Skipped,
        (End::Said(GoStatus::Pass), None) => GoOutcome::NoFigures,
        // With -v every test says how it ended. A test without that line hangs in its last stage.
        (End::Open | End::Panicked { .. }, Some(_)) if named && says_ends => GoOutcome::NoEnd,
        (_, Some(cost)) => GoOutcome::Passed(cost),
        (End::Panicked { timed_out: false }, None) => GoOutcome::Failed,
        (End::Next, None) if !named => GoOutcome::Failed,
        (End::Open | End::Next | End::Panicked { .. }, None) => GoOutcome::NoEnd,
    });
    outcomes
}

/// Resolves shared titles of tests without a name by their order. Two tests in a row with the same title are the one
/// over a reliable network and then the one over an unreliable network. This holds only if the output has other tests
/// as well.
fn resolve_pairs_by_order(tests: &[Test], catalogue: &Catalogue, usual: Option<Edition>) -> BTreeMap<usize, usize> {
    let pair = |index: usize| {
        let test = tests.get(index).filter(|test| test.name.is_none())?;
        let title: &Title = &test.stages.first()?.title;
        let edition = test.stages.first().and_then(edition_of).or(usual);
        match catalogue.by_title(title, edition) {
            TitleMatch::OneOf(pair) => Some(pair),
            _ => None,
        }
    };
    let mut found = BTreeMap::new();
    let mut index = 0;
    while index < tests.len() {
        let Some(of) = pair(index) else {
            index += 1;
            continue;
        };
        let many = (index..tests.len()).take_while(|&next| pair(next) == Some(of)).count();
        if many == 2 && tests.len() > 2 {
            found.extend([(index, of[0]), (index + 1, of[1])]);
        }
        index += many;
    }
    found
}

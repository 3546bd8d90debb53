//! What a Go output has of each of our scenarios: how often it ran, what it cost, and where it went wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::cost::{Cost, medians};
use super::line::{Edition, Title, Word};
use super::names::{Catalogue, Named, Row};
use super::parse::{End, Output, Stage, Test};

/// How one run of a Go test went.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Passed(Cost),
    Failed,
    /// The output ends within it.
    NoEnd,
    /// It passed, and its figures are not there.
    NoFigures,
    Skipped,
}

/// A run of a Go test, or of a stage of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) line: usize,
    pub(super) outcome: Outcome,
    /// What it said of its failure, and in which line.
    pub(super) reason: Option<(usize, String)>,
}

/// All that a Go output says.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) rows: BTreeMap<Row, Vec<Sample>>,
    pub(super) editions: BTreeSet<Edition>,
    /// Tests that are not here: what they are called, and their runs.
    pub(super) unknown: BTreeMap<String, Vec<Sample>>,
    /// Titles that may be of two tests.
    pub(super) ambiguous: Vec<(usize, String, [usize; 2])>,
    pub(super) others: Vec<(usize, String)>,
}

impl Sample {
    pub(super) fn cost(&self) -> Option<Cost> {
        if let Outcome::Passed(cost) = self.outcome { Some(cost) } else { None }
    }
}

/// The medians of what passed.
pub(super) fn cost(samples: &[Sample]) -> Option<Cost> {
    medians(&samples.iter().filter_map(Sample::cost).collect::<Vec<_>>())
}

/// Finds out what the tests of an output are.
pub(super) fn sort(output: Output, catalogue: &Catalogue) -> Samples {
    let mut samples = Samples { others: output.others, ..Samples::default() };
    for test in &output.tests {
        samples.editions.extend(test.stages.iter().filter_map(edition_of));
    }
    // A test that has no title is of the edition of the others.
    let usual = samples.editions.first().copied();
    let in_order = twins_in_order(&output.tests, catalogue, usual);
    for (place, test) in output.tests.into_iter().enumerate() {
        let edition = test.stages.iter().find_map(edition_of).or(usual);
        let by_name = test.name.as_deref().map(|name| catalogue.by_name(name, edition));
        let outcomes = outcomes(&test, output.says_ends);
        let said = test.messages.first().cloned();
        let went_wrong = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed | Outcome::NoEnd));
        // Whoever fails says why; what else is said is shown as it is.
        samples.others.extend(test.messages.into_iter().skip(usize::from(went_wrong)));
        let sample = |line, outcome: Outcome| {
            let reason = said.clone().filter(|_| matches!(outcome, Outcome::Failed | Outcome::NoEnd));
            Sample { line, outcome, reason }
        };
        let Some(by_name) = by_name else {
            for (stage, outcome) in test.stages.iter().zip(outcomes) {
                let named = catalogue.by_title(&stage.title, edition);
                let row = match (named, in_order.get(&place)) {
                    (Named::One(row), _) => Some(row),
                    (Named::OneOf(_), Some(&scenario)) => Some(Row { scenario, stage: 0 }),
                    (Named::OneOf(twins), None) => {
                        samples.ambiguous.push((stage.line, stage.title.line.clone(), twins));
                        continue;
                    }
                    (Named::Unknown, _) => None,
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
            let row = Row { scenario, stage };
            // It failed when its last stage had passed, and there is a further one.
            if matches!(outcome, Outcome::Failed | Outcome::NoEnd)
                && let Some((_, cost)) = test.stages.get(number).and_then(|stage| stage.passed)
                && expected.start < expected.end
            {
                samples.rows.entry(row).or_default().push(sample(line, Outcome::Passed(cost)));
                let next = Row { scenario, stage: expected.start };
                samples.rows.entry(next).or_default().push(sample(line, outcome));
            } else {
                samples.rows.entry(row).or_default().push(sample(line, outcome));
            }
        }
    }
    samples.others.sort_by_key(|&(line, _)| line);
    samples
}

fn went_wrong_in(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Passed(_) | Outcome::Skipped)
}

fn edition_of(stage: &Stage) -> Option<Edition> {
    stage.title.edition.or(stage.passed.map(|(edition, _)| edition))
}

/// How each stage of a test went; of a test without any, how it went as a whole.
fn outcomes(test: &Test, says_ends: bool) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let (last, before) = match test.stages.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &[][..]),
    };
    for stage in before {
        outcomes.push(match stage.passed {
            Some((_, cost)) => Outcome::Passed(cost),
            None if test.end == End::Said(Word::Pass) => Outcome::NoFigures,
            None => Outcome::Failed,
        });
    }
    let cost = last.and_then(|stage| stage.passed).map(|(_, cost)| cost);
    let named = test.name.is_some();
    outcomes.push(match (test.end, cost) {
        (End::Said(Word::Fail), _) => Outcome::Failed,
        (End::Said(Word::Skip), _) => Outcome::Skipped,
        (End::Said(Word::Pass), None) => Outcome::NoFigures,
        // With -v every test says how it ended: one that does not hangs in what it does last.
        (End::Open | End::Panicked { .. }, Some(_)) if named && says_ends => Outcome::NoEnd,
        (_, Some(cost)) => Outcome::Passed(cost),
        (End::Panicked { timed_out: false }, None) => Outcome::Failed,
        (End::Next, None) if !named => Outcome::Failed,
        (End::Open | End::Next | End::Panicked { .. }, None) => Outcome::NoEnd,
    });
    outcomes
}

/// The tests without a name whose title is one of two tests', and of which the order says which: two in a row, the first over
/// a reliable network, in an output that has other tests beside them.
fn twins_in_order(tests: &[Test], catalogue: &Catalogue, usual: Option<Edition>) -> BTreeMap<usize, usize> {
    let twins = |place: usize| {
        let test = tests.get(place).filter(|test| test.name.is_none())?;
        let title: &Title = &test.stages.first()?.title;
        let edition = test.stages.first().and_then(edition_of).or(usual);
        match catalogue.by_title(title, edition) {
            Named::OneOf(twins) => Some(twins),
            _ => None,
        }
    };
    let mut found = BTreeMap::new();
    let mut place = 0;
    while place < tests.len() {
        let Some(of) = twins(place) else {
            place += 1;
            continue;
        };
        let many = (place..tests.len()).take_while(|&next| twins(next) == Some(of)).count();
        if many == 2 && tests.len() > 2 {
            found.extend([(place, of[0]), (place + 1, of[1])]);
        }
        place += many;
    }
    found
}

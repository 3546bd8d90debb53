use std::collections::BTreeSet;
use std::convert::Infallible;

use super::*;

/// A model of runs: for each seed the times of its faults, and the time of its failure with all of them. No other seed
/// fails.
struct ModelRuns {
    seeds: BTreeMap<u64, (Vec<u32>, u64)>,
    /// Number of faults that the failure needs; these are the first ones.
    needs: BTreeMap<u64, usize>,
    tried: Vec<Candidate>,
}

impl ModelRuns {
    fn new(seeds: impl IntoIterator<Item = (u64, Vec<u32>, u64, usize)>) -> ModelRuns {
        let mut model = ModelRuns { seeds: BTreeMap::new(), needs: BTreeMap::new(), tried: Vec::new() };
        for (seed, moments, seconds, needs) in seeds {
            model.seeds.insert(seed, (moments, seconds));
            model.needs.insert(seed, needs);
        }
        model
    }

    fn outcome(&self, candidate: Candidate) -> Option<FailingRun> {
        let (moments, seconds) = self.seeds.get(&candidate.seed)?;
        let happens = |at: &&u32| candidate.calm_from.is_none_or(|calm| Duration::from_millis(u64::from(**at)) < calm);
        let left: Vec<u32> = moments.iter().filter(happens).copied().collect();
        let size = Size { faults: left.len() as u64, lost: 0, at: Duration::from_secs(*seconds), events: 100 };
        (left.len() >= self.needs[&candidate.seed]).then_some(FailingRun { size, moments: left, hash: candidate.seed })
    }

    fn search(&mut self, seed: u64, tries: usize, can_cut_faults: bool) -> SearchResult {
        let first = Candidate { seed, calm_from: None };
        let failing = self.outcome(first).expect("the given run fails");
        let mut tried = Vec::new();
        let found = search((first, failing), tries, can_cut_faults, |candidates, _, _| {
            tried.extend(candidates.iter().copied());
            Ok::<_, Infallible>(candidates.iter().map(|&candidate| self.outcome(candidate)).collect())
        });
        self.tried.extend(tried);
        let Ok(found) = found;
        found
    }
}

fn every(step_ms: u32, count: usize) -> Vec<u32> {
    (1..=count as u32).map(|number| number * step_ms).collect()
}

#[test]
fn the_earliest_sufficient_cutoff_is_found_in_few_runs() {
    let mut model = ModelRuns::new([(42, every(10, 1000), 30, 137)]);
    let found = model.search(42, 90, true);
    assert_eq!(found.size.faults, 137);
    assert_eq!(found.best, Candidate { seed: 42, calm_from: Some(Duration::from_millis(1380)) });
    assert!(found.counts.cutoffs <= 45, "{:?}", found.counts);
}

#[test]
fn a_neighbour_that_needs_fewer_faults_is_found() {
    let mut model =
        ModelRuns::new([(42, every(10, 100), 30, 90), (37, every(10, 120), 30, 7), (50, every(10, 80), 30, 60)]);
    let found = model.search(42, 200, true);
    assert_eq!((found.best.seed, found.size.faults), (37, 7));
    assert_eq!((found.counts.seeds, found.counts.seeds_failing), (100, 3));
}

#[test]
fn with_equal_faults_the_earlier_failure_is_shorter() {
    let mut model = ModelRuns::new([(42, every(10, 5), 30, 5), (43, every(10, 5), 12, 5), (41, every(10, 5), 13, 5)]);
    assert_eq!(model.search(42, 50, true).best, Candidate { seed: 43, calm_from: None });
}

#[test]
fn the_given_run_is_the_best_if_nothing_is_shorter() {
    let mut model = ModelRuns::new([(42, every(10, 5), 30, 5)]);
    let found = model.search(42, 50, true);
    assert_eq!(found.best, Candidate { seed: 42, calm_from: None });
    assert_eq!(found.counts.cutoffs_failing, 0);
}

#[test]
fn the_remaining_tries_go_to_skipped_cutoffs() {
    // Only one cutoff apart from the end is sufficient, and no division of an interval hits it.
    let (first, moments) = (Candidate { seed: 42, calm_from: None }, every(10, 300));
    let size = |faults| Size { faults, lost: 0, at: Duration::from_secs(1), events: 1 };
    let failing = |faults| FailingRun { size: size(faults), moments: every(10, 300), hash: 0 };
    let only_cutoff = Duration::from_millis(moments[17].into());
    let found = search((first, failing(300)), 400, true, |candidates, _, _| {
        let outcome = |candidate: &Candidate| (candidate.calm_from == Some(only_cutoff)).then(|| failing(17));
        Ok::<_, Infallible>(candidates.iter().map(outcome).collect())
    });
    let Ok(found) = found;
    assert_eq!(found.best.calm_from, Some(only_cutoff));
}

#[test]
fn no_run_is_tried_twice_or_beyond_the_limit() {
    for tries in [1, 2, 7, 33, 64, 500] {
        for can_cut_faults in [true, false] {
            let near = |seed| (seed, every(7, 400), 30, (seed % 50) as usize);
            let mut model = ModelRuns::new((0..600).map(near));
            let found = model.search(20, tries, can_cut_faults);
            assert_eq!(model.tried.len() + 1, found.counts.all());
            assert!(found.counts.all() <= tries, "{} of {tries}", found.counts.all());
            assert!(can_cut_faults || found.counts.cutoffs == 0);
            let different: BTreeSet<Candidate> = model.tried.iter().copied().collect();
            assert_eq!(different.len(), model.tried.len(), "with {tries}");
        }
    }
}

#[test]
fn seeds_are_tried_nearest_first_within_their_range() {
    assert_eq!(around(2).take(6).collect::<Vec<_>>(), [3, 1, 4, 0, 5, 6]);
    assert_eq!(around(u64::MAX).take(2).collect::<Vec<_>>(), [u64::MAX - 1, u64::MAX - 2]);
}

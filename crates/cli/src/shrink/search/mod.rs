//! The search for the shortest run. It decides which runs to try next, given the outcomes of earlier runs.
//!
//! Half of the runs try neighbouring seeds with all their faults. The other half takes the best seeds that fail in the
//! same way, and tries each with an earlier and earlier end of its faults (a cutoff). Up to its cutoff, a run is the
//! same as the run with all its faults. So only the times of its faults matter as cutoffs, and the search looks for the
//! earliest cutoff with which the run still fails. The question is not monotonic, because one fault less may change
//! everything after it. Therefore an interval is not halved but divided by several cutoffs at once. Remaining runs try
//! the cutoffs that were skipped.
//!
//! The search depends only on the outcomes, not on the number of concurrent runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::size::Size;

/// Number of neighbouring seeds that are tried at once.
const SEEDS_PER_STEP: usize = 32;

/// Number of cutoffs that divide an interval.
const CUTOFFS_PER_STEP: usize = 8;

/// A run to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) seed: u64,
    /// The cutoff: the time at which all faults end.
    pub(super) calm_from: Option<Duration>,
}

/// The measurements of a run that fails in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailingRun {
    pub(super) size: Size,
    /// The times of its faults and losses, in milliseconds, sorted.
    pub(super) moments: Vec<u32>,
    /// The hash of its record.
    pub(super) hash: u64,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SearchResult {
    /// The shortest run; the given run if none is shorter.
    pub(super) best: Candidate,
    pub(super) size: Size,
    pub(super) hash: u64,
    pub(super) counts: TryCounts,
}

/// The numbers of tried runs, and of those that fail in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TryCounts {
    /// The given run is the first.
    pub(super) seeds: usize,
    pub(super) seeds_failing: usize,
    pub(super) cutoffs: usize,
    pub(super) cutoffs_failing: usize,
}

impl TryCounts {
    /// The number of all runs.
    pub(super) fn all(&self) -> usize {
        self.seeds + self.cutoffs
    }
}

/// Searches for the shortest run, with at most `tries` runs, the given run included. `run_all` runs candidates. It
/// returns an outcome for each, in order; `None` if the run does not fail in the same way. Cutoffs are tried only if
/// the scenario works without its faults (`can_cut_faults`).
pub(super) fn search<E>(
    given: (Candidate, FailingRun),
    tries: usize,
    can_cut_faults: bool,
    run_all: impl FnMut(&[Candidate], &TryCounts, &Size) -> Result<Vec<Option<FailingRun>>, E>,
) -> Result<SearchResult, E> {
    let (first, failing) = given;
    let mut search = Search { run_all, tries, counts: TryCounts::default(), best: (failing.size, first, failing.hash) };
    search.count(first, true);
    let mut seed_runs =
        search.search_neighbours(first, failing, if can_cut_faults { tries.div_ceil(2) } else { tries })?;
    if can_cut_faults {
        search.search_cutoffs(&mut seed_runs)?;
    }
    let (size, best, hash) = search.best;
    Ok(SearchResult { best, size, hash, counts: search.counts })
}

struct Search<A> {
    run_all: A,
    tries: usize,
    counts: TryCounts,
    best: (Size, Candidate, u64),
}

/// A seed with all its faults. `sufficient` is the index of its earliest cutoff that is known to fail.
struct SeedRun {
    size: Size,
    seed: u64,
    moments: Vec<u32>,
    sufficient: usize,
    tried: BTreeMap<usize, bool>,
}

impl<E, A: FnMut(&[Candidate], &TryCounts, &Size) -> Result<Vec<Option<FailingRun>>, E>> Search<A> {
    fn remaining(&self, limit: usize) -> usize {
        limit.saturating_sub(self.counts.all())
    }

    fn count(&mut self, candidate: Candidate, fails: bool) {
        let counts = &mut self.counts;
        let (tried, failing) = match candidate.calm_from {
            None => (&mut counts.seeds, &mut counts.seeds_failing),
            Some(_) => (&mut counts.cutoffs, &mut counts.cutoffs_failing),
        };
        *tried += 1;
        *failing += usize::from(fails);
    }

    /// Runs these candidates, and remembers the shortest failing run so far.
    fn try_all(&mut self, candidates: &[Candidate]) -> Result<Vec<Option<FailingRun>>, E> {
        let outcomes = (self.run_all)(candidates, &self.counts, &self.best.0)?;
        for (&candidate, outcome) in candidates.iter().zip(&outcomes) {
            self.count(candidate, outcome.is_some());
            if let Some(FailingRun { size, hash, .. }) = outcome
                && *size < self.best.0
            {
                self.best = (*size, candidate, *hash);
            }
        }
        Ok(outcomes)
    }

    /// Tries the seeds around the given one, until `until` runs were made in all. Returns the seeds that fail in the
    /// same way, the shortest run first.
    fn search_neighbours(&mut self, first: Candidate, failing: FailingRun, until: usize) -> Result<Vec<SeedRun>, E> {
        let seed_run = |seed, FailingRun { size, moments, .. }: FailingRun| {
            let sufficient = moments.len();
            SeedRun { size, seed, moments, sufficient, tried: BTreeMap::new() }
        };
        let mut seed_runs = Vec::new();
        // If the given run has a cutoff already, an earlier cutoff gives the same run as without it.
        seed_runs.push(seed_run(first.seed, failing));
        let mut seeds = around(first.seed);
        loop {
            let count = SEEDS_PER_STEP.min(self.remaining(until));
            let batch: Vec<Candidate> =
                seeds.by_ref().take(count).map(|seed| Candidate { seed, calm_from: None }).collect();
            if batch.is_empty() {
                break;
            }
            let outcomes = self.try_all(&batch)?;
            for (candidate, outcome) in batch.iter().zip(outcomes) {
                seed_runs.extend(outcome.map(|failing| seed_run(candidate.seed, failing)));
            }
        }
        seed_runs.sort_by_key(|seed_run| seed_run.size);
        Ok(seed_runs)
    }

    /// Searches the cutoffs of each seed, as long as runs are left; then tries the skipped cutoffs.
    fn search_cutoffs(&mut self, seed_runs: &mut [SeedRun]) -> Result<(), E> {
        for seed_run in seed_runs.iter_mut() {
            self.narrow_cutoff(seed_run)?;
        }
        // The index of the sufficient cutoff is the number of faults before it: the fewest come first.
        seed_runs.sort_by_key(|seed_run| seed_run.sufficient);
        for seed_run in seed_runs {
            let mut cutoff = 0;
            while cutoff < seed_run.sufficient && self.remaining(self.tries) > 0 {
                let cutoffs: Vec<usize> = (cutoff..seed_run.sufficient)
                    .filter(|cutoff| !seed_run.tried.contains_key(cutoff))
                    .take(CUTOFFS_PER_STEP.min(self.remaining(self.tries)))
                    .collect();
                let Some(&last) = cutoffs.last() else { break };
                self.try_cutoffs(seed_run, &cutoffs)?;
                cutoff = last + 1;
            }
        }
        Ok(())
    }

    /// Searches for the earliest sufficient cutoff by dividing the interval repeatedly.
    fn narrow_cutoff(&mut self, seed_run: &mut SeedRun) -> Result<(), E> {
        let mut from = 0;
        while from < seed_run.sufficient {
            let (width, parts) = (seed_run.sufficient - from, CUTOFFS_PER_STEP.min(self.remaining(self.tries)));
            if parts == 0 {
                break;
            }
            let cutoffs: Vec<usize> = if width <= parts {
                (from..seed_run.sufficient).collect()
            } else {
                (1..=parts).map(|part| from + width * part / (parts + 1)).collect()
            };
            let fails = self.try_cutoffs(seed_run, &cutoffs)?;
            from = match fails.iter().position(|&fails| fails) {
                Some(0) => from,
                Some(first) => cutoffs[first - 1] + 1,
                None => cutoffs[cutoffs.len() - 1] + 1,
            };
        }
        Ok(())
    }

    /// Returns which of these cutoffs are sufficient.
    fn try_cutoffs(&mut self, seed_run: &mut SeedRun, cutoffs: &[usize]) -> Result<Vec<bool>, E> {
        let moment = |cutoff: usize| Duration::from_millis(seed_run.moments[cutoff].into());
        let candidate = |&cutoff: &usize| Candidate { seed: seed_run.seed, calm_from: Some(moment(cutoff)) };
        let candidates: Vec<Candidate> = cutoffs.iter().map(candidate).collect();
        let outcomes = self.try_all(&candidates)?;
        let fails: Vec<bool> = outcomes.iter().map(Option::is_some).collect();
        seed_run.tried.extend(cutoffs.iter().copied().zip(fails.iter().copied()));
        if let Some(first) = fails.iter().position(|&fails| fails) {
            seed_run.sufficient = seed_run.sufficient.min(cutoffs[first]);
        }
        Ok(fails)
    }
}

/// The seeds around this one, the nearest first, without itself.
fn around(seed: u64) -> impl Iterator<Item = u64> {
    (1..=u64::MAX).flat_map(move |steps| [seed.checked_add(steps), seed.checked_sub(steps)]).flatten()
}

#[cfg(test)]
mod tests;

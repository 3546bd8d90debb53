//! The search for the shortest run: which runs are tried, one after the other, given what came of those before.
//!
//! Half of the runs go to neighbouring seeds, with all their faults. The other half goes to the best of those that fail in the
//! same way, each with fewer and fewer faults: up to a moment a run whose faults end there is the same as the one whose faults
//! go on, so that of one run the moments matter at which something went wrong, and the earliest is looked for with which it
//! still fails. That is no monotonous question (a fault less may change everything after it), so that the interval is not
//! halved, but divided by several moments at once; and whatever runs are left over try the moments that were passed over.
//!
//! What is tried depends on nothing but the answers: not on how many runs are made at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::size::Size;

/// How many neighbours are asked about at once.
const AT_ONCE: usize = 32;

/// How many moments divide an interval.
const MOMENTS: usize = 8;

/// A run to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) seed: u64,
    /// From when on nothing goes wrong any more.
    pub(super) calm_from: Option<Duration>,
}

/// What is known of a run that fails in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    pub(super) size: Size,
    /// The moments at which something went wrong, in milliseconds, in order.
    pub(super) moments: Vec<u32>,
    /// The hash of its record.
    pub(super) hash: u64,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The shortest run; if nothing is shorter, the given one.
    pub(super) best: Candidate,
    pub(super) size: Size,
    pub(super) hash: u64,
    pub(super) counts: Counts,
}

/// How many runs were tried, and how many of them fail in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The given one is the first.
    pub(super) seeds: usize,
    pub(super) seeds_failing: usize,
    pub(super) calm: usize,
    pub(super) calm_failing: usize,
}

impl Counts {
    /// All runs.
    pub(super) fn all(&self) -> usize {
        self.seeds + self.calm
    }
}

/// Looks for the shortest run, beginning with `given`, and with no more than `tries` runs, that one included. `ask` makes runs:
/// it has an answer for each, in order, and none for those that do not fail in the same way. Runs whose faults end are tried
/// if the story can do without (`can_be_calm`).
pub(super) fn search<E>(
    given: (Candidate, Failing),
    tries: usize,
    can_be_calm: bool,
    ask: impl FnMut(&[Candidate], &Counts, &Size) -> Result<Vec<Option<Failing>>, E>,
) -> Result<Found, E> {
    let (first, failing) = given;
    let mut search = Search { ask, tries, counts: Counts::default(), best: (failing.size, first, failing.hash) };
    search.count(first, true);
    let mut bases = search.neighbours(first, failing, if can_be_calm { tries.div_ceil(2) } else { tries })?;
    if can_be_calm {
        search.truncate_all(&mut bases)?;
    }
    let (size, best, hash) = search.best;
    Ok(Found { best, size, hash, counts: search.counts })
}

struct Search<A> {
    ask: A,
    tries: usize,
    counts: Counts,
    best: (Size, Candidate, u64),
}

/// A run with all its faults, and the earliest of its moments, as a place among them, that is known to be enough.
struct Base {
    size: Size,
    seed: u64,
    moments: Vec<u32>,
    enough: usize,
    asked: BTreeMap<usize, bool>,
}

impl<E, A: FnMut(&[Candidate], &Counts, &Size) -> Result<Vec<Option<Failing>>, E>> Search<A> {
    fn left(&self, of: usize) -> usize {
        of.saturating_sub(self.counts.all())
    }

    fn count(&mut self, candidate: Candidate, fails: bool) {
        let counts = &mut self.counts;
        let (tried, failing) = match candidate.calm_from {
            None => (&mut counts.seeds, &mut counts.seeds_failing),
            Some(_) => (&mut counts.calm, &mut counts.calm_failing),
        };
        *tried += 1;
        *failing += usize::from(fails);
    }

    /// Asks about these, and notes what is shorter than everything before.
    fn try_all(&mut self, candidates: &[Candidate]) -> Result<Vec<Option<Failing>>, E> {
        let answers = (self.ask)(candidates, &self.counts, &self.best.0)?;
        for (&candidate, answer) in candidates.iter().zip(&answers) {
            self.count(candidate, answer.is_some());
            if let Some(Failing { size, hash, .. }) = answer
                && *size < self.best.0
            {
                self.best = (*size, candidate, *hash);
            }
        }
        Ok(answers)
    }

    /// The seeds around the given one, until there have been so many runs in all. Returns those that fail in the same way, the
    /// shortest first.
    fn neighbours(&mut self, first: Candidate, failing: Failing, until: usize) -> Result<Vec<Base>, E> {
        let base = |seed, Failing { size, moments, .. }: Failing| {
            let enough = moments.len();
            Base { size, seed, moments, enough, asked: BTreeMap::new() }
        };
        let mut bases = Vec::new();
        // If the given run is one whose faults end already, those that end earlier are all the same.
        bases.push(base(first.seed, failing));
        let mut seeds = around(first.seed);
        loop {
            let count = AT_ONCE.min(self.left(until));
            let batch: Vec<Candidate> =
                seeds.by_ref().take(count).map(|seed| Candidate { seed, calm_from: None }).collect();
            if batch.is_empty() {
                break;
            }
            let answers = self.try_all(&batch)?;
            for (candidate, answer) in batch.iter().zip(answers) {
                bases.extend(answer.map(|failing| base(candidate.seed, failing)));
            }
        }
        bases.sort_by_key(|base| base.size);
        Ok(bases)
    }

    /// Each of `bases` with fewer faults, as long as there are runs left; then what was passed over.
    fn truncate_all(&mut self, bases: &mut [Base]) -> Result<(), E> {
        for base in bases.iter_mut() {
            self.divide(base)?;
        }
        // How many moments are enough says how much went wrong before: the fewest first.
        bases.sort_by_key(|base| base.enough);
        for base in bases {
            let mut place = 0;
            while place < base.enough && self.left(self.tries) > 0 {
                let places: Vec<usize> = (place..base.enough)
                    .filter(|place| !base.asked.contains_key(place))
                    .take(MOMENTS.min(self.left(self.tries)))
                    .collect();
                let Some(&last) = places.last() else { break };
                self.ask_about(base, &places)?;
                place = last + 1;
            }
        }
        Ok(())
    }

    /// Looks for the earliest moment that is enough, with the interval divided again and again.
    fn divide(&mut self, base: &mut Base) -> Result<(), E> {
        let mut from = 0;
        while from < base.enough {
            let (width, parts) = (base.enough - from, MOMENTS.min(self.left(self.tries)));
            if parts == 0 {
                break;
            }
            let places: Vec<usize> = if width <= parts {
                (from..base.enough).collect()
            } else {
                (1..=parts).map(|part| from + width * part / (parts + 1)).collect()
            };
            let fails = self.ask_about(base, &places)?;
            from = match fails.iter().position(|&fails| fails) {
                Some(0) => from,
                Some(first) => places[first - 1] + 1,
                None => places[places.len() - 1] + 1,
            };
        }
        Ok(())
    }

    /// Which of these moments are enough.
    fn ask_about(&mut self, base: &mut Base, places: &[usize]) -> Result<Vec<bool>, E> {
        let moment = |place: usize| Duration::from_millis(base.moments[place].into());
        let candidate = |&place: &usize| Candidate { seed: base.seed, calm_from: Some(moment(place)) };
        let candidates: Vec<Candidate> = places.iter().map(candidate).collect();
        let answers = self.try_all(&candidates)?;
        let fails: Vec<bool> = answers.iter().map(Option::is_some).collect();
        base.asked.extend(places.iter().copied().zip(fails.iter().copied()));
        if let Some(first) = fails.iter().position(|&fails| fails) {
            base.enough = base.enough.min(places[first]);
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

//! Verdicts, and the fair division of a budget among partitions.

use std::fmt::{self, Display, Formatter};

use crate::search::Examine;

/// How many steps a partition is given at a time.
const SLICE_STEPS: u64 = 1 << 12;

/// What is known of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is linearizable.
    Ok,
    /// It is not linearizable.
    Illegal,
    /// The budget was not enough to decide.
    Unknown,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Ok => "linearizable",
            Verdict::Illegal => "not linearizable",
            Verdict::Unknown => "not decided",
        })
    }
}

impl Verdict {
    /// The verdict on a history from those on its partitions: one illegal partition makes it illegal, whatever is
    /// unknown of the others.
    pub fn of_all(partitions: impl IntoIterator<Item = Verdict>) -> Verdict {
        let mut all = Verdict::Ok;
        for verdict in partitions {
            match verdict {
                Verdict::Ok => {}
                Verdict::Illegal => return Verdict::Illegal,
                Verdict::Unknown => all = Verdict::Unknown,
            }
        }
        all
    }
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The verdict on the history.
    pub verdict: Verdict,
    /// How many model steps were made. The same history and budget give the same number on every machine.
    pub steps: u64,
    /// The partitions known to be illegal, by name. A check stops at the first; an explanation finds all it can.
    pub illegal: Vec<String>,
    /// The partitions that were not decided, by name: because the budget was spent, or because another partition had
    /// settled the matter before.
    pub undecided: Vec<String>,
}

impl Checked {
    /// Puts the verdicts on partitions together; `name` gives a partition's name.
    pub(crate) fn new(decided: &Decided, name: impl Fn(usize) -> String) -> Checked {
        let named = |wanted: Verdict| {
            (0..decided.verdicts.len()).filter(|&partition| decided.verdicts[partition] == wanted).map(&name).collect()
        };
        Checked {
            verdict: Verdict::of_all(decided.verdicts.iter().copied()),
            steps: decided.steps,
            illegal: named(Verdict::Illegal),
            undecided: named(Verdict::Unknown),
        }
    }
}

/// What is known of each partition once the budget is spent, or everything is decided.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) steps: u64,
}

/// Examines partitions in turn, a slice of steps at a time, so that a hard one cannot hide an illegal easy one behind it.
/// `order` says who is first in each turn. With `stop_at_illegal`, the first illegal partition ends it all.
pub(crate) fn decide<E: Examine>(partitions: &mut [E], order: &[usize], budget: u64, stop_at_illegal: bool) -> Decided {
    let mut verdicts = vec![Verdict::Unknown; partitions.len()];
    let mut steps = 0_u64;
    let mut undecided = order.to_vec();
    while !undecided.is_empty() && steps < budget {
        let mut illegal = false;
        undecided.retain(|&partition| {
            if steps >= budget || (illegal && stop_at_illegal) {
                return true;
            }
            let examined = &mut partitions[partition];
            let before = examined.steps();
            let linearizable = examined.advance(SLICE_STEPS.min(budget - steps));
            steps += examined.steps() - before;
            match linearizable {
                None => return true,
                Some(true) => verdicts[partition] = Verdict::Ok,
                Some(false) => {
                    verdicts[partition] = Verdict::Illegal;
                    illegal = true;
                }
            }
            false
        });
        if illegal && stop_at_illegal {
            break;
        }
    }
    Decided { verdicts, steps }
}

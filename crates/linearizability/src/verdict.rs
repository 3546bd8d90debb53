//! Verdicts, and the fair division of a budget among partitions.

use std::fmt::{self, Display, Formatter};

use crate::search::PartitionSearch;

/// The number of steps of one turn of a partition.
const SLICE_STEPS: u64 = 1 << 12;

/// The verdict on a history or a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The history is linearizable.
    Ok,
    /// The history is not linearizable.
    Illegal,
    /// The budget did not suffice to decide.
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
    /// Combines the verdicts on all partitions into the verdict on the history. One illegal partition makes the history
    /// illegal, even if the verdicts on others are unknown.
    pub fn combine(partitions: impl IntoIterator<Item = Verdict>) -> Verdict {
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

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The verdict on the history.
    pub verdict: Verdict,
    /// The number of model steps. The same history and budget give the same number on every machine.
    pub steps: u64,
    /// The names of the partitions that are known to be illegal. A check stops at the first; an explanation finds all
    /// that its budget allows.
    pub illegal: Vec<String>,
    /// The names of the partitions without a verdict: either the budget was spent, or an illegal partition ended the
    /// check.
    pub undecided: Vec<String>,
}

impl CheckResult {
    /// Combines the verdicts on the partitions. `name` returns the name of a partition.
    pub(crate) fn new(decided: &PartitionVerdicts, name: impl Fn(usize) -> String) -> CheckResult {
        let named = |wanted: Verdict| {
            (0..decided.verdicts.len()).filter(|&partition| decided.verdicts[partition] == wanted).map(&name).collect()
        };
        CheckResult {
            verdict: Verdict::combine(decided.verdicts.iter().copied()),
            steps: decided.steps,
            illegal: named(Verdict::Illegal),
            undecided: named(Verdict::Unknown),
        }
    }
}

/// The verdicts on all partitions, and the steps that they took.
#[derive(Debug)]
pub(crate) struct PartitionVerdicts {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) steps: u64,
}

/// Examines the partitions in turns of a fixed number of steps, so that a hard partition cannot hide an easy illegal
/// one. `order` is the order of the partitions within each round. With `stop_at_illegal`, the first illegal partition
/// ends the check.
pub(crate) fn decide_partitions<E: PartitionSearch>(
    partitions: &mut [E],
    order: &[usize],
    budget: u64,
    stop_at_illegal: bool,
) -> PartitionVerdicts {
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
    PartitionVerdicts { verdicts, steps }
}

//! Locks that are held where something is waited for: known from what threads were doing when the run failed.

use labstd::{Failure, ThreadStatus};

use super::finding::Finding;
use super::rule::Rule;

/// A thread that has waited for a lock for so long, in seconds, waits in vain: no rule of Raft takes as long as that.
const LONG_WAIT: f64 = 0.3;

/// A thread that has been blocked for a shorter time has just taken the lock, which others were waiting for.
const HOLDER_BLOCKED_MIN: f64 = 0.05;

/// The rule on locks that a failure is about, if it is.
pub(crate) fn diagnose_failure(failure: &Failure) -> Option<Finding> {
    match failure {
        Failure::LockHeldTooLong { what, .. } => {
            let (_, holder) = what.split_once("its holder is ")?;
            Some(Finding { rule: rule_for(holder)?, seen: format!("the lock's holder is {holder}") })
        }
        Failure::Deadlock { cycle, .. } if !cycle.is_empty() => {
            Some(Finding { rule: Rule::OneLockOrder, seen: cycle.join("; ") })
        }
        Failure::TimeLimit { threads, .. } | Failure::StepLimit { threads, .. } => diagnose_threads(threads),
        _ => None,
    }
}

/// The rule that a thread breaks for whose lock another one has been waiting for long.
pub(crate) fn diagnose_threads(threads: &[ThreadStatus]) -> Option<Finding> {
    threads.iter().filter(|thread| waits_long_for_lock(thread)).find_map(|waiting| {
        let (_, holder) = waiting.doing.split_once(", held by ")?;
        let name = holder.split(" which took it at ").next()?;
        let same_group = |thread: &&ThreadStatus| thread.name == name && thread.group == waiting.group;
        let holder = threads.iter().find(same_group).or_else(|| threads.iter().find(|thread| thread.name == name))?;
        let rule = rule_for(&holder.doing).filter(|_| seconds(holder).is_some_and(|seconds| seconds >= HOLDER_BLOCKED_MIN))?;
        Some(Finding { rule, seen: format!("{waiting}; and {holder}") })
    })
}

fn waits_long_for_lock(thread: &ThreadStatus) -> bool {
    thread.doing.starts_with("in Mutex::lock") && seconds(thread).is_some_and(|seconds| seconds >= LONG_WAIT)
}

/// For how long a thread has been blocked, in seconds.
fn seconds(thread: &ThreadStatus) -> Option<f64> {
    thread.doing.split(" for ").nth(1)?.split(" s").next()?.parse().ok()
}

/// The rule that is broken by who holds a lock and does this.
fn rule_for(doing: &str) -> Option<Rule> {
    let says = |words: &str| doing.contains(words);
    if says("in Sender::send") {
        Some(Rule::NoLockWhileDelivering)
    } else if says("(called from ") {
        // The network alone waits on somebody else's behalf.
        Some(Rule::NoLockOverRpc)
    } else if says("in Mutex::lock") {
        Some(Rule::OneLockOrder)
    } else {
        let waits = ["in thread::sleep", "in Condvar::", "in Receiver::", "in JoinHandle::"].into_iter().any(says);
        waits.then_some(Rule::NoLockWhileWaiting)
    }
}

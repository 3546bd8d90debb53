//! Locks that a thread holds while it waits for something else, found from the activities of the threads when the run
//! failed.

use labstd::{Failure, ThreadStatus};

use super::finding::Finding;
use super::rule::Rule;

/// Waiting time for a lock, in seconds, from which the thread is stuck: correct lab code never holds a lock this long.
const LONG_WAIT: f64 = 0.3;

/// Blocked time of the holder, in seconds, below which it has only just taken the lock that others waited for.
const HOLDER_BLOCKED_MIN: f64 = 0.05;

/// Returns the locking rule that a failure breaks, if it breaks one.
pub(crate) fn diagnose_failure(failure: &Failure) -> Option<Finding> {
    match failure {
        Failure::LockHeldTooLong { description, .. } => {
            let (_, holder) = description.split_once("its holder is ")?;
            Some(Finding { rule: rule_for(holder)?, seen: format!("the lock's holder is {holder}") })
        }
        Failure::Deadlock { cycle, .. } if !cycle.is_empty() => {
            Some(Finding { rule: Rule::OneLockOrder, seen: cycle.join("; ") })
        }
        Failure::TimeLimit { threads, .. } | Failure::StepLimit { threads, .. } => diagnose_threads(threads),
        _ => None,
    }
}

/// Returns the rule that a thread breaks if another thread has waited long for its lock.
pub(crate) fn diagnose_threads(threads: &[ThreadStatus]) -> Option<Finding> {
    threads.iter().filter(|thread| waits_long_for_lock(thread)).find_map(|waiting| {
        let (_, holder) = waiting.activity.split_once(", held by ")?;
        let name = holder.split(" which took it at ").next()?;
        let same_group = |thread: &&ThreadStatus| thread.name == name && thread.group == waiting.group;
        let holder = threads.iter().find(same_group).or_else(|| threads.iter().find(|thread| thread.name == name))?;
        let rule = rule_for(&holder.activity)
            .filter(|_| seconds(holder).is_some_and(|seconds| seconds >= HOLDER_BLOCKED_MIN))?;
        Some(Finding { rule, seen: format!("{waiting}; and {holder}") })
    })
}

fn waits_long_for_lock(thread: &ThreadStatus) -> bool {
    thread.activity.starts_with("in Mutex::lock") && seconds(thread).is_some_and(|seconds| seconds >= LONG_WAIT)
}

/// Returns how long a thread has been blocked, in seconds.
fn seconds(thread: &ThreadStatus) -> Option<f64> {
    thread.activity.split(" for ").nth(1)?.split(" s").next()?.parse().ok()
}

/// Returns the rule that a lock holder with this activity breaks.
fn rule_for(doing: &str) -> Option<Rule> {
    let says = |words: &str| doing.contains(words);
    if says("in Sender::send") {
        Some(Rule::NoLockWhileDelivering)
    } else if says("(called from ") {
        // Only the network waits on behalf of another thread.
        Some(Rule::NoLockOverRpc)
    } else if says("in Mutex::lock") {
        Some(Rule::OneLockOrder)
    } else {
        let waits = ["in thread::sleep", "in Condvar::", "in Receiver::", "in JoinHandle::"].into_iter().any(says);
        waits.then_some(Rule::NoLockWhileWaiting)
    }
}

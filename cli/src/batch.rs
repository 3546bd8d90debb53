//! Many runs, several at a time: a queue of runs, and workers that take from it. Results are handed over in the order of
//! the queue, whichever comes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

/// Calls `work` for each of `0..count`, on `jobs` threads, and `done` with each result, in order, on the calling thread.
/// Ends early if `done` fails.
pub(crate) fn in_order<T: Send, E>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    done: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    until(count, jobs, &AtomicBool::new(false), work, |_, result| Ok(result), done)
}

/// As [`in_order`], but no work begins once `stop` is set, which `work` may do; what has begun then comes to its end and is
/// handed over. Each result first goes through `arrived`, on the calling thread as well, as soon as it is there.
pub(crate) fn until<T: Send, U, E>(
    count: usize,
    jobs: usize,
    stop: &AtomicBool,
    work: impl Fn(usize) -> T + Sync,
    mut arrived: impl FnMut(usize, T) -> Result<U, E>,
    mut done: impl FnMut(usize, U) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..jobs.min(count) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while !stop.load(SeqCst) {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= count || sender.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        let mut take = |number, result| {
            early.insert(number, arrived(number, result)?);
            while let Some(result) = early.remove(&expected) {
                done(expected, result)?;
                expected += 1;
            }
            Ok(())
        };
        // No worker starts another run after an error.
        results
            .into_iter()
            .try_for_each(|(number, result)| take(number, result))
            .inspect_err(|_| stop.store(true, SeqCst))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn results_come_in_order_however_long_each_takes() {
        let mut seen = Vec::new();
        let work = |number: usize| {
            thread::sleep(std::time::Duration::from_micros((number as u64 * 7919) % 300));
            number * 2
        };
        in_order(100, 4, work, |number, result| {
            assert_eq!(result, number * 2);
            seen.push(number);
            Ok::<(), Infallible>(())
        })
        .unwrap();
        assert!(seen.into_iter().eq(0..100));
    }

    #[test]
    fn an_error_ends_the_batch() {
        let begun = AtomicUsize::new(0);
        let work = |_| begun.fetch_add(1, SeqCst);
        let result = in_order(1_000_000, 2, work, |number, _| if number == 10 { Err("enough") } else { Ok(()) });
        assert_eq!(result, Err("enough"));
        assert!(begun.load(SeqCst) < 1_000_000);
    }

    #[test]
    fn what_has_begun_when_the_batch_is_stopped_is_handed_over_in_order_and_nothing_else_begins() {
        for jobs in [1, 4] {
            let (stop, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
            let work = |number| {
                begun.fetch_add(1, SeqCst);
                stop.fetch_or(number == 10, SeqCst);
                number
            };
            let (mut came, mut seen) = (0, Vec::new());
            let arrived = |_, result| {
                came += 1;
                Ok::<usize, Infallible>(result)
            };
            until(usize::MAX, jobs, &stop, work, arrived, |number, _| {
                seen.push(number);
                Ok(())
            })
            .unwrap();
            assert!(came >= 11 && (jobs > 1 || came == 11), "{came}");
            assert!(seen.into_iter().eq(0..begun.load(SeqCst)), "each that has begun");
        }
    }
}

//! A queue of runs, and worker threads that take from it. Results are delivered in the order of the queue, in whatever
//! order they arrive.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

/// Calls `work` for each of `0..count`, on `jobs` threads, and `done` with each result, in order, on the calling
/// thread. Ends early if `done` fails.
pub(crate) fn in_order<T: Send, E>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    done: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    in_order_until_stopped(count, jobs, &AtomicBool::new(false), work, |_, result| Ok(result), done)
}

/// As [`in_order`], but no work starts once `stop` is set. `work` may set it. Work that has already started is finished
/// and delivered. Each result first goes through `arrived` as soon as it arrives, also on the calling thread.
pub(crate) fn in_order_until_stopped<T: Send, U, E>(
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
        let mut waiting = BTreeMap::new();
        let mut expected = 0;
        let mut deliver = |number, result| {
            waiting.insert(number, arrived(number, result)?);
            while let Some(result) = waiting.remove(&expected) {
                done(expected, result)?;
                expected += 1;
            }
            Ok(())
        };
        // After an error no worker starts another run.
        results
            .into_iter()
            .try_for_each(|(number, result)| deliver(number, result))
            .inspect_err(|_| stop.store(true, SeqCst))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn results_arrive_in_queue_order() {
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
        let started = AtomicUsize::new(0);
        let work = |_| started.fetch_add(1, SeqCst);
        let result = in_order(1_000_000, 2, work, |number, _| if number == 10 { Err("enough") } else { Ok(()) });
        assert_eq!(result, Err("enough"));
        assert!(started.load(SeqCst) < 1_000_000);
    }

    #[test]
    fn a_stopped_batch_finishes_its_running_jobs_in_order() {
        for jobs in [1, 4] {
            let (stop, started) = (AtomicBool::new(false), AtomicUsize::new(0));
            let work = |number| {
                started.fetch_add(1, SeqCst);
                stop.fetch_or(number == 10, SeqCst);
                number
            };
            let (mut arrivals, mut seen) = (0, Vec::new());
            let arrived = |_, result| {
                arrivals += 1;
                Ok::<usize, Infallible>(result)
            };
            in_order_until_stopped(usize::MAX, jobs, &stop, work, arrived, |number, _| {
                seen.push(number);
                Ok(())
            })
            .unwrap();
            assert!(arrivals >= 11 && (jobs > 1 || arrivals == 11), "{arrivals}");
            assert!(seen.into_iter().eq(0..started.load(SeqCst)), "every run that has started");
        }
    }
}

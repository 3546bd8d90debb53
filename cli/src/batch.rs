//! Many runs, several at a time: a queue of runs, and workers that take from it. Results are handed over in the order of
//! the queue, whichever comes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

/// Calls `work` for each of `0..count`, on `jobs` threads, and `done` with each result, in order, on the calling thread.
/// Ends early if `done` fails.
pub(crate) fn in_order<T: Send, E>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..jobs.min(count) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count || sender.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&expected) {
                if let Err(error) = done(expected, result) {
                    // No worker starts another run.
                    next.store(count, Relaxed);
                    return Err(error);
                }
                expected += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
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
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(seen.into_iter().eq(0..100));
    }

    #[test]
    fn an_error_ends_the_batch() {
        let begun = AtomicUsize::new(0);
        let work = |_| begun.fetch_add(1, Relaxed);
        let result = in_order(1_000_000, 2, work, |number, _| if number == 10 { Err("enough") } else { Ok(()) });
        assert_eq!(result, Err("enough"));
        assert!(begun.load(Relaxed) < 1_000_000);
    }
}

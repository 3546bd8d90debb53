//! CPU time, and limits on the number of cores.

use std::fs;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Returns the CPU time of all threads of this process so far, in seconds.
pub(crate) fn of_process() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Calls `body`. Returns its result and the CPU time of this process meanwhile, in seconds.
pub(crate) fn spent<T>(body: impl FnOnce() -> T) -> (T, f64) {
    let before = of_process();
    let value = body();
    (value, of_process() - before)
}

/// Returns the CPU time of all ended descendants of this process, in seconds. The system counts it in hundredths.
pub(crate) fn of_children() -> Result<f64, String> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    // The second field is a name in parentheses, which may contain anything. `cutime` and `cstime` are the 16th and
    // 17th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: Vec<f64> = fields.skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok((user + system) / TICKS_A_SECOND),
        _ => Err("/proc/self/stat has an unexpected format".into()),
    }
}

/// Calls `body` on a thread that may run on `cores` cores only, or on all if there are fewer. The limit includes all
/// threads that it starts.
///
/// # Panics
///
/// If the system does not allow the limit, or if `body` panics.
pub(crate) fn on_cores<T: Send>(cores: usize, body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            let allowed = sched_getaffinity(None).expect("a thread may ask where it runs");
            let mut wanted = CpuSet::new();
            (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).take(cores).for_each(|core| wanted.set(core));
            sched_setaffinity(None, &wanted).expect("a thread may run on fewer cores");
            body()
        });
        pinned.join().unwrap_or_else(|thrown| std::panic::resume_unwind(thrown))
    })
}

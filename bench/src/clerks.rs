//! Clerks of our key/value service in a closed loop: three servers on threads, a reliable network, two cores, Puts of
//! 16 bytes, one key per clerk.

use std::time::{Duration, Instant};

use bench::sample::percentile;
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::Relaxed};
use labstd::{Run, thread};
use raftapi::ServerId;
use tester::kv::{ErasedClerk, InProcessCluster, KvCluster, KvClusterConfig, KvSubject};

use crate::cpu;

pub(crate) const SERVERS: usize = 3;

/// The value that is put: 16 bytes.
pub(crate) const VALUE: &str = "16 bytes of text";

/// Time limit of a run. It ends the measurement of a service that does not reply.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The end of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this number of operations of all clerks.
    Operations(u64),
}

/// The operations of all clerks.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    /// The end of each operation, counted from the start of the measurement; sorted.
    pub(crate) ends: Vec<Duration>,
    /// The latency of each operation; sorted.
    latencies: Vec<Duration>,
}

impl Operations {
    /// Returns the number of operations per second.
    pub(crate) fn a_second(&self) -> f64 {
        let elapsed = self.ends.last().expect("clerks make operations");
        self.ends.len() as f64 / elapsed.as_secs_f64()
    }

    /// Returns the latency that this share of the operations does not exceed, in seconds.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        percentile(&self.latencies, share).as_secs_f64()
    }
}

/// Lets `clerks` clerks put, over servers that make a snapshot at `max_raft_state`.
pub(crate) fn put(clerks: usize, max_raft_state: Option<usize>, until: Until) -> Operations {
    let body = move || {
        let setting = KvClusterConfig { servers: SERVERS, reliable: true, max_raft_state };
        let cluster = InProcessCluster::new(setting, KvSubject::of::<kvraft::KvServer<raft::Raft>>());
        let all: Vec<ServerId> = (0..SERVERS).map(ServerId).collect();
        // Waits for a leader.
        cluster.clerk(&all).1.put("ready", "");
        let done = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let clerks: Vec<_> = (0..clerks)
            .map(|number| {
                let (_, clerk) = cluster.clerk(&all);
                let done = Arc::clone(&done);
                thread::spawn(format!("clerk-{number}"), move || work(clerk, number, begun, until, &done))
            })
            .collect();
        let of_each = clerks.into_iter().flat_map(|clerk| clerk.join().expect("a clerk does not panic"));
        let (mut ends, mut latencies): (Vec<_>, Vec<_>) = of_each.unzip();
        cluster.shut_down();
        ends.sort_unstable();
        latencies.sort_unstable();
        Operations { ends, latencies }
    };
    cpu::on_cores(2, || Run::threads(1).time_limit(TIME_LIMIT).execute(body).result.expect("the run passes"))
}

/// Runs one clerk until the end of the measurement. Returns the end and the latency of each operation.
fn work(
    mut clerk: Box<dyn ErasedClerk>,
    number: usize,
    begun: Instant,
    until: Until,
    done: &AtomicU64,
) -> Vec<(Duration, Duration)> {
    let key = number.to_string();
    let mut operations = Vec::new();
    let mut now = begun.elapsed();
    loop {
        let enough = match until {
            Until::Elapsed(limit) => now >= limit,
            Until::Operations(limit) => done.fetch_add(1, Relaxed) >= limit,
        };
        if enough {
            return operations;
        }
        clerk.put(&key, VALUE);
        let end = begun.elapsed();
        operations.push((end, end - now));
        now = end;
    }
}

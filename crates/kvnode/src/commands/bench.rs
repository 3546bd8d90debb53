//! `kvnode bench`: measures the speed of a cluster.

use std::path::PathBuf;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use super::addresses;
use super::temporary_cluster::TemporaryCluster;
use crate::wire::{Clerk, ClerkError, ClerkSettings};

/// The number of keys to which each client writes in turn.
const KEYS: u64 = 8;

/// The time for which clients write before the measurement starts.
const WARM_UP: Duration = Duration::from_secs(1);

/// Time limit of an operation.
const DEADLINE: Duration = Duration::from_secs(30);

/// The arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Numbers of concurrent clients, measured one after the other
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,32,256",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    clients: Vec<u32>,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// The length of a value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16, value_parser = clap::value_parser!(u32).range(..=1 << 19))]
    value_bytes: u32,

    /// The addresses of a running cluster: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    peers: Option<Vec<String>>,

    /// Do not let the servers wait for the disk
    #[arg(long, conflicts_with = "peers")]
    no_sync: bool,

    /// The directory in which to create the servers' directory [default: this machine's directory for temporary files]
    #[arg(long, value_name = "DIR", conflicts_with = "peers")]
    data: Option<PathBuf>,

    /// Print a JSON object for each number of clients
    #[arg(long)]
    json: bool,
}

/// The result of one measurement.
#[derive(Debug, Serialize)]
struct BenchResult {
    clients: u32,
    /// `None` if the servers were already running.
    sync: Option<bool>,
    seconds: f64,
    operations: u64,
    p50_us: u64,
    p99_us: u64,
}

pub(super) fn run(args: &BenchArgs) -> Result<u8, String> {
    let temporary = match &args.peers {
        Some(_) => None,
        None => Some(TemporaryCluster::start(3, args.data.as_deref(), args.no_sync)?),
    };
    let servers = match (&args.peers, &temporary) {
        (Some(peers), _) => addresses::parse(peers)?.iter().map(ToString::to_string).collect(),
        (None, temporary) => temporary.as_ref().map(TemporaryCluster::addresses).unwrap_or_default(),
    };
    if !args.json {
        println!("clients  operations/s  median ms  99 % within ms");
    }
    for &clients in &args.clients {
        let load =
            Load { clients, seconds: args.seconds, value_bytes: args.value_bytes as usize, servers: servers.clone() };
        let mut result = load.measure()?;
        result.sync = temporary.is_some().then_some(!args.no_sync);
        if args.json {
            println!("{}", serde_json::to_string(&result).expect("numbers are JSON"));
        } else {
            let rate = result.operations as f64 / result.seconds;
            let [p50, p99] = [result.p50_us, result.p99_us].map(|us| us as f64 / 1000.0);
            println!("{clients:7}  {rate:12.0}  {p50:9.2}  {p99:14.2}");
        }
    }
    Ok(0)
}

/// The load of one measurement.
struct Load {
    clients: u32,
    seconds: u32,
    value_bytes: usize,
    servers: Vec<String>,
}

/// The phases of a measurement. A client checks the phase before each operation.
const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const FINISHED: u8 = 2;

impl Load {
    fn measure(&self) -> Result<BenchResult, String> {
        let (phase, start_barrier) =
            (Arc::new(AtomicU8::new(WARMING_UP)), Arc::new(Barrier::new(self.clients as usize + 1)));
        let clients: Vec<_> = (0..self.clients)
            .map(|client| {
                let (servers, phase, start_barrier) =
                    (self.servers.clone(), Arc::clone(&phase), Arc::clone(&start_barrier));
                let value = Bytes::from(vec![b'x'; self.value_bytes]);
                let name = format!("client {client}");
                let work = move || write(client, servers, &value, &phase, &start_barrier);
                thread::Builder::new().name(name).spawn(work).expect("a thread for each client")
            })
            .collect();
        start_barrier.wait();
        thread::sleep(WARM_UP);
        phase.store(MEASURING, Relaxed);
        let started = Instant::now();
        thread::sleep(Duration::from_secs(self.seconds.into()));
        phase.store(FINISHED, Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let mut latencies: Vec<u64> = Vec::new();
        for client in clients {
            latencies.extend(client.join().expect("a client does not panic").map_err(|error| error.to_string())?);
        }
        latencies.sort_unstable();
        let at = |permille: usize| {
            latencies.get((latencies.len() * permille / 1000).min(latencies.len().saturating_sub(1))).copied()
        };
        let (Some(p50_us), Some(p99_us)) = (at(500), at(990)) else {
            return Err("no operation finished in that time; set a longer time with --seconds".to_string());
        };
        Ok(BenchResult {
            clients: self.clients,
            sync: None,
            seconds,
            operations: latencies.len() as u64,
            p50_us,
            p99_us,
        })
    }
}

/// Runs one client until the measurement is over. Returns the latency, in microseconds, of each operation that began
/// and ended during the measurement.
fn write(
    client: u32,
    servers: Vec<String>,
    value: &Bytes,
    phase: &AtomicU8,
    start_barrier: &Barrier,
) -> Result<Vec<u64>, ClerkError> {
    let mut clerk = Clerk::new(servers, ClerkSettings { deadline: Some(DEADLINE), ..ClerkSettings::default() });
    // The first write finds the leader.
    let found = clerk.put(&format!("bench-{client}-0"), value.clone());
    start_barrier.wait();
    found?;
    let mut latencies = Vec::new();
    for number in 0.. {
        let before = phase.load(Relaxed);
        if before == FINISHED {
            break;
        }
        let started = Instant::now();
        clerk.put(&format!("bench-{client}-{}", number % KEYS), value.clone())?;
        if before == MEASURING && phase.load(Relaxed) == MEASURING {
            latencies.push(started.elapsed().as_micros() as u64);
        }
    }
    Ok(latencies)
}

//! `raftlab bench`: how fast a cluster is.

use std::path::PathBuf;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use super::addresses;
use super::own_cluster::OwnCluster;
use crate::wire::{Clerk, ClerkError, ClerkSettings};

/// How many keys each client writes, one after the other.
const KEYS: u64 = 8;

/// How long clients write before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long an operation may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// How many clients there are at once; several numbers are measured one after the other
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,32,256",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    clients: Vec<u32>,

    /// For how many seconds each time
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// The length of a value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16, value_parser = clap::value_parser!(u32).range(..=1 << 19))]
    value_bytes: u32,

    /// A cluster that is running: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    peers: Option<Vec<String>>,

    /// The servers do not wait for the disk
    #[arg(long, conflicts_with = "peers")]
    no_sync: bool,

    /// Where the servers' directory is made [default: where this machine keeps temporary files]
    #[arg(long, value_name = "DIR", conflicts_with = "peers")]
    data: Option<PathBuf>,

    /// Print a JSON object for each number of clients
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    clients: u32,
    /// `None` of servers that were running already.
    sync: Option<bool>,
    seconds: f64,
    operations: u64,
    p50_us: u64,
    p99_us: u64,
}

pub(super) fn run(args: &BenchArgs) -> Result<u8, String> {
    let own = match &args.peers {
        Some(_) => None,
        None => Some(OwnCluster::start(3, args.data.as_deref(), args.no_sync)?),
    };
    let servers = match (&args.peers, &own) {
        (Some(peers), _) => addresses::parse(peers)?.iter().map(ToString::to_string).collect(),
        (None, own) => own.as_ref().map(OwnCluster::addresses).unwrap_or_default(),
    };
    if !args.json {
        println!("clients  operations/s  median ms  99 % within ms");
    }
    for &clients in &args.clients {
        let load =
            Load { clients, seconds: args.seconds, value_bytes: args.value_bytes as usize, servers: servers.clone() };
        let mut figures = load.measure()?;
        figures.sync = own.is_some().then_some(!args.no_sync);
        if args.json {
            println!("{}", serde_json::to_string(&figures).expect("numbers are JSON"));
        } else {
            let rate = figures.operations as f64 / figures.seconds;
            let [p50, p99] = [figures.p50_us, figures.p99_us].map(|us| us as f64 / 1000.0);
            println!("{clients:7}  {rate:12.0}  {p50:9.2}  {p99:14.2}");
        }
    }
    Ok(0)
}

/// What is measured once.
struct Load {
    clients: u32,
    seconds: u32,
    value_bytes: usize,
    servers: Vec<String>,
}

/// How far a measurement is; a client looks before each operation.
const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

impl Load {
    fn measure(&self) -> Result<Figures, String> {
        let (phase, all_there) =
            (Arc::new(AtomicU8::new(WARMING_UP)), Arc::new(Barrier::new(self.clients as usize + 1)));
        let clients: Vec<_> = (0..self.clients)
            .map(|client| {
                let (servers, phase, all_there) = (self.servers.clone(), Arc::clone(&phase), Arc::clone(&all_there));
                let value = Bytes::from(vec![b'x'; self.value_bytes]);
                let name = format!("client {client}");
                let work = move || write(client, servers, &value, &phase, &all_there);
                thread::Builder::new().name(name).spawn(work).expect("a thread for each client")
            })
            .collect();
        all_there.wait();
        thread::sleep(WARM_UP);
        phase.store(MEASURING, Relaxed);
        let begun = Instant::now();
        thread::sleep(Duration::from_secs(self.seconds.into()));
        phase.store(OVER, Relaxed);
        let seconds = begun.elapsed().as_secs_f64();
        let mut took: Vec<u64> = Vec::new();
        for client in clients {
            took.extend(client.join().expect("a client does not panic").map_err(|error| error.to_string())?);
        }
        took.sort_unstable();
        let at = |permille: usize| took.get((took.len() * permille / 1000).min(took.len().saturating_sub(1))).copied();
        let (Some(p50_us), Some(p99_us)) = (at(500), at(990)) else {
            return Err("no operation was done in that time; --seconds takes more of it".to_string());
        };
        Ok(Figures { clients: self.clients, sync: None, seconds, operations: took.len() as u64, p50_us, p99_us })
    }
}

/// One client: writes until it is over, and returns how many microseconds each operation took that was begun and ended while
/// it was measured.
fn write(
    client: u32,
    servers: Vec<String>,
    value: &Bytes,
    phase: &AtomicU8,
    all_there: &Barrier,
) -> Result<Vec<u64>, ClerkError> {
    let mut clerk = Clerk::new(servers, ClerkSettings { deadline: Some(DEADLINE), ..ClerkSettings::default() });
    // Finds the leader.
    let found = clerk.put(&format!("bench-{client}-0"), value.clone());
    all_there.wait();
    found?;
    let mut took = Vec::new();
    for number in 0.. {
        let before = phase.load(Relaxed);
        if before == OVER {
            break;
        }
        let begun = Instant::now();
        clerk.put(&format!("bench-{client}-{}", number % KEYS), value.clone())?;
        if before == MEASURING && phase.load(Relaxed) == MEASURING {
            took.push(begun.elapsed().as_micros() as u64);
        }
    }
    Ok(took)
}

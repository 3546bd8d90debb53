//! A server: the Raft node, the storage and the wire combined.
//!
//! ```text
//!  clients, peers            the loop (driver.rs)                      the disk, the peers
//!  ──────────────            ────────────────────                      ───────────────────
//!  connections' threads ──>  collect: all waiting events
//!  (frontend.rs)             propose, step, tick ──> RawNode
//!                            ready():  1. save ──────────────────────> Storage, one sync
//!                                      2. send ──────────────────────> one PeerLink each (peers.rs)
//!                                      3. apply, in one transaction ─> Storage
//!  replies          <──────            4. reply (pending.rs)
//!                                      5. advance()
//!                            a follower far behind: a View ──────────> a thread that sends it (transfers.rs)
//! ```
//!
//! One thread owns the node and everything that belongs to it, so this module needs no lock. Slow work runs on other
//! threads: a snapshot is written, sent, received and checked there, and the storage's own thread deletes compacted log
//! entries.

mod backup;
mod cluster_view;
mod command;
mod compaction;
mod driver;
mod event;
mod frontend;
mod greeting;
mod joining;
mod loop_greeter;
mod peers;
mod pending;
mod snapshot_files;
mod status;
mod transfers;

use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use raftapi::ServerId;
use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha8Rng;

pub use self::backup::{BackupPiece, BackupRequest};
use self::cluster_view::ClusterView;
use self::compaction::Compaction;
use self::driver::Driver;
use self::event::{Event, QUEUE_CAPACITY};
use self::frontend::RequestFrontend;
use self::loop_greeter::LoopGreeter;
use self::peers::Peers;
pub use self::status::{FollowerStatus, NodeRole, NodeStatus};
use self::transfers::Transfers;
use crate::storage::{self, Membership, Standing, Storage, SyncPolicy};
use crate::wire::{Identity, Limits, Listener, Secret};

/// The name of every cluster. The secret tells clusters apart.
pub(crate) const CLUSTER: &str = "raftlab";

/// Configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The id of this server.
    pub me: ServerId,
    /// The addresses of all servers as text, in the order of their ids. It must be the same on all servers. Clients are
    /// redirected to these addresses.
    pub peers: Vec<String>,
    /// The addresses at which this server connects to the others, in the order of their ids.
    pub routes: Vec<SocketAddr>,
    /// The address on which this server listens, for servers and clients.
    pub listen: SocketAddr,
    /// The secret that only the servers of the cluster know.
    pub secret: Secret,
    /// The data directory.
    pub data: PathBuf,
    /// Whether this server replaces one that has lost its data. The directory must be empty.
    pub replace: bool,
    /// Whether acknowledged writes survive a failure of the machine.
    pub sync: SyncPolicy,
    /// The log is compacted when it is larger than this, in bytes.
    pub log_limit: u64,
}

/// A running server.
#[derive(Debug)]
pub struct Node {
    listener: Listener,
    events: SyncSender<Event>,
    driver: JoinHandle<()>,
}

impl Node {
    /// Starts a server from its saved state, or with an empty state. If the server cannot continue later, it stops
    /// taking part in the cluster and calls `on_failure` with one line that gives the reason.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong and what to do, if the port is taken or the data directory cannot be used.
    pub fn start(config: Config, on_failure: impl FnOnce(String) + Send + 'static) -> Result<Node, String> {
        let Config { me, peers: addresses, routes, listen, secret, data, replace, sync, log_limit } = config;
        let servers = addresses.len();
        // The port comes first, because the process that owns it may also own the data directory.
        let bound = Listener::bind(&listen.to_string()).map_err(|error| error.to_string())?;
        let owner = storage::Identity { cluster: CLUSTER.to_string(), server: me, servers };
        let (storage, restored) = Storage::open(&data, &owner, sync).map_err(|error| error.to_string())?;
        snapshot_files::remove_leftovers(&data)?;
        snapshot_files::check_writable(&data)?;
        let (applied, last_index) = (restored.applied, restored.log.last_index());
        let saves_at_start = storage.saves();
        let membership = begin_start(&storage, replace, &data)?;
        let node = joining::start_node(me, servers, restored, membership.standing);
        let node = node.map_err(|error| format!("{}: {error}", data.display()))?;
        log::info!("server {me} of {servers} listens at {listen}; applied index {applied}, last index {last_index}");

        let (limits, committed) = (Limits::default(), Arc::new(AtomicU64::new(applied.0)));
        let (events, event_receiver) = mpsc::sync_channel(QUEUE_CAPACITY);
        let greeter = Arc::new(LoopGreeter { events: events.clone() });
        let identity = Identity { cluster: CLUSTER.to_string(), me, servers, secret, greeter };
        let frontend = RequestFrontend::new(events.clone(), Arc::clone(&committed), storage.clone(), &data);
        let mut driver = Driver {
            node,
            storage,
            peers: Peers::start(&identity, &addresses, &routes, limits),
            view: ClusterView::new(me, addresses, membership, saves_at_start),
            last_greeting: Instant::now(),
            events: event_receiver,
            transfers: Transfers::new(identity.clone(), routes, limits, &data, events.clone()),
            compaction: Compaction::new(log_limit),
            timeout_rng: ChaCha8Rng::try_from_rng(&mut SysRng).map_err(|error| error.to_string())?,
            committed,
            pending: Default::default(),
            received_snapshot: None,
        };
        let run = move || {
            // A server without its loop must not look alive to the others.
            let result = catch_unwind(AssertUnwindSafe(|| driver.run()));
            // Threads of connections may wait for the loop.
            drop(driver.events);
            driver.peers.stop();
            match result {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => on_failure(failure),
                Err(panic) => on_failure(panic_failure(panic.as_ref())),
            }
        };
        let driver = thread::Builder::new().name("loop".to_string()).spawn(run);
        let driver = driver.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Node { listener: bound.serve(identity, limits, frontend), events, driver })
    }

    /// Stops the server. Its saved state stays.
    pub fn stop(self) {
        // The loop may already have ended. It never panics.
        let _ = self.events.send(Event::Stop);
        let _ = self.driver.join();
        self.listener.stop();
    }
}

/// Returns one line about a panic of the loop. The core panics rather than break a rule that protects acknowledged
/// writes.
fn panic_failure(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("for an unknown reason").split_whitespace().collect::<Vec<_>>().join(" ");
    format!("this server stops, because it would break a rule: {text}; keep all data directories and logs as they are")
}

/// Takes the next start number of the directory, and decides whether the server replaces a lost one.
fn begin_start(storage: &Storage, replace: bool, data: &Path) -> Result<Membership, String> {
    let mut membership = storage.begin_start()?;
    match membership.standing {
        Standing::New if replace => {
            membership.standing = Standing::Replacing;
            storage.save_membership(&membership, None)?;
        }
        Standing::Member | Standing::Unregistered if replace => {
            return Err(format!(
                "{}: this directory has data, but --replace is for a server whose data is lost: start without --replace, \
                 or move the directory away",
                data.display()
            ));
        }
        _ => {}
    }
    Ok(membership)
}

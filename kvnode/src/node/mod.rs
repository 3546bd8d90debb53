//! A server: the Raft node, the store and the wire, put together.
//!
//! ```text
//!  clients, peers            the loop (driver.rs)                      the disk, the peers
//!  ──────────────            ────────────────────                      ───────────────────
//!  connections' threads ──>  collect: all events that have come
//!  (guests.rs)               propose, step, tick ──> RawNode
//!                            ready():  1. save ──────────────────────> Storage, one sync
//!                                      2. send ──────────────────────> a Link each (peers.rs)
//!                                      3. apply, in one transaction ─> Storage
//!  replies          <──────            4. answer (clients.rs)
//!                                      5. advance()
//!                            a follower far behind: a View ──────────> a thread that sends it (transfers.rs)
//! ```
//!
//! One thread has the node and all that belongs to it, so nothing here needs a lock. What takes long is done elsewhere: a
//! snapshot is made, sent, received and checked on other threads, and what is cut off the log is deleted by the store's own.

mod clients;
mod command;
mod compaction;
mod driver;
mod event;
mod guests;
mod peers;
mod side_files;
mod status;
mod transfers;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use raft::rawnode::{self, RawNode};
use raftapi::ServerId;
use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha8Rng;

use self::compaction::Compaction;
use self::driver::{ANSWER_TICKS, Driver, HEARTBEAT_TICKS};
use self::event::{Event, WAITING_MAX};
use self::guests::Guests;
use self::peers::Peers;
pub use self::status::{FollowerStatus, NodeStatus, RoleInTerm};
use self::transfers::Transfers;
use crate::storage::{self, Storage, Sync};
use crate::wire::{Identity, Limits, Listener, Secret};

/// The name of every cluster. The secret is what keeps clusters apart.
const CLUSTER: &str = "raftlab";

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of the servers it is.
    pub me: ServerId,
    /// Where all of them are, in order; how the others reach each of them.
    pub peers: Vec<SocketAddr>,
    /// Where it listens, for servers and clients.
    pub listen: SocketAddr,
    /// What all of them know and nobody else does.
    pub secret: Secret,
    /// The directory for what it saves.
    pub data: PathBuf,
    /// Whether what it acknowledges outlives the machine.
    pub sync: Sync,
    /// The log is compacted when it has more bytes than this.
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
    /// Starts a server from what it has saved, if it has. Should it be unable to go on later, `failed` is told why, in one
    /// line; it then has stopped taking part.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong and what to do: a port that is taken, a data directory that cannot be used.
    pub fn start(config: Config, failed: impl FnOnce(String) + Send + 'static) -> Result<Node, String> {
        let Config { me, peers: addresses, listen, secret, data, sync, log_limit } = config;
        let servers = addresses.len();
        // The port first: whoever has it may have the data directory, too.
        let bound = Listener::bind(&listen.to_string()).map_err(|error| error.to_string())?;
        let owner = storage::Identity { cluster: CLUSTER.to_string(), server: me, servers };
        let (storage, restored) = Storage::open(&data, &owner, sync).map_err(|error| error.to_string())?;
        side_files::remove_leftovers(&data)?;
        let (applied, last_index) = (restored.applied, restored.log.last_index());
        let node = RawNode::new(rawnode::Config {
            hard_state: restored.hard_state,
            log: restored.log,
            applied,
            heartbeat_ticks: HEARTBEAT_TICKS,
            answer_ticks: ANSWER_TICKS,
            ..rawnode::Config::new(me, servers)
        });
        let node = node.map_err(|error| format!("{}: {error}", data.display()))?;
        log::info!("server {me} of {servers} at {listen}: has applied {applied}, has a log up to {last_index}");

        let identity = Identity { cluster: CLUSTER.to_string(), me, servers, secret };
        let (limits, committed) = (Limits::default(), Arc::new(AtomicU64::new(applied.0)));
        let (events, told) = mpsc::sync_channel(WAITING_MAX);
        let guests = Guests::new(events.clone(), Arc::clone(&committed), &data);
        let mut driver = Driver {
            node,
            storage,
            peers: Peers::start(&identity, &addresses, limits),
            events: told,
            transfers: Transfers::new(identity.clone(), addresses, limits, &data, events.clone()),
            compaction: Compaction::new(log_limit),
            timeouts: ChaCha8Rng::try_from_rng(&mut SysRng).map_err(|error| error.to_string())?,
            committed,
            clients: Default::default(),
            received: None,
        };
        let run = move || {
            // A server whose loop is gone must not seem to be there.
            let result = catch_unwind(AssertUnwindSafe(|| driver.run()));
            driver.peers.stop();
            match result {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => failed(failure),
                Err(_) => {
                    failed("this server has met a mistake of its own, which is told above; start it again".to_string())
                }
            }
        };
        let driver = thread::Builder::new().name("loop".to_string()).spawn(run);
        let driver = driver.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Node { listener: bound.serve(identity, limits, guests), events, driver })
    }

    /// Ends it. What it has saved stays.
    pub fn stop(self) {
        // The loop may have ended by itself; it never panics.
        let _ = self.events.send(Event::Stop);
        let _ = self.driver.join();
        self.listener.stop();
    }
}

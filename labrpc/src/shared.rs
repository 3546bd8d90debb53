//! The state that a network's handles, ends and calls share: the configuration under its lock, flags and counters.
//!
//! The configuration is one value under one lock, with a version. Each end keeps its own part of the configuration,
//! together with the version that it read. So a call on an unchanged network takes no lock that another end takes.

use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use labstd::sync::{Arc, Mutex, MutexGuard};
use labstd::thread::{self, Group};
use labstd::time::{Duration, run_elapsed_nanos};
use labstd::{Clock, HomeRun};
use record::Loss;

use crate::Name;
use crate::config::{Config, Route, RouteVersion};
use crate::faults::InlineShare;
use crate::intercept::{HeldMessages, Interceptor};
use crate::pool::Pool;
use crate::server::RegisteredServer;
use crate::waits::Waits;

/// The shared state of one network.
pub(crate) struct Shared {
    config: Mutex<Config>,
    /// The version of `config`; changed under its lock.
    version: AtomicU64,
    long_delays: AtomicBool,
    /// The moment at which faults by chance stop, in nanoseconds on the run's clock; [`NEVER`] is later than any time.
    calm_from: AtomicU64,
    closed: AtomicBool,
    calls: AtomicU64,
    bytes: AtomicU64,
    interceptor: Mutex<Option<Interceptor>>,
    /// `true` while there is an interceptor.
    intercepts: AtomicBool,
    /// `true` if a message takes time even without delays, as in a simulation.
    pub(crate) hops: bool,
    pub(crate) inline_share: InlineShare,
    pub(crate) held_messages: Arc<HeldMessages>,
    pub(crate) pool: Arc<Pool>,
    /// The simulation that the network belongs to.
    pub(crate) home: HomeRun,
}

/// The value of `calm_from` for a network whose faults never stop.
const NEVER: u64 = u64::MAX;

impl Shared {
    /// Makes the state of a reliable network without ends and servers.
    pub(crate) fn new() -> Shared {
        Shared {
            config: Mutex::new(Config::new()),
            version: AtomicU64::new(1),
            long_delays: AtomicBool::new(false),
            calm_from: AtomicU64::new(NEVER),
            closed: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            interceptor: Mutex::new(None),
            intercepts: AtomicBool::new(false),
            hops: labstd::clock() == Clock::Simulated,
            inline_share: InlineShare::draw(),
            held_messages: Arc::default(),
            pool: Pool::new(Group::new("network", thread::context())),
            home: HomeRun::current(),
        }
    }

    /// Returns the configuration, to be read.
    pub(crate) fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock()
    }

    /// Changes the configuration, which gets a new version.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Config) -> T) -> T {
        let mut config = self.config.lock();
        let result = change(&mut config);
        self.version.fetch_add(1, Release);
        result
    }

    /// Reports whether the configuration is unchanged since the route of this version was read.
    pub(crate) fn is_current(&self, version: &RouteVersion) -> bool {
        self.version.load(Acquire) == version.config_version
    }

    /// Reads the part of the configuration that concerns an end.
    pub(crate) fn route(&self, name: &Name, waits: &Arc<Waits>) -> Route {
        let config = self.config.lock();
        config.route(self.version.load(Acquire), name, waits)
    }

    /// Checks that a call on this end that `server` handles may still be answered; `version` is that of its route.
    ///
    /// # Errors
    ///
    /// If the end was disabled or deleted, or the server was removed or replaced.
    pub(crate) fn check_alive(
        &self,
        name: &Name,
        waits: &Arc<Waits>,
        version: &RouteVersion,
        server: &Arc<RegisteredServer>,
    ) -> Result<(), Loss> {
        if self.is_current(version) { Ok(()) } else { self.config.lock().check_alive(name, waits, server) }
    }

    /// Counts a request of `bytes` bytes. Returns the number of the call.
    pub(crate) fn accept(&self, bytes: usize) -> u64 {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.calls.fetch_add(1, Relaxed) + 1
    }

    /// Counts a reply of `bytes` bytes that has reached its caller.
    pub(crate) fn delivered(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Returns the number of accepted requests.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Returns the bytes of accepted requests and of delivered replies.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Reports whether the network was taken down.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Takes the network down.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.held_messages.close();
        self.pool.close();
    }

    /// Sets the switch for long delays.
    pub(crate) fn set_long_delays(&self, long: bool) {
        self.long_delays.store(long, Relaxed);
    }

    /// Returns the switch for long delays.
    pub(crate) fn is_long_delays(&self) -> bool {
        self.long_delays.load(Relaxed)
    }

    /// Reports whether calls that begin now have long delays.
    pub(crate) fn has_long_delays(&self) -> bool {
        self.is_long_delays() && !self.is_calm()
    }

    /// Stops all faults by chance at this moment of the run's clock.
    pub(crate) fn calm_from(&self, moment: Duration) {
        let nanos = u64::try_from(moment.as_nanos()).unwrap_or(NEVER);
        self.calm_from.store(nanos, Relaxed);
    }

    /// Reports whether faults by chance have stopped.
    pub(crate) fn is_calm(&self) -> bool {
        match self.calm_from.load(Relaxed) {
            NEVER => false,
            moment => run_elapsed_nanos() >= moment,
        }
    }

    /// Reports whether there is an interceptor.
    pub(crate) fn intercepts(&self) -> bool {
        self.intercepts.load(Relaxed)
    }

    /// Returns the interceptor, if there is one.
    pub(crate) fn interceptor(&self) -> Option<Interceptor> {
        if self.intercepts() { self.interceptor.lock().clone() } else { None }
    }

    /// Installs or removes the interceptor.
    pub(crate) fn set_interceptor(&self, interceptor: Option<Interceptor>) {
        let previous = {
            let mut current = self.interceptor.lock();
            self.intercepts.store(interceptor.is_some(), Relaxed);
            std::mem::replace(&mut *current, interceptor)
        };
        // The values that the previous closure owns are dropped outside the lock.
        drop(previous);
    }
}

//! The network: its connections, its faults and its counters. `call.rs` contains the calls themselves.
//!
//! The configuration is one value under one lock, with a version. Each end keeps its own part of the configuration,
//! together with the version that it read. So a call on an unchanged network takes no lock that another end takes.

use std::collections::BTreeMap;
use std::fmt;

use ids::ServerId;
use labstd::Clock;
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use labstd::sync::{Arc, Mutex, Weak};
use labstd::thread::{self, Group};
use labstd::time::{Duration, run_elapsed_nanos};

use crate::Name;
use crate::end::{ClientEnd, End};
use crate::intercept::{Held, HeldMessages, Interceptor, Message, Verdict};
use crate::pool::Pool;
use crate::server::{RegisteredServer, Server, join_names};
use crate::trace::{Loss, Target};

/// An in-process network between ends and servers. It is reliable at first, and belongs to the run of the thread that
/// made it. Clones are handles of the same network. The network goes down with [`cleanup`](Network::cleanup), or when
/// the last handle is dropped; ends do not keep it up.
#[derive(Clone)]
pub struct Network(Arc<Owner>);

/// The owner of the network's shared state. It takes the network down when the last handle is dropped.
struct Owner(Arc<Shared>);

/// The state that handles, ends and calls share.
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
    /// `true` if each message takes time even without delays, as in a simulation.
    pub(crate) hops: bool,
    pub(crate) held_messages: Arc<HeldMessages>,
    pub(crate) pool: Arc<Pool>,
}

/// The value of `calm_from` for a network whose faults never stop.
const NEVER: u64 = u64::MAX;

struct Config {
    reliable: bool,
    long_reordering: bool,
    ends: BTreeMap<Name, EndConfig>,
    servers: BTreeMap<Name, ServerSlot>,
    /// Number of ends that have had each name so far.
    made: BTreeMap<Name, u64>,
}

/// The configuration of one end.
struct EndConfig {
    enabled: bool,
    server: Option<Name>,
    end: Weak<End>,
}

/// The slot of one server name: the present server, or the id of the last one.
struct ServerSlot {
    server: Option<Arc<RegisteredServer>>,
    id: Option<ServerId>,
}

/// The part of the configuration that concerns one end.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) version: RouteVersion,
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    /// The server, if the end is enabled and connected and the server exists. It is not owned, because a server may own
    /// ends.
    pub(crate) server: Weak<RegisteredServer>,
}

/// The version of a route, which a call keeps to notice changes.
#[derive(Clone, Default)]
pub(crate) struct RouteVersion {
    /// The version of the configuration that the route was read from; 0 is older than any.
    config_version: u64,
    /// The server that the end is connected to.
    pub(crate) target: Option<Target>,
}

impl Network {
    /// Makes a reliable network without ends and servers.
    pub fn new() -> Network {
        let config = Config {
            reliable: true,
            long_reordering: false,
            ends: BTreeMap::new(),
            servers: BTreeMap::new(),
            made: BTreeMap::new(),
        };
        Network(Arc::new(Owner(Arc::new(Shared {
            config: Mutex::new(config),
            version: AtomicU64::new(1),
            long_delays: AtomicBool::new(false),
            calm_from: AtomicU64::new(NEVER),
            closed: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            interceptor: Mutex::new(None),
            intercepts: AtomicBool::new(false),
            hops: labstd::clock() == Clock::Simulated,
            held_messages: Arc::default(),
            pool: Pool::new(Group::new("network", thread::context())),
        }))))
    }

    /// Makes an end. It is disabled and connected to no server. Its faults are drawn from the run's random stream
    /// `net/NAME` (`net/NAME#2` for the second end of a name, and so on).
    ///
    /// # Panics
    ///
    /// If there is an end of this name.
    pub fn make_end(&self, name: impl Into<Name>) -> ClientEnd {
        let name = name.into();
        let shared = self.shared();
        let mut config = shared.config.lock();
        assert!(!config.ends.contains_key(&name), "there is an end {name} already");
        let made = config.made.entry(name.clone()).or_default();
        *made += 1;
        let stream = if *made == 1 { format!("net/{name}") } else { format!("net/{name}#{made}") };
        let end = Arc::new(End::new(name.clone(), &stream, Arc::clone(shared)));
        config.ends.insert(name, EndConfig { enabled: false, server: None, end: Arc::downgrade(&end) });
        ClientEnd::new(end)
    }

    /// Removes an end. Its in-flight calls return `None` at once, and so does every later call. An in-flight request
    /// still arrives, and a running handler continues; the reply is discarded.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn delete_end(&self, name: impl Into<Name>) {
        let name = name.into();
        let removed = self.change(|config| config.ends.remove(&name));
        let end_config = removed.unwrap_or_else(|| panic!("there is no end {name}"));
        if let Some(end) = end_config.end.upgrade() {
            end.delete();
        }
    }

    /// Connects an end to the server of this name, which need not exist yet.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn connect(&self, end: impl Into<Name>, server: impl Into<Name>) {
        let (end, server) = (end.into(), server.into());
        self.change(|config| config.end_config(&end).server = Some(server));
    }

    /// Enables or disables an end. A disabled end carries no messages.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn enable(&self, end: impl Into<Name>, enabled: bool) {
        let end = end.into();
        self.change(|config| config.end_config(&end).enabled = enabled);
    }

    /// Adds a server. It replaces the present server of this name, if there is one.
    pub fn add_server(&self, name: impl Into<Name>, server: Server) {
        let name = name.into();
        let server = Arc::new(RegisteredServer::new(name.clone(), server));
        let slot = ServerSlot { id: server.id(), server: Some(server) };
        // The values that the replaced server owns are dropped outside the lock.
        let replaced = self.change(|config| config.servers.insert(name, slot));
        drop(replaced);
    }

    /// Removes a server. Calls whose handlers run there fail within 0.1 s. Does nothing if there is no such server.
    pub fn delete_server(&self, name: impl Into<Name>) {
        let name = name.into();
        let removed = self.change(|config| config.servers.get_mut(&name).and_then(|slot| slot.server.take()));
        drop(removed);
    }

    /// Makes the network reliable or unreliable. An unreliable network delays requests by up to 26 ms, and loses one in
    /// ten requests and one in ten replies.
    pub fn set_reliable(&self, reliable: bool) {
        self.change(|config| config.reliable = reliable);
    }

    /// Switches long delays on or off. With them, a call that cannot reach its server takes up to 7 s to fail, instead
    /// of up to 0.1 s.
    pub fn set_long_delays(&self, long: bool) {
        self.shared().long_delays.store(long, Relaxed);
    }

    /// Switches long reordering on or off. It delays two in three replies by 0.2 s to 2.2 s.
    pub fn set_long_reordering(&self, long: bool) {
        self.change(|config| config.long_reordering = long);
    }

    /// Stops all faults by chance at this moment of the run's clock, whatever else is or will be set. Calls that begin
    /// after it are neither lost nor delayed, and calls that cannot reach their server fail within 0.1 s. Calls that
    /// began before it keep their faults. The draws of all ends stay the same. Interceptors continue, because they do
    /// not act by chance.
    pub fn calm_from(&self, moment: Duration) {
        let nanos = u64::try_from(moment.as_nanos()).unwrap_or(NEVER);
        self.shared().calm_from.store(nanos, Relaxed);
    }

    /// Reports whether faults by chance have stopped, as [`calm_from`](Network::calm_from) sets it; `false` if it was
    /// never called.
    pub fn is_calm(&self) -> bool {
        self.shared().is_calm()
    }

    /// Returns the value last set by [`set_reliable`](Network::set_reliable); `true` at first.
    pub fn is_reliable(&self) -> bool {
        self.shared().config.lock().reliable
    }

    /// Returns the value last set by [`set_long_delays`](Network::set_long_delays); `false` at first.
    pub fn is_long_delays(&self) -> bool {
        self.shared().long_delays.load(Relaxed)
    }

    /// Returns the number of requests that have reached a handler of this server since it was added.
    ///
    /// # Panics
    ///
    /// If there is no such server now.
    pub fn count(&self, server: impl Into<Name>) -> u64 {
        let name = server.into();
        let config = self.shared().config.lock();
        match config.servers.get(&name).and_then(|slot| slot.server.as_ref()) {
            Some(server) => server.count(),
            None => {
                let present = config.servers.iter().filter(|(_, slot)| slot.server.is_some());
                panic!(
                    "there is no server {name} whose requests could be counted; the servers are: {}",
                    join_names(present.map(|(name, _)| name))
                );
            }
        }
    }

    /// Returns the number of accepted requests, including those that were lost or reached no server.
    pub fn total_count(&self) -> u64 {
        self.shared().calls.load(Relaxed)
    }

    /// Returns the total size in bytes of the encoded arguments of all accepted requests and the encoded replies of all
    /// successful calls. The names of methods and ends are not counted.
    pub fn total_bytes(&self) -> u64 {
        self.shared().bytes.load(Relaxed)
    }

    /// Installs an interceptor, in place of the previous one. From now on the network asks `decide` about each message
    /// that it is about to carry. It asks about a request when the call has found its server, and about a reply when
    /// the handler has returned and its server still exists. It does not ask about messages that it loses by chance.
    /// `decide` runs on the threads of callers and must not block.
    pub fn intercept(&self, decide: impl Fn(&Message<'_>) -> Verdict + Send + Sync + 'static) {
        self.set_interceptor(Some(Arc::new(decide)));
    }

    /// Removes the interceptor. Held messages stay held.
    pub fn stop_intercepting(&self) {
        self.set_interceptor(None);
    }

    /// Returns the held messages, in the order of their arrival.
    pub fn held(&self) -> Vec<Held> {
        self.shared().held_messages.list()
    }

    /// Takes the network down without waiting. Later calls return `None` at once and are not counted. In-flight calls
    /// end as they would have; the calls of held messages fail at once.
    pub fn cleanup(&self) {
        self.0.close();
    }

    /// Returns the thread group of the network's idle threads.
    pub fn group(&self) -> &Group {
        self.shared().pool.group()
    }

    fn set_interceptor(&self, interceptor: Option<Interceptor>) {
        let shared = self.shared();
        let previous = {
            let mut current = shared.interceptor.lock();
            shared.intercepts.store(interceptor.is_some(), Relaxed);
            std::mem::replace(&mut *current, interceptor)
        };
        // The values that the previous closure owns are dropped outside the lock.
        drop(previous);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Config) -> T) -> T {
        let mut config = self.shared().config.lock();
        let result = change(&mut config);
        self.shared().version.fetch_add(1, Release);
        result
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl Default for Network {
    fn default() -> Network {
        Network::new()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("total_count", &self.total_count()).finish_non_exhaustive()
    }
}

impl Owner {
    fn close(&self) {
        self.0.closed.store(true, Relaxed);
        self.0.held_messages.close();
        self.0.pool.close();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
        // Servers own ends and ends refer to the network. Nothing else breaks this reference cycle.
        let servers = std::mem::take(&mut self.0.config.lock().servers);
        self.0.version.fetch_add(1, Release);
        drop(servers);
    }
}

impl Shared {
    /// Counts a request of `bytes` bytes. Returns the number of the call.
    pub(crate) fn accept(&self, bytes: usize) -> u64 {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.calls.fetch_add(1, Relaxed) + 1
    }

    /// Counts a reply of `bytes` bytes that has reached its caller.
    pub(crate) fn delivered(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    pub(crate) fn has_long_delays(&self) -> bool {
        self.long_delays.load(Relaxed) && !self.is_calm()
    }

    pub(crate) fn is_calm(&self) -> bool {
        match self.calm_from.load(Relaxed) {
            NEVER => false,
            moment => run_elapsed_nanos() >= moment,
        }
    }

    /// Reports whether messages take time whatever the configuration says: in a simulation, or because an interceptor
    /// may delay them.
    pub(crate) fn takes_time(&self) -> bool {
        self.hops || self.intercepts.load(Relaxed)
    }

    pub(crate) fn interceptor(&self) -> Option<Interceptor> {
        if self.intercepts.load(Relaxed) { self.interceptor.lock().clone() } else { None }
    }

    /// Reports whether the configuration is unchanged since the route of this version was read.
    pub(crate) fn is_current(&self, version: &RouteVersion) -> bool {
        self.version.load(Acquire) == version.config_version
    }

    /// Reads the part of the configuration that concerns an end.
    pub(crate) fn route(&self, end: &Arc<End>) -> Route {
        let config = self.config.lock();
        let mut route = Route {
            version: RouteVersion { config_version: self.version.load(Acquire), target: None },
            unreliable: !config.reliable,
            long_reordering: config.long_reordering,
            ..Route::default()
        };
        let Some(end_config) = config.end_config_of(end) else { return route };
        if let Some(name) = &end_config.server {
            let slot = config.servers.get(name);
            let id = slot.and_then(|slot| slot.id);
            route.version.target = Some(id.map_or_else(|| Target::Named(name.clone()), Target::Server));
            if let Some(server) = slot.and_then(|slot| slot.server.as_ref())
                && end_config.enabled
            {
                route.server = Arc::downgrade(server);
            }
        }
        route
    }

    /// Checks that a call on `end` that `server` handles may still be answered.
    ///
    /// # Errors
    ///
    /// If the end was disabled or deleted, or the server was removed or replaced.
    pub(crate) fn check_alive(
        &self,
        end: &Arc<End>,
        version: &RouteVersion,
        server: &Arc<RegisteredServer>,
    ) -> Result<(), Loss> {
        if self.is_current(version) {
            return Ok(());
        }
        let config = self.config.lock();
        let end_config = config.end_config_of(end).ok_or(Loss::Abandoned)?;
        if !end_config.enabled {
            return Err(Loss::Unreachable);
        }
        let present = config.servers.get(server.name()).and_then(|slot| slot.server.as_ref());
        if present.is_some_and(|present| Arc::ptr_eq(present, server)) { Ok(()) } else { Err(Loss::ServerGone) }
    }
}

impl Config {
    fn end_config(&mut self, end: &Name) -> &mut EndConfig {
        self.ends.get_mut(end).unwrap_or_else(|| panic!("there is no end {end}"))
    }

    /// Returns the configuration of this very end, not that of a later end with the same name.
    fn end_config_of(&self, end: &Arc<End>) -> Option<&EndConfig> {
        self.ends.get(&end.name).filter(|end_config| std::ptr::eq(end_config.end.as_ptr(), Arc::as_ptr(end)))
    }
}

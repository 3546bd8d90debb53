//! The network: who is connected to whom, what goes wrong, and what is counted. Calls themselves are in `call.rs`.
//!
//! The configuration is one value under one lock, with a version. An end keeps what concerns it together with the
//! version that it has seen, so that a call on an unchanged network takes no lock that another end takes.

use std::collections::BTreeMap;
use std::fmt;

use labstd::Clock;
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use labstd::sync::{Arc, Mutex, Weak};
use labstd::thread::{self, Group};
use labstd::time::{Duration, run_elapsed_nanos};
use record::ServerId;

use crate::Name;
use crate::end::{ClientEnd, End};
use crate::intercept::{Held, Holds, Interceptor, Message, Verdict};
use crate::pool::Pool;
use crate::server::{Registered, Server, list};
use crate::trace::{Loss, Target};

/// An in-process network between ends and servers, reliable at first. Clones are handles of the same network, which
/// belongs to the run of the thread that made it. It goes down with [`cleanup`](Network::cleanup), or when the last
/// handle is dropped; ends do not keep it up.
#[derive(Clone)]
pub struct Network(Arc<Owner>);

/// Takes the network down when the last handle is gone.
struct Owner(Arc<Shared>);

/// What handles, ends and calls share.
pub(crate) struct Shared {
    config: Mutex<Config>,
    /// The version of `config`; changed under its lock.
    version: AtomicU64,
    long_delays: AtomicBool,
    /// From when on nothing goes wrong any more, in nanoseconds on the run's clock; [`NEVER`] is later than any time.
    calm_from: AtomicU64,
    closed: AtomicBool,
    calls: AtomicU64,
    bytes: AtomicU64,
    interceptor: Mutex<Option<Interceptor>>,
    /// Whether there is an interceptor.
    intercepts: AtomicBool,
    /// Whether each message takes its time even if nothing delays it: so in a simulation.
    pub(crate) hops: bool,
    pub(crate) holds: Arc<Holds>,
    pub(crate) pool: Arc<Pool>,
}

/// The moment from which on a network is calm that never is.
const NEVER: u64 = u64::MAX;

struct Config {
    reliable: bool,
    long_reordering: bool,
    ends: BTreeMap<Name, Wiring>,
    servers: BTreeMap<Name, Place>,
    /// How many ends have had a name.
    made: BTreeMap<Name, u64>,
}

/// How an end is connected.
struct Wiring {
    enabled: bool,
    server: Option<Name>,
    end: Weak<End>,
}

/// Where a server is, or was.
struct Place {
    server: Option<Arc<Registered>>,
    id: Option<ServerId>,
}

/// What the configuration says about one end.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) way: Way,
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    /// The server, if the end is enabled, connected, and the server exists. Not owned: a server may own ends.
    pub(crate) server: Weak<Registered>,
}

/// What a call remembers of its route.
#[derive(Clone, Default)]
pub(crate) struct Way {
    /// The configuration's version; 0 is older than any.
    version: u64,
    /// Whom the end is connected to.
    pub(crate) target: Option<Target>,
}

impl Network {
    /// A reliable network without ends and servers.
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
            holds: Arc::default(),
            pool: Pool::new(Group::new("network", thread::context())),
        }))))
    }

    /// Makes an end. It is disabled and connected to nothing. Its chances are drawn from the stream `net/NAME` of the
    /// run (`net/NAME#2` for the second end of a name, and so on).
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
        config.ends.insert(name, Wiring { enabled: false, server: None, end: Arc::downgrade(&end) });
        ClientEnd::new(end)
    }

    /// Removes an end. Calls that are pending on it return `None` at once, and so does every later one. A request that
    /// is on its way still arrives, and a handler that runs goes on; nobody hears the reply.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn delete_end(&self, name: impl Into<Name>) {
        let name = name.into();
        let removed = self.change(|config| config.ends.remove(&name));
        let wiring = removed.unwrap_or_else(|| panic!("there is no end {name}"));
        if let Some(end) = wiring.end.upgrade() {
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
        self.change(|config| config.wiring(&end).server = Some(server));
    }

    /// Lets an end carry messages, or no longer.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn enable(&self, end: impl Into<Name>, enabled: bool) {
        let end = end.into();
        self.change(|config| config.wiring(&end).enabled = enabled);
    }

    /// Puts a server into the network, in the place of the one that has this name now, if any.
    pub fn add_server(&self, name: impl Into<Name>, server: Server) {
        let name = name.into();
        let server = Arc::new(Registered::new(name.clone(), server));
        let place = Place { id: server.id(), server: Some(server) };
        // What a server owns is dropped outside of the lock.
        let before = self.change(|config| config.servers.insert(name, place));
        drop(before);
    }

    /// Takes a server out of the network. Calls whose handlers run there fail within 0.1 s. A server that does not
    /// exist may be deleted.
    pub fn delete_server(&self, name: impl Into<Name>) {
        let name = name.into();
        let before = self.change(|config| config.servers.get_mut(&name).and_then(|place| place.server.take()));
        drop(before);
    }

    /// Whether messages arrive. If not, requests are delayed by up to 26 ms, and one in ten requests and one in ten
    /// replies are lost.
    pub fn set_reliable(&self, reliable: bool) {
        self.change(|config| config.reliable = reliable);
    }

    /// Whether it takes up to 7 s, instead of up to 0.1 s, until a call fails that cannot reach its server.
    pub fn set_long_delays(&self, long: bool) {
        self.shared().long_delays.store(long, Relaxed);
    }

    /// Whether two in three replies are held back for 0.2 s to 2.2 s.
    pub fn set_long_reordering(&self, long: bool) {
        self.change(|config| config.long_reordering = long);
    }

    /// From this moment of the run's clock on nothing goes wrong any more by chance, whatever else is or will be set: calls that
    /// set out then are neither lost nor delayed, and those that cannot reach their server fail within 0.1 s. What has set
    /// out before meets its fate. The draws of all ends stay the same. Interceptors are not concerned: what they do is no
    /// chance.
    pub fn calm_from(&self, moment: Duration) {
        let nanos = u64::try_from(moment.as_nanos()).unwrap_or(NEVER);
        self.shared().calm_from.store(nanos, Relaxed);
    }

    /// Whether the moment has come from which on nothing goes wrong any more; never, if none was [set](Network::calm_from).
    pub fn is_calm(&self) -> bool {
        self.shared().is_calm()
    }

    /// As last set; `true` at first.
    pub fn is_reliable(&self) -> bool {
        self.shared().config.lock().reliable
    }

    /// As last set; `false` at first.
    pub fn is_long_delays(&self) -> bool {
        self.shared().long_delays.load(Relaxed)
    }

    /// How many requests reached a handler of this server since it was added.
    ///
    /// # Panics
    ///
    /// If there is no such server now.
    pub fn count(&self, server: impl Into<Name>) -> u64 {
        let name = server.into();
        let config = self.shared().config.lock();
        match config.servers.get(&name).and_then(|place| place.server.as_ref()) {
            Some(server) => server.count(),
            None => {
                let present = config.servers.iter().filter(|(_, place)| place.server.is_some());
                panic!("there is no server {name} to count for; there are {}", list(present.map(|(name, _)| name)));
            }
        }
    }

    /// How many requests were accepted, those that were lost or found nobody included.
    pub fn total_count(&self) -> u64 {
        self.shared().calls.load(Relaxed)
    }

    /// The encoded arguments of all accepted requests and the encoded replies of all calls that succeeded, in bytes.
    /// The names of methods and ends are not counted.
    pub fn total_bytes(&self) -> u64 {
        self.shared().bytes.load(Relaxed)
    }

    /// From now on asks `judge` about each message that the network is about to carry, in the place of the interceptor
    /// before. It is asked about a request when a call has found its server, and about a reply when the handler is done
    /// and its server still there; what the network loses by itself is not shown. `judge` runs on the threads of
    /// callers and must not block.
    pub fn intercept(&self, judge: impl Fn(&Message<'_>) -> Verdict + Send + Sync + 'static) {
        self.set_interceptor(Some(Arc::new(judge)));
    }

    /// Removes the interceptor. What is held stays held.
    pub fn stop_intercepting(&self) {
        self.set_interceptor(None);
    }

    /// The messages that are being held, in the order in which they came.
    pub fn held(&self) -> Vec<Held> {
        self.shared().holds.list()
    }

    /// Takes the network down, without waiting: later calls return `None` at once and are not counted. Calls under way
    /// end as they would have; those of held messages fail at once.
    pub fn cleanup(&self) {
        self.0.close();
    }

    /// What the network's threads belong to while they work for nobody.
    pub fn group(&self) -> &Group {
        self.shared().pool.group()
    }

    fn set_interceptor(&self, interceptor: Option<Interceptor>) {
        let shared = self.shared();
        let before = {
            let mut place = shared.interceptor.lock();
            shared.intercepts.store(interceptor.is_some(), Relaxed);
            std::mem::replace(&mut *place, interceptor)
        };
        // What a test's closure owns is dropped outside of the lock.
        drop(before);
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
        self.0.holds.close();
        self.0.pool.close();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
        // Servers own ends and ends refer to the network: nobody else would ever break this circle.
        let servers = std::mem::take(&mut self.0.config.lock().servers);
        self.0.version.fetch_add(1, Release);
        drop(servers);
    }
}

impl Shared {
    /// Counts a request of `bytes` bytes; returns the number of the call.
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

    /// Whether each message takes time, or might be made to by a test, whatever the configuration says.
    pub(crate) fn takes_time(&self) -> bool {
        self.hops || self.intercepts.load(Relaxed)
    }

    pub(crate) fn interceptor(&self) -> Option<Interceptor> {
        if self.intercepts.load(Relaxed) { self.interceptor.lock().clone() } else { None }
    }

    /// Whether the configuration is still the one that `way` was read from.
    pub(crate) fn is_current(&self, way: &Way) -> bool {
        self.version.load(Acquire) == way.version
    }

    /// Reads what the configuration says about an end.
    pub(crate) fn route(&self, end: &Arc<End>) -> Route {
        let config = self.config.lock();
        let mut route = Route {
            way: Way { version: self.version.load(Acquire), target: None },
            unreliable: !config.reliable,
            long_reordering: config.long_reordering,
            ..Route::default()
        };
        let Some(wiring) = config.wiring_of(end) else { return route };
        if let Some(name) = &wiring.server {
            let place = config.servers.get(name);
            let id = place.and_then(|place| place.id);
            route.way.target = Some(id.map_or_else(|| Target::Named(name.clone()), Target::Server));
            if let Some(server) = place.and_then(|place| place.server.as_ref())
                && wiring.enabled
            {
                route.server = Arc::downgrade(server);
            }
        }
        route
    }

    /// Whether a call on `end` that `server` handles may still be answered.
    ///
    /// # Errors
    ///
    /// If the end was disabled or deleted, or the server's name now means another one or none.
    pub(crate) fn check_alive(&self, end: &Arc<End>, way: &Way, server: &Arc<Registered>) -> Result<(), Loss> {
        if self.is_current(way) {
            return Ok(());
        }
        let config = self.config.lock();
        let wiring = config.wiring_of(end).ok_or(Loss::Abandoned)?;
        if !wiring.enabled {
            return Err(Loss::Unreachable);
        }
        let present = config.servers.get(server.name()).and_then(|place| place.server.as_ref());
        if present.is_some_and(|present| Arc::ptr_eq(present, server)) { Ok(()) } else { Err(Loss::ServerGone) }
    }
}

impl Config {
    fn wiring(&mut self, end: &Name) -> &mut Wiring {
        self.ends.get_mut(end).unwrap_or_else(|| panic!("there is no end {end}"))
    }

    /// The wiring of this very end, not of a later one with its name.
    fn wiring_of(&self, end: &Arc<End>) -> Option<&Wiring> {
        self.ends.get(&end.name).filter(|wiring| std::ptr::eq(wiring.end.as_ptr(), Arc::as_ptr(end)))
    }
}

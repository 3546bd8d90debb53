//! A server: the services it offers, the thread group they run in, and how many requests reached them.

use std::fmt;

use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::Relaxed};
use labstd::thread::Group;
use record::{Scope, ServerId};

use crate::Name;
use crate::service::{Handler, Method, Service, Types};

/// A set of services that [`Network::add_server`](crate::Network::add_server) puts into the network under one name.
///
/// It remembers the thread group in which it was made, and its handlers run inside that group whatever thread they are
/// on: what they start, log and record belongs to the server, not to the caller.
pub struct Server {
    group: Option<Group>,
    /// In the order of their names; a few.
    services: Vec<Service>,
}

impl Server {
    /// A server without services, in the calling thread's group.
    pub fn new() -> Server {
        Server { group: Group::current(), services: Vec::new() }
    }

    /// The same server with one more service.
    ///
    /// # Panics
    ///
    /// If it has a service of this name.
    #[must_use]
    pub fn with(mut self, service: Service) -> Server {
        self.add_service(service);
        self
    }

    /// Adds a service.
    ///
    /// # Panics
    ///
    /// If it has a service of this name.
    pub fn add_service(&mut self, service: Service) {
        let name = service.name();
        assert!(self.find_service(name).is_none(), "the server has two services {name}");
        let place = self.services.partition_point(|other| other.name() < name);
        self.services.insert(place, service);
    }

    fn find_service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name() == name)
    }

    /// The method of this name, `Service.Method`.
    fn find_method(&self, name: &str) -> Option<&Arc<Method>> {
        self.services.iter().find_map(|service| service.find(name.strip_prefix(service.name())?.strip_prefix('.')?))
    }
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("services", &self.services).finish_non_exhaustive()
    }
}

/// A server in its place in the network. A server that is replaced, even by itself, is another one of these.
pub(crate) struct Registered {
    name: Name,
    server: Server,
    /// Requests that were dispatched, in this registration.
    count: AtomicU64,
}

impl Registered {
    pub(crate) fn new(name: Name, server: Server) -> Registered {
        Registered { name, server, count: AtomicU64::new(0) }
    }

    /// The name it is registered under.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Which server of the cluster it is, if its group says so.
    pub(crate) fn id(&self) -> Option<ServerId> {
        self.server.group.as_ref()?.context()?.downcast_ref::<Scope>()?.server
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// A request has arrived: counts it and finds its method.
    ///
    /// # Panics
    ///
    /// If there is no such method, or if it has other types than the caller's (spec of the course's labrpc: the program
    /// ends with a list of the alternatives).
    pub(crate) fn dispatch(&self, name: &str, types: Types) -> &Arc<Method> {
        self.count.fetch_add(1, Relaxed);
        let found = self.server.find_method(name).unwrap_or_else(|| self.refuse(name));
        assert!(found.types == types, "{name} of server {} is {}, but was called as {types}", self.name, found.types);
        found
    }

    /// Says why a method is not found.
    #[cold]
    fn refuse(&self, name: &str) -> ! {
        let (service, method) = names(name);
        let Some(offered) = self.server.find_service(service) else {
            let known = list(self.server.services.iter().map(Service::name));
            panic!("server {} has no service {service} (wanted {name}); it has {known}", self.name);
        };
        let known = list(offered.methods());
        panic!("service {service} of server {} has no method {method}; it has {known}", self.name);
    }

    /// Whether there is such a method, with a handler that never blocks and replies at its end.
    pub(crate) fn answers_promptly(&self, name: &str) -> bool {
        self.server.find_method(name).is_some_and(|method| matches!(method.handler, Handler::Prompt(_)))
    }

    /// Runs a handler on the calling thread, in the server's group.
    pub(crate) fn run<T>(&self, handler: impl FnOnce() -> T) -> T {
        match &self.server.group {
            Some(group) => group.enter(handler),
            None => handler(),
        }
    }
}

/// Service and method of `Service.Method`.
///
/// # Panics
///
/// If `method` is no such name.
pub(crate) fn names(method: &str) -> (&str, &str) {
    method
        .rsplit_once('.')
        .unwrap_or_else(|| panic!("'{method}' names no method: it must be Service.Method, such as Raft.AppendEntries"))
}

/// `A, B and C`, or `none`.
pub(crate) fn list<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        None => "none".to_string(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

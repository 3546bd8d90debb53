//! A server: its services, the thread group that they run in, and the number of requests that reached them.

use std::fmt;

use ids::ServerId;
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::Relaxed};
use labstd::thread::Group;
use record::Scope;

use crate::Name;
use crate::service::{Handler, Method, Service, Types};

/// A set of services that [`Network::add_server`](crate::Network::add_server) puts into the network under one name.
///
/// A server remembers the thread group in which it was made. Its handlers run inside that group, on whatever thread. So
/// the threads that they start and the lines and events that they emit belong to the server, not to the caller.
pub struct Server {
    group: Option<Group>,
    /// The services, sorted by name. There are a few.
    services: Vec<Service>,
}

impl Server {
    /// Makes a server without services, in the calling thread's group.
    pub fn new() -> Server {
        Server { group: Group::current(), services: Vec::new() }
    }

    /// Returns the same server with one more service.
    ///
    /// # Panics
    ///
    /// If the server has a service of this name already.
    #[must_use]
    pub fn with(mut self, service: Service) -> Server {
        self.add_service(service);
        self
    }

    /// Adds a service.
    ///
    /// # Panics
    ///
    /// If the server has a service of this name already.
    pub fn add_service(&mut self, service: Service) {
        let name = service.name();
        assert!(self.find_service(name).is_none(), "the server has two services {name}");
        let index = self.services.partition_point(|other| other.name() < name);
        self.services.insert(index, service);
    }

    fn find_service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name() == name)
    }

    /// Finds the method of this name, `Service.Method`.
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

/// A server as registered in the network. Each registration is a new value, even if a server replaces itself.
pub(crate) struct RegisteredServer {
    name: Name,
    server: Server,
    /// Number of requests dispatched during this registration.
    count: AtomicU64,
}

impl RegisteredServer {
    pub(crate) fn new(name: Name, server: Server) -> RegisteredServer {
        RegisteredServer { name, server, count: AtomicU64::new(0) }
    }

    /// The name under which the server is registered.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the server's id in the cluster, if its thread group has one.
    pub(crate) fn id(&self) -> Option<ServerId> {
        self.server.group.as_ref()?.context()?.downcast_ref::<Scope>()?.server
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Counts a request that has arrived, and finds its method.
    ///
    /// # Panics
    ///
    /// If there is no such method, or if its types differ from the caller's (spec of the course's labrpc: the program
    /// ends with a list of the alternatives).
    pub(crate) fn dispatch(&self, name: &str, types: Types) -> &Arc<Method> {
        self.count.fetch_add(1, Relaxed);
        let found = self.server.find_method(name).unwrap_or_else(|| self.panic_not_found(name));
        assert!(found.types == types, "{name} of server {} is {}, but was called as {types}", self.name, found.types);
        found
    }

    /// Panics with the reason why a method is not found.
    #[cold]
    fn panic_not_found(&self, name: &str) -> ! {
        let (service, method) = split_method_name(name);
        let Some(offered) = self.server.find_service(service) else {
            let known = join_names(self.server.services.iter().map(Service::name));
            panic!("server {} has no service {service} (wanted {name}); it has {known}", self.name);
        };
        let known = join_names(offered.methods());
        panic!("service {service} of server {} has no method {method}; it has {known}", self.name);
    }

    /// Reports whether there is such a method and its handler never blocks and returns the reply.
    pub(crate) fn handles_inline(&self, name: &str) -> bool {
        self.server.find_method(name).is_some_and(|method| matches!(method.handler, Handler::Inline(_)))
    }

    /// Runs a handler on the calling thread, in the server's group.
    pub(crate) fn run<T>(&self, handler: impl FnOnce() -> T) -> T {
        match &self.server.group {
            Some(group) => group.enter(handler),
            None => handler(),
        }
    }
}

/// Splits `Service.Method` into service and method.
///
/// # Panics
///
/// If `method` is not of this form.
pub(crate) fn split_method_name(method: &str) -> (&str, &str) {
    method.rsplit_once('.').unwrap_or_else(|| {
        panic!("'{method}' is not the name of a method: it must be Service.Method, such as Raft.AppendEntries")
    })
}

/// Joins names to `A, B and C`, or `none`.
pub(crate) fn join_names<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        None => "none".to_string(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

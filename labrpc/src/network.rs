//! The network as its user sees it: ends, servers, faults and counters. `call.rs` contains the calls themselves.

use std::fmt;

use labstd::sync::Arc;
use labstd::thread::Group;
use labstd::time::Duration;

use crate::Name;
use crate::client_end::ClientEnd;
use crate::config::{EndConfig, ServerSlot};
use crate::end::End;
use crate::intercept::{Held, Message, Verdict};
use crate::server::{RegisteredServer, Server, join_names};
use crate::shared::Shared;

/// An in-process network between ends and servers. It is reliable at first, and belongs to the run of the thread that
/// made it. Clones are handles of the same network. The network goes down with [`cleanup`](Network::cleanup), or when
/// the last handle is dropped; ends do not keep it up.
#[derive(Clone)]
pub struct Network(Arc<Owner>);

/// The owner of the network's shared state. It takes the network down when the last handle is dropped.
struct Owner(Arc<Shared>);

impl Network {
    /// Makes a reliable network without ends and servers.
    pub fn new() -> Network {
        Network(Arc::new(Owner(Arc::new(Shared::new()))))
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
        let mut config = shared.config();
        assert!(!config.ends.contains_key(&name), "there is an end {name} already");
        let made = config.count_end(&name);
        let stream = if made == 1 { format!("net/{name}") } else { format!("net/{name}#{made}") };
        let end = End::new(name.clone(), &stream, Arc::clone(shared));
        config.ends.insert(name, EndConfig { enabled: false, server: None, waits: Arc::downgrade(&end.waits) });
        ClientEnd::new(Arc::new(end))
    }

    /// Removes an end. Its in-flight calls return `None` at once, and so does every later call. An in-flight request
    /// still arrives, and a running handler continues; the reply is discarded.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn delete_end(&self, name: impl Into<Name>) {
        let name = name.into();
        let removed = self.shared().change(|config| config.ends.remove(&name));
        let end_config = removed.unwrap_or_else(|| panic!("there is no end {name}"));
        if let Some(waits) = end_config.waits.upgrade() {
            waits.delete();
        }
    }

    /// Connects an end to the server of this name, which need not exist yet.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn connect(&self, end: impl Into<Name>, server: impl Into<Name>) {
        let (end, server) = (end.into(), server.into());
        self.shared().change(|config| config.end_config(&end).server = Some(server));
    }

    /// Enables or disables an end. A disabled end carries no messages.
    ///
    /// # Panics
    ///
    /// If there is no end of this name.
    pub fn enable(&self, end: impl Into<Name>, enabled: bool) {
        let end = end.into();
        self.shared().change(|config| config.end_config(&end).enabled = enabled);
    }

    /// Adds a server. It replaces the present server of this name, if there is one.
    pub fn add_server(&self, name: impl Into<Name>, server: Server) {
        let name = name.into();
        let server = Arc::new(RegisteredServer::new(name.clone(), server));
        let slot = ServerSlot { id: server.id(), server: Some(server) };
        // The values that the replaced server owns are dropped outside the lock.
        let replaced = self.shared().change(|config| config.servers.insert(name, slot));
        drop(replaced);
    }

    /// Removes a server. Calls whose handlers run there fail within 0.1 s. Does nothing if there is no such server.
    pub fn delete_server(&self, name: impl Into<Name>) {
        let name = name.into();
        let removed = self.shared().change(|config| config.servers.get_mut(&name).and_then(|slot| slot.server.take()));
        drop(removed);
    }

    /// Makes the network reliable or unreliable. An unreliable network delays requests by up to 26 ms, and loses one in
    /// ten requests and one in ten replies.
    pub fn set_reliable(&self, reliable: bool) {
        self.shared().change(|config| config.reliable = reliable);
    }

    /// Switches long delays on or off. With them, a call that cannot reach its server takes up to 7 s to fail, instead
    /// of up to 0.1 s.
    pub fn set_long_delays(&self, long: bool) {
        self.shared().set_long_delays(long);
    }

    /// Switches long reordering on or off. It delays two in three replies by 0.2 s to 2.2 s.
    pub fn set_long_reordering(&self, long: bool) {
        self.shared().change(|config| config.long_reordering = long);
    }

    /// Stops all faults by chance at this moment of the run's clock, whatever else is or will be set. Calls that begin
    /// after it are neither lost nor delayed, and calls that cannot reach their server fail within 0.1 s. Calls that
    /// began before it keep their faults. The draws of all ends stay the same. Interceptors continue, because they do
    /// not act by chance.
    pub fn calm_from(&self, moment: Duration) {
        self.shared().calm_from(moment);
    }

    /// Reports whether faults by chance have stopped, as [`calm_from`](Network::calm_from) sets it; `false` if it was
    /// never called.
    pub fn is_calm(&self) -> bool {
        self.shared().is_calm()
    }

    /// Returns the value last set by [`set_reliable`](Network::set_reliable); `true` at first.
    pub fn is_reliable(&self) -> bool {
        self.shared().config().reliable
    }

    /// Returns the value last set by [`set_long_delays`](Network::set_long_delays); `false` at first.
    pub fn is_long_delays(&self) -> bool {
        self.shared().is_long_delays()
    }

    /// Returns the number of requests that have reached a handler of this server since it was added.
    ///
    /// # Panics
    ///
    /// If there is no such server now.
    pub fn count(&self, server: impl Into<Name>) -> u64 {
        let name = server.into();
        let config = self.shared().config();
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
        self.shared().calls()
    }

    /// Returns the total size in bytes of the encoded arguments of all accepted requests and the encoded replies of all
    /// successful calls. The names of methods and ends are not counted.
    pub fn total_bytes(&self) -> u64 {
        self.shared().bytes()
    }

    /// Installs an interceptor, in place of the previous one. From now on the network asks `decide` about each message
    /// that it is about to carry. It asks about a request when the call has found its server, and about a reply when
    /// the handler has returned and its server still exists. It does not ask about messages that it loses by chance.
    /// `decide` runs on the threads of callers and must not block.
    pub fn intercept(&self, decide: impl Fn(&Message<'_>) -> Verdict + Send + Sync + 'static) {
        self.shared().set_interceptor(Some(Arc::new(decide)));
    }

    /// Removes the interceptor. Held messages stay held.
    pub fn stop_intercepting(&self) {
        self.shared().set_interceptor(None);
    }

    /// Returns the held messages, in the order of their arrival.
    pub fn held(&self) -> Vec<Held> {
        self.shared().held_messages.list()
    }

    /// Takes the network down without waiting. Later calls return `None` at once and are not counted. In-flight calls
    /// end as they would have; the calls of held messages fail at once.
    pub fn cleanup(&self) {
        self.shared().close();
    }

    /// Returns the thread group of the network's idle threads.
    pub fn group(&self) -> &Group {
        self.shared().pool.group()
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

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
        // Servers own ends and ends refer to the network. Nothing else breaks this reference cycle.
        let servers = self.0.change(|config| std::mem::take(&mut config.servers));
        drop(servers);
    }
}

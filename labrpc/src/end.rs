//! An end of the network: its random stream, its route, and the plan of each call that begins on it.

use labstd::rng::{self, Stream};
use labstd::sync::{Arc, Mutex, MutexGuard};

use crate::Name;
use crate::config::{Route, RouteVersion};
use crate::faults::{CallFaults, FaultConfig};
use crate::server::RegisteredServer;
use crate::shared::Shared;
use crate::waits::Waits;

/// The state that the clones of a [`ClientEnd`](crate::ClientEnd) share. The network's configuration says what the end
/// is connected to; the end keeps a copy of its own part until the configuration changes.
pub(crate) struct End {
    pub(crate) name: Name,
    pub(crate) network: Arc<Shared>,
    state: Mutex<State>,
    pub(crate) waits: Arc<Waits>,
}

struct State {
    stream: Stream,
    route: Route,
}

/// The route and the faults of one call. They are fixed when the call begins, whatever is changed meanwhile.
pub(crate) struct CallPlan {
    pub(crate) version: RouteVersion,
    /// `None` if no server can be reached.
    pub(crate) server: Option<Arc<RegisteredServer>>,
    pub(crate) faults: CallFaults,
    /// Whether the messages of the call take no time.
    pub(crate) inline: bool,
}

impl End {
    /// Makes an end whose faults are drawn from the random stream named `stream`.
    pub(crate) fn new(name: Name, stream: &str, network: Arc<Shared>) -> End {
        let state = State { stream: rng::stream(stream), route: Route::default() };
        End { name, network, state: Mutex::new(state), waits: Arc::new(Waits::new()) }
    }

    /// Plans a call that begins now. Returns `None` if the end is deleted or the network is closed.
    pub(crate) fn plan_call(&self) -> Option<CallPlan> {
        let mut state = self.lock_with_route()?;
        let State { route, stream } = &mut *state;
        let (server, config) = self.server_and_faults(route);
        let faults = if config.is_fault_free() { CallFaults::default() } else { CallFaults::draw(stream, config) };
        let inline = config.is_direct() && faults.request_hop.is_zero();
        Some(CallPlan { version: route.version.clone(), server, faults, inline })
    }

    /// Reports whether a call that begins now may reach its server without faults.
    pub(crate) fn may_be_direct(&self) -> bool {
        self.lock_with_route().is_some_and(|state| self.server_and_faults(&state.route).1.is_direct())
    }

    /// Locks the state and brings the route up to date. Returns `None` if the end is deleted or the network is closed.
    fn lock_with_route(&self) -> Option<MutexGuard<'_, State>> {
        if self.network.is_closed() {
            return None;
        }
        let mut state = self.state.lock();
        if self.waits.is_deleted() {
            return None;
        }
        if !self.network.is_current(&state.route.version) {
            state.route = self.network.route(&self.name, &self.waits);
        }
        Some(state)
    }

    /// Returns the server at the end of the route, if it can be reached, and the kinds of faults on the way.
    fn server_and_faults(&self, route: &Route) -> (Option<Arc<RegisteredServer>>, FaultConfig) {
        let server = route.server.upgrade();
        let calm = self.network.is_calm();
        let config = FaultConfig {
            unreliable: route.unreliable && !calm,
            long_reordering: route.long_reordering && !calm,
            unreachable: server.is_none(),
            intercepted: self.network.intercepts(),
            hops: self.network.hops.then_some(self.network.inline_share),
        };
        (server, config)
    }
}

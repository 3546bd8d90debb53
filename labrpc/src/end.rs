//! The caller's side of the network: an end, its random stream, and the calls that wait on it.

use std::fmt;
use std::panic::Location;

use labstd::rng::{self, Stream};
use labstd::sync::{Arc, Latch, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Name;
use crate::call::{self, Request};
use crate::faults::{CallFaults, FaultConfig};
use crate::network::{Route, RouteVersion, Shared};
use crate::payload::Payload;
use crate::reply_slot::ReplySlot;
use crate::server::RegisteredServer;
use crate::service::Types;
use crate::trace::Loss;

/// The outcome for which a call waits. The call goes on, with the reply if it waited for one, or it is lost.
pub(crate) type CallOutcome = Result<Payload, Loss>;

/// One end of the network. Its owner calls the one server that the end is connected to. Clones are the same end.
///
/// Any number of calls may be in flight on it. A slow call delays no other, and calls may overtake each other.
#[derive(Clone)]
pub struct ClientEnd(Arc<End>);

impl ClientEnd {
    pub(crate) fn new(end: Arc<End>) -> ClientEnd {
        ClientEnd(end)
    }

    pub(crate) fn end(&self) -> &Arc<End> {
        &self.0
    }

    /// The name that the end was made with.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Calls a method, such as `"Raft.AppendEntries"`, and waits for the reply. `None` is the lab's `false`: the
    /// request or the reply was lost, or the server could not be reached, or it was removed before it replied. The
    /// handler may or may not have run.
    ///
    /// There is no time limit: a call waits for as long as its handler runs. If the server cannot be reached, the call
    /// fails within 0.1 s, with long delays within 7 s. On a deleted end, and after
    /// [`Network::cleanup`](crate::Network::cleanup), it returns `None` at once and is not counted.
    ///
    /// # Panics
    ///
    /// If `method` is not `Service.Method`, if the server has no such method, or if the method has other types than
    /// `Args` and `Reply`; the message lists the alternatives. If `args` cannot be encoded, or the reply cannot be
    /// decoded.
    #[track_caller]
    pub fn call<Args, Reply>(&self, method: &str, args: &Args) -> Option<Reply>
    where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let types = Types::of::<Args, Reply>();
        let request = Request { method, types, args: Payload::encode(args) };
        let reply = thread::called_from(Location::caller(), || call::execute(&self.0, &request))?;
        Some(decode_reply(method, &reply))
    }

    /// Starts a [`call`](ClientEnd::call) and returns at once. A thread of the network makes the call and then always
    /// calls `on_reply`, in the caller's present thread group. The arguments are encoded before this method returns.
    ///
    /// # Panics
    ///
    /// As `call`. A failure to encode panics on the calling thread, all others on the network's thread.
    #[track_caller]
    pub fn call_async<Args, Reply>(
        &self,
        method: &'static str,
        args: &Args,
        on_reply: impl FnOnce(Option<Reply>) + Send + 'static,
    ) where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let end = Arc::clone(&self.0);
        let types = Types::of::<Args, Reply>();
        let args = Payload::encode(args);
        let from = Location::caller();
        let job = Box::new(move || {
            let request = Request { method, types, args };
            let reply = thread::called_from(from, || call::execute(&end, &request));
            on_reply(reply.map(|reply| decode_reply(method, &reply)));
        });
        self.0.network.pool.run_in(Group::current(), job);
    }
}

pub(crate) fn decode_reply<Reply: DeserializeOwned>(method: &str, reply: &[u8]) -> Reply {
    labgob::decode(reply).unwrap_or_else(|error| panic!("the reply of {method} does not survive encoding: {error}"))
}

impl fmt::Debug for ClientEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientEnd").field(&self.0.name).finish()
    }
}

/// The state that the clones of a [`ClientEnd`] share. The network's configuration says what the end is connected to;
/// the end keeps a copy of its own part until the configuration changes.
pub(crate) struct End {
    pub(crate) name: Name,
    pub(crate) network: Arc<Shared>,
    state: Mutex<State>,
    /// The latch that is opened, under the lock of `state`, when the end is deleted.
    deleted: Latch,
}

struct State {
    stream: Stream,
    route: Route,
    /// The calls that wait for their outcomes, with their numbers. There are a few at most.
    waiting: Vec<(u64, Arc<ReplySlot>)>,
}

/// The route and the faults of one call. They are fixed when the call begins, whatever is changed meanwhile.
pub(crate) struct CallPlan {
    pub(crate) version: RouteVersion,
    /// `None` if no server can be reached.
    pub(crate) server: Option<Arc<RegisteredServer>>,
    pub(crate) faults: CallFaults,
}

impl End {
    /// Makes an end whose faults are drawn from the random stream named `stream`.
    pub(crate) fn new(name: Name, stream: &str, network: Arc<Shared>) -> End {
        let state = State { stream: rng::stream(stream), route: Route::default(), waiting: Vec::new() };
        End { name, network, state: Mutex::new(state), deleted: Latch::new() }
    }

    /// Plans a call that begins now. Returns `None` if the end is deleted.
    pub(crate) fn plan_call(self: &Arc<End>) -> Option<CallPlan> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return None;
        }
        self.refresh_route(&mut state);
        let State { route, stream, .. } = &mut *state;
        let server = route.server.upgrade();
        let calm = self.network.is_calm();
        let config = FaultConfig {
            unreliable: route.unreliable && !calm,
            long_reordering: route.long_reordering && !calm,
            hops: self.network.hops,
            unreachable: server.is_none(),
        };
        let faults = if config.is_fault_free() { CallFaults::default() } else { CallFaults::draw(stream, config) };
        Some(CallPlan { version: route.version.clone(), server, faults })
    }

    /// Returns the server and the route's version, if a call that begins now is certain to reach the server without
    /// delay.
    pub(crate) fn direct_route(self: &Arc<End>) -> Option<(RouteVersion, Arc<RegisteredServer>)> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return None;
        }
        self.refresh_route(&mut state);
        let route = &state.route;
        let free = !(route.unreliable || route.long_reordering) || self.network.is_calm();
        let server = if free { route.server.upgrade() } else { None }?;
        Some((route.version.clone(), server))
    }

    /// Reads this end's part of the network's configuration again, if the configuration has changed.
    fn refresh_route(self: &Arc<End>, state: &mut State) {
        if !self.network.is_current(&state.route.version) {
            state.route = self.network.route(self);
        }
    }

    /// Waits for `time` to pass.
    ///
    /// # Errors
    ///
    /// If the end is deleted, before or during the wait; it then returns at once.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Loss> {
        if time.is_zero() {
            return Ok(());
        }
        if self.deleted.wait_for(time) { Err(Loss::Abandoned) } else { Ok(()) }
    }

    /// Notes that call number `call` waits for the outcome in `slot`. If the end is deleted, that becomes the outcome.
    ///
    /// # Errors
    ///
    /// If the end is deleted already.
    pub(crate) fn register_wait(&self, call: u64, slot: Arc<ReplySlot>) -> Result<(), Loss> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return Err(Loss::Abandoned);
        }
        state.waiting.push((call, slot));
        Ok(())
    }

    /// Notes that call number `call` no longer waits.
    pub(crate) fn deregister_wait(&self, call: u64) {
        let mut state = self.state.lock();
        if let Some(index) = state.waiting.iter().position(|&(number, _)| number == call) {
            state.waiting.swap_remove(index);
        }
    }

    /// Ends all waiting calls, and every later call.
    pub(crate) fn delete(&self) {
        let mut waiting = {
            let mut state = self.state.lock();
            self.deleted.open();
            std::mem::take(&mut state.waiting)
        };
        waiting.sort_unstable_by_key(|&(number, _)| number);
        for (_, slot) in waiting {
            // A call that has its outcome already does not read this one.
            slot.put(Err(Loss::Abandoned));
        }
    }
}

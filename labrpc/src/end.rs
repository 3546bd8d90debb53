//! The caller's side of the network: an end, its generator, and the calls that wait on it.

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
use crate::fate::{Fate, Hazards};
use crate::letterbox::Letterbox;
use crate::network::{Route, Shared, Way};
use crate::packet::Packet;
use crate::server::Registered;
use crate::service::Types;
use crate::trace::Loss;

/// What a waiting call is told: it goes on, with the reply if it waited for one, or it is lost.
pub(crate) type News = Result<Packet, Loss>;

/// One end of the network, through which its owner calls the one server that it is connected to. Clones are the same
/// end.
///
/// Any number of calls may be under way on it; a slow one delays no other, and they may overtake each other.
#[derive(Clone)]
pub struct ClientEnd(Arc<End>);

impl ClientEnd {
    pub(crate) fn new(end: Arc<End>) -> ClientEnd {
        ClientEnd(end)
    }

    pub(crate) fn end(&self) -> &Arc<End> {
        &self.0
    }

    /// The name given at the making.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Calls a method, such as `"Raft.AppendEntries"`, and waits for the reply. `None` is the lab's `false`: the
    /// request or the reply was lost, or the server could not be reached, or did not answer before it was removed. The
    /// handler may or may not have run.
    ///
    /// There is no time limit: a call waits for as long as its handler runs. If the server cannot be reached it takes
    /// up to 0.1 s to fail, with long delays up to 7 s. On a deleted end, and after
    /// [`Network::cleanup`](crate::Network::cleanup), it returns `None` at once, and is not counted.
    ///
    /// # Panics
    ///
    /// If `method` is not `Service.Method`, if the server has no such method, or if the method has other types than
    /// `Args` and `Reply`; the message lists what there is. If `args` cannot be encoded, or the reply not decoded.
    #[track_caller]
    pub fn call<Args, Reply>(&self, method: &str, args: &Args) -> Option<Reply>
    where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let types = Types::of::<Args, Reply>();
        let request = Request { method, types, args: Packet::of(args) };
        let reply = thread::called_from(Location::caller(), || call::live(&self.0, &request))?;
        Some(decode_reply(method, &reply))
    }

    /// As [`call`](ClientEnd::call), but returns at once: a thread of the network makes the call and then calls
    /// `on_reply`, always, in the thread group that the calling thread is in now. The arguments are encoded at once.
    ///
    /// # Panics
    ///
    /// As `call`; all but the failure to encode panic on the network's thread.
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
        let args = Packet::of(args);
        let from = Location::caller();
        let job = Box::new(move || {
            let request = Request { method, types, args };
            let reply = thread::called_from(from, || call::live(&end, &request));
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

/// What the clones of a [`ClientEnd`] share. What the end is connected to is in the network's configuration; a copy of
/// the part that concerns this end is kept here while that does not change.
pub(crate) struct End {
    pub(crate) name: Name,
    pub(crate) network: Arc<Shared>,
    state: Mutex<State>,
    /// Opened, under the lock, when the end is deleted.
    deleted: Latch,
}

struct State {
    stream: Stream,
    route: Route,
    /// The calls that wait for news, with their numbers: a few at most.
    waiting: Vec<(u64, Arc<Letterbox>)>,
}

/// What a call knows when it sets out. It stays fixed for this call, whatever is changed meanwhile.
pub(crate) struct Departure {
    pub(crate) way: Way,
    /// `None` if nobody can be reached.
    pub(crate) server: Option<Arc<Registered>>,
    pub(crate) fate: Fate,
}

impl End {
    /// An end whose chances are drawn from the stream of this name.
    pub(crate) fn new(name: Name, stream: &str, network: Arc<Shared>) -> End {
        let state = State { stream: rng::stream(stream), route: Route::default(), waiting: Vec::new() };
        End { name, network, state: Mutex::new(state), deleted: Latch::new() }
    }

    /// A call sets out; `None` if the end is deleted.
    pub(crate) fn depart(self: &Arc<End>) -> Option<Departure> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return None;
        }
        self.look_up_route(&mut state);
        let State { route, stream, .. } = &mut *state;
        let server = route.server.upgrade();
        let calm = self.network.is_calm();
        let hazards = Hazards {
            unreliable: route.unreliable && !calm,
            long_reordering: route.long_reordering && !calm,
            hops: self.network.hops,
            unreachable: server.is_none(),
        };
        let fate = if hazards.none() { Fate::default() } else { Fate::draw(stream, hazards) };
        Some(Departure { way: route.way.clone(), server, fate })
    }

    /// The server, if a call that sets out now reaches it without delay, whatever chance says; and how it goes there.
    pub(crate) fn open_road(self: &Arc<End>) -> Option<(Way, Arc<Registered>)> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return None;
        }
        self.look_up_route(&mut state);
        let route = &state.route;
        let free = !(route.unreliable || route.long_reordering) || self.network.is_calm();
        let server = if free { route.server.upgrade() } else { None }?;
        Some((route.way.clone(), server))
    }

    /// Looks what the network's configuration says about this end, if it has changed.
    fn look_up_route(self: &Arc<End>, state: &mut State) {
        if !self.network.is_current(&state.route.way) {
            state.route = self.network.route(self);
        }
    }

    /// Waits for `time` to pass.
    ///
    /// # Errors
    ///
    /// At once, if the end is deleted.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Loss> {
        if time.is_zero() {
            return Ok(());
        }
        if self.deleted.wait_for(time) { Err(Loss::Abandoned) } else { Ok(()) }
    }

    /// Call number `call` waits for what comes into `letterbox` from now on; that is the end's deletion, if it is deleted.
    ///
    /// # Errors
    ///
    /// If it is deleted already.
    pub(crate) fn expect_news(&self, call: u64, letterbox: Arc<Letterbox>) -> Result<(), Loss> {
        let mut state = self.state.lock();
        if self.deleted.is_open() {
            return Err(Loss::Abandoned);
        }
        state.waiting.push((call, letterbox));
        Ok(())
    }

    /// Call number `call` has its news.
    pub(crate) fn had_news(&self, call: u64) {
        let mut state = self.state.lock();
        if let Some(place) = state.waiting.iter().position(|&(number, _)| number == call) {
            state.waiting.swap_remove(place);
        }
    }

    /// Ends all calls that wait, and every later one.
    pub(crate) fn delete(&self) {
        let mut waiting = {
            let mut state = self.state.lock();
            self.deleted.open();
            std::mem::take(&mut state.waiting)
        };
        waiting.sort_unstable_by_key(|&(number, _)| number);
        for (_, letterbox) in waiting {
            // A call that has its news already does not read this.
            letterbox.put(Err(Loss::Abandoned));
        }
    }
}

//! The caller's side of the network: an end, and the calls that its owner makes.

use std::fmt;
use std::panic::Location;

use labstd::sync::Arc;
use labstd::thread::{self, Group};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Name;
use crate::call::{self, Request};
use crate::end::{CallPlan, End};
use crate::payload::Payload;
use crate::service::Types;

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
        let from = Location::caller();
        self.check_thread(method, from);
        let types = Types::of::<Args, Reply>();
        let request = Request { method, types, args: Payload::encode(args) };
        let reply = thread::called_from(from, || call::execute(&self.0, &request))?;
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
        self.call_on_pool(None, method, args, on_reply);
    }

    /// Fails the simulation of the network if the calling thread is not part of it.
    #[inline]
    pub(crate) fn check_thread(&self, method: &str, from: &'static Location<'static>) {
        self.0.network.home.check(|| format!("calls {method} over the network"), from);
    }

    /// Has a pooled thread make a call, with this plan or with one that it makes when it begins.
    #[track_caller]
    pub(crate) fn call_on_pool<Args, Reply>(
        &self,
        plan: Option<CallPlan>,
        method: &'static str,
        args: &Args,
        on_reply: impl FnOnce(Option<Reply>) + Send + 'static,
    ) where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let from = Location::caller();
        self.check_thread(method, from);
        let end = Arc::clone(&self.0);
        let types = Types::of::<Args, Reply>();
        let args = Payload::encode(args);
        let job = Box::new(move || {
            let request = Request { method, types, args };
            let reply = thread::called_from(from, || match &plan {
                Some(plan) => call::execute_planned(&end, &request, plan),
                None => call::execute(&end, &request),
            });
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

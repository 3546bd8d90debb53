//! Inline calls: the calling thread makes the whole call at once if nothing in it takes time. Handing a call over to
//! another thread costs more than the rest of the call.
//!
//! On threads, every call on a reliable network takes no time. In a simulation a share of them does, which the seed
//! decides (`faults.rs`), so that a simulation reaches this path too.

use std::panic::Location;
use std::task::Poll;

use labstd::thread;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{self, Request};
use crate::client_end::{ClientEnd, decode_reply};
use crate::end::CallPlan;
use crate::payload::Payload;
use crate::service::Types;

impl ClientEnd {
    /// Makes the call inline if it takes no time; otherwise acts as [`call_async`](ClientEnd::call_async).
    /// `Poll::Ready` is the outcome of an inline call, and `on_reply` is dropped. `Poll::Pending` means that `on_reply`
    /// will receive the outcome.
    ///
    /// A call takes no time if the network is reliable, the server can be reached, there is no interceptor, and the
    /// handler never blocks. In a simulation only a share of these calls takes no time. The caller should hold no lock
    /// that a handler might want.
    ///
    /// # Panics
    ///
    /// As `call_async`.
    #[track_caller]
    pub fn call_inline<Args, Reply>(
        &self,
        method: &'static str,
        args: &Args,
        on_reply: impl FnOnce(Option<Reply>) + Send + 'static,
    ) -> Poll<Option<Reply>>
    where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let end = self.end();
        self.check_thread(method, Location::caller());
        let plan = end.plan_call();
        let Some(plan) = plan.as_ref().filter(|plan| completes_inline(plan, method)) else {
            self.call_on_pool(plan, method, args, on_reply);
            return Poll::Pending;
        };
        let request = Request { method, types: Types::of::<Args, Reply>(), args: Payload::encode(args) };
        let reply = thread::called_from(Location::caller(), || call::execute_planned(end, &request, plan));
        Poll::Ready(reply.map(|reply| decode_reply(method, &reply)))
    }

    /// Reports whether [`call_inline`](ClientEnd::call_inline) may complete now: the network is reliable, the server
    /// can be reached, and there is no interceptor.
    pub fn may_complete_inline(&self) -> bool {
        self.end().may_be_direct()
    }
}

/// Reports whether neither the messages of a call nor its handler take time.
fn completes_inline(plan: &CallPlan, method: &str) -> bool {
    plan.inline && plan.server.as_ref().is_some_and(|server| server.handles_inline(method))
}

//! The fast path of a call: the calling thread makes the whole call at once if nothing in it takes time. Handing a call
//! over to another thread costs more than the rest of the call.
//!
//! An inline call is counted and recorded like any other. It skips only steps that cannot apply to it: it draws no
//! faults, does not wait, and asks no interceptor, because there is none.

use std::panic::Location;
use std::task::Poll;

use labstd::sync::Arc;
use labstd::thread;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::end::{ClientEnd, End, decode_reply};
use crate::network::RouteVersion;
use crate::payload::Payload;
use crate::server::RegisteredServer;
use crate::service::{Handler, Types};
use crate::trace::Trace;

impl ClientEnd {
    /// Makes the call inline if it takes no time; otherwise acts as [`call_async`](ClientEnd::call_async).
    /// `Poll::Ready` is the outcome of an inline call, and `on_reply` is dropped. `Poll::Pending` means that `on_reply`
    /// will receive the outcome.
    ///
    /// A call takes no time if the network is reliable, the server can be reached, there is no interceptor, and the
    /// handler never blocks. In a simulation every call takes time, because messages do. The caller should hold no lock
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
        let types = Types::of::<Args, Reply>();
        let from = Location::caller();
        let outcome = thread::called_from(from, || call(self.end(), method, types, || Payload::encode(args)));
        match outcome {
            Some(reply) => Poll::Ready(reply.map(|reply| decode_reply(method, &reply))),
            None => {
                self.call_async(method, args, on_reply);
                Poll::Pending
            }
        }
    }

    /// Reports whether a message would reach its server at once. If so, the network does not prevent an
    /// [inline call](ClientEnd::call_inline); the handler may.
    pub fn allows_inline_calls(&self) -> bool {
        let end = self.end();
        !end.network.takes_time() && !end.network.is_closed() && end.direct_route().is_some()
    }
}

/// Makes a call if it takes no time; otherwise returns `None`. `Some(None)` is a failed call.
fn call(end: &Arc<End>, method: &str, types: Types, args: impl FnOnce() -> Payload) -> Option<Option<Payload>> {
    let network = &end.network;
    if network.takes_time() || network.is_closed() {
        return None;
    }
    let (version, server) = end.direct_route()?;
    if !server.handles_inline(method) {
        return None;
    }
    let args = args();
    let number = network.accept(args.len());
    let trace = Trace::sent(number, version.target.as_ref(), method, args.len());
    let found = server.dispatch(method, types);
    trace.delivered(&server);
    let Handler::Inline(handler) = &found.handler else { unreachable!("the method is handled inline") };
    let reply = server.run(|| handler(&args));
    Some(finish(end, &version, &server, reply, trace))
}

/// Returns the reply, unless the server was replaced or the end was disabled or deleted in the meantime.
fn finish(
    end: &Arc<End>,
    version: &RouteVersion,
    server: &Arc<RegisteredServer>,
    reply: Payload,
    trace: Trace,
) -> Option<Payload> {
    match end.network.check_alive(end, version, server) {
        Ok(()) => {
            end.network.delivered(reply.len());
            trace.answered(reply.len());
            Some(reply)
        }
        Err(why) => {
            trace.lost(why);
            None
        }
    }
}

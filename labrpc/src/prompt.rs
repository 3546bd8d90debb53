//! The fast path of a call: made on the calling thread, from beginning to end, if nothing on its way takes time. Handing a
//! call over to another thread costs more than everything else about it together.
//!
//! Such a call is counted and recorded as any other. What is left out is what cannot happen to it: it draws no fate, waits
//! for nothing, and no interceptor is asked, because there is none.

use std::panic::Location;

use labstd::sync::Arc;
use labstd::thread;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::end::{ClientEnd, End, decode_reply};
use crate::network::Way;
use crate::packet::Packet;
use crate::server::Registered;
use crate::service::{Handler, Types};
use crate::trace::Trace;

/// What has become of a [prompt call](ClientEnd::call_promptly).
#[derive(Debug)]
#[must_use = "an outcome is told here or to the callback, not both"]
pub enum Prompt<Reply> {
    /// The call is over, and this is its outcome; the callback was dropped.
    Done(Option<Reply>),
    /// The call takes its time, and the callback will have its outcome.
    UnderWay,
}

impl<Reply> Prompt<Reply> {
    /// The same outcome with another reply.
    pub fn map<Other>(self, change: impl FnOnce(Reply) -> Other) -> Prompt<Other> {
        match self {
            Prompt::Done(reply) => Prompt::Done(reply.map(change)),
            Prompt::UnderWay => Prompt::UnderWay,
        }
    }
}

impl ClientEnd {
    /// As [`call_async`](ClientEnd::call_async), but if the call takes no time it is made at once, on the calling thread,
    /// and its outcome is returned in the place of being given to `on_reply`. It takes no time if the network is reliable
    /// and the server can be reached, nobody intercepts, and the handler is one that never blocks; in a simulation it
    /// always does, because messages do. The caller should hold no lock that a handler might want.
    ///
    /// # Panics
    ///
    /// As `call_async`.
    #[track_caller]
    pub fn call_promptly<Args, Reply>(
        &self,
        method: &'static str,
        args: &Args,
        on_reply: impl FnOnce(Option<Reply>) + Send + 'static,
    ) -> Prompt<Reply>
    where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        let types = Types::of::<Args, Reply>();
        let from = Location::caller();
        let prompt = thread::called_from(from, || call(self.end(), method, types, || Packet::of(args)));
        match prompt {
            Some(reply) => Prompt::Done(reply.map(|reply| decode_reply(method, &reply))),
            None => {
                self.call_async(method, args, on_reply);
                Prompt::UnderWay
            }
        }
    }
}

impl ClientEnd {
    /// Whether a message would reach its server at once: as far as the network is concerned, a call could be made
    /// [promptly](ClientEnd::call_promptly).
    pub fn takes_no_time(&self) -> bool {
        let end = self.end();
        !end.network.takes_time() && !end.network.is_closed() && end.open_road().is_some()
    }
}

/// Makes a call, if it takes no time; `Some(None)` if it fails.
fn call(end: &Arc<End>, method: &str, types: Types, args: impl FnOnce() -> Packet) -> Option<Option<Packet>> {
    let network = &end.network;
    if network.takes_time() || network.is_closed() {
        return None;
    }
    let (way, server) = end.open_road()?;
    if !server.answers_promptly(method) {
        return None;
    }
    let args = args();
    let number = network.accept(args.len());
    let trace = Trace::sent(number, way.target.as_ref(), method, args.len());
    let found = server.dispatch(method, types);
    trace.delivered(&server);
    let Handler::Prompt(handler) = &found.handler else { unreachable!("it answers promptly") };
    let reply = server.run(|| handler(&args));
    Some(arrive(end, &way, &server, reply, trace))
}

/// The reply is there, unless the server was replaced or the end cut off in the meantime.
fn arrive(end: &Arc<End>, way: &Way, server: &Arc<Registered>, reply: Packet, trace: Trace) -> Option<Packet> {
    match end.network.check_alive(end, way, server) {
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

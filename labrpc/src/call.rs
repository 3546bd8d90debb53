//! The life of one call, step by step (spec of the course's labrpc). The request is delayed, lost or delivered; the
//! handler runs; the reply is lost, delayed or delivered.
//!
//! The caller's own thread performs every step, waits included. Only a handler that may block runs on another thread.
//! Each wait ends at once when the caller's end is deleted.

use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};
use record::Loss;

use crate::answer::ErasedAnswer;
use crate::end::{CallPlan, End};
use crate::intercept::{Direction, Interceptor, Message, Verdict};
use crate::payload::Payload;
use crate::reply_slot::ReplySlot;
use crate::server::{RegisteredServer, split_method_name};
use crate::service::{Handler, Method, Types};
use crate::trace::Trace;

/// Interval at which a waiting caller checks that the server still exists. The course's labrpc uses the same interval.
const LIVENESS_POLL: Duration = Duration::from_millis(100);

/// The request of a call.
pub(crate) struct Request<'a> {
    /// Service and method, with a dot between them.
    pub(crate) method: &'a str,
    pub(crate) types: Types,
    pub(crate) args: Payload,
}

/// An in-flight call.
struct Call<'a> {
    number: u64,
    end: &'a Arc<End>,
    request: &'a Request<'a>,
    plan: &'a CallPlan,
    trace: Trace,
}

/// Plans a call and makes it. Returns `None` if the call fails.
pub(crate) fn execute(end: &Arc<End>, request: &Request<'_>) -> Option<Payload> {
    execute_planned(end, request, &end.plan_call()?)
}

/// Makes a call that has been planned. Returns `None` if the call fails.
pub(crate) fn execute_planned(end: &Arc<End>, request: &Request<'_>, plan: &CallPlan) -> Option<Payload> {
    let network = &end.network;
    if network.is_closed() {
        return None;
    }
    let number = network.accept(request.args.len());
    let trace = Trace::sent(number, plan.version.target.as_ref(), request.method, request.args.len());
    let call = Call { number, end, request, plan, trace };
    match call.run() {
        Ok(reply) => {
            network.delivered(reply.len());
            trace.answered(reply.len());
            Some(reply)
        }
        Err(why) => {
            // The call may have failed before any server looked for the method. A malformed name must panic all the
            // same.
            split_method_name(request.method);
            trace.lost(why);
            None
        }
    }
}

impl Call<'_> {
    fn run(&self) -> Result<Payload, Loss> {
        let Some(server) = &self.plan.server else { return Err(self.fail_unreachable()) };
        self.deliver_request(server)?;
        let found = server.dispatch(self.request.method, self.request.types);
        self.trace.delivered(server);
        let args = &self.request.args;
        let reply = match &found.handler {
            Handler::Inline(handler) => server.run(|| handler(args)),
            Handler::Deferred(handler) => {
                self.handle_and_wait(server, |answer| server.run(|| handler(args, answer)))?
            }
            Handler::Blocking(_) => {
                self.handle_and_wait(server, |answer| self.handle_on_pool(server, found, answer))?
            }
        };
        self.check_alive(server)?;
        self.deliver_reply(server, reply)
    }

    /// Fails the call after a delay, because no server can be reached.
    fn fail_unreachable(&self) -> Loss {
        let faults = &self.plan.faults;
        let long = self.end.network.has_long_delays();
        let time = if long { faults.long_failure_delay } else { faults.failure_delay };
        self.end.waits.wait(time).err().unwrap_or(Loss::Unreachable)
    }

    /// Brings the request to the server.
    fn deliver_request(&self, server: &Arc<RegisteredServer>) -> Result<(), Loss> {
        let faults = &self.plan.faults;
        if faults.request_lost {
            self.end.waits.wait(faults.request_delay)?;
            return Err(Loss::RequestDropped);
        }
        let more = self.intercept(Direction::Request, server, &self.request.args)?;
        let time = faults.request_delay + faults.request_hop + more;
        if time.is_zero() {
            return Ok(());
        }
        let arrival = Instant::now() + time;
        self.end.waits.wait(time).inspect_err(|_| {
            let left = arrival.saturating_duration_since(Instant::now());
            self.deliver_detached(server, left);
        })
    }

    /// Delivers an in-flight request whose caller has gone: the request still arrives and is handled, and the reply is
    /// discarded.
    fn deliver_detached(&self, server: &Arc<RegisteredServer>, left: Duration) {
        let (server, trace) = (Arc::clone(server), self.trace);
        let Request { method, types, args } = self.request;
        let (method, types, args) = (method.to_string(), *types, args.clone());
        self.end.network.pool.run(Box::new(move || {
            thread::sleep(left);
            let found = server.dispatch(&method, types);
            trace.delivered(&server);
            match &found.handler {
                Handler::Inline(handler) | Handler::Blocking(handler) => drop(server.run(|| handler(&args))),
                Handler::Deferred(handler) => {
                    server.run(|| handler(&args, ErasedAnswer::to(&Arc::new(ReplySlot::new()))));
                }
            }
        }));
    }

    /// Runs the handler on a pooled thread. The handler runs to its end even if the caller stops waiting, because its
    /// request has arrived.
    fn handle_on_pool(&self, server: &Arc<RegisteredServer>, method: &Arc<Method>, answer: ErasedAnswer) {
        let (server, method, args) = (Arc::clone(server), Arc::clone(method), self.request.args.clone());
        self.end.network.pool.run(Box::new(move || {
            if let Handler::Blocking(handler) = &method.handler {
                answer.give(server.run(|| handler(&args)));
            }
        }));
    }

    /// Calls `handle`, which starts the handler, and waits for the answer while the server exists.
    fn handle_and_wait(
        &self,
        server: &Arc<RegisteredServer>,
        handle: impl FnOnce(ErasedAnswer),
    ) -> Result<Payload, Loss> {
        let slot = Arc::new(ReplySlot::new());
        handle(ErasedAnswer::to(&slot));
        // An answer that is there already needs no registered wait. The yield is needed: a caller that never waits
        // keeps its processor, and other callers would meanwhile be stuck in the middle of their calls.
        if let Some(outcome) = slot.take() {
            thread::yield_now();
            return outcome;
        }
        self.wait_registered(&slot, || {
            loop {
                // Each poll starts a fresh timer, so the polls drift, as the course's do.
                match slot.wait_for(LIVENESS_POLL) {
                    Some(outcome) => return outcome,
                    None => self.check_alive(server)?,
                }
            }
        })
    }

    /// Checks that the server was neither removed nor replaced. Otherwise the call has no reply, because a caller must
    /// not see the success of a change that only a superseded incarnation has stored.
    fn check_alive(&self, server: &Arc<RegisteredServer>) -> Result<(), Loss> {
        self.end.network.check_alive(&self.end.name, &self.end.waits, &self.plan.version, server)
    }

    /// Brings the reply to the caller. From here on it does not matter whether the server still exists.
    fn deliver_reply(&self, server: &RegisteredServer, reply: Payload) -> Result<Payload, Loss> {
        let faults = &self.plan.faults;
        if faults.reply_lost {
            return Err(Loss::ReplyDropped);
        }
        let more = self.intercept(Direction::Reply, server, &reply)?;
        self.end.waits.wait(faults.reply_delay + faults.reply_hop + more)?;
        Ok(reply)
    }

    /// Asks the interceptor, if there is one, and applies its verdict. Returns the extra delay of the message.
    #[inline]
    fn intercept(&self, direction: Direction, server: &RegisteredServer, bytes: &Payload) -> Result<Duration, Loss> {
        match self.end.network.interceptor() {
            Some(decide) => self.apply_verdict(&decide, direction, server, bytes),
            None => Ok(Duration::ZERO),
        }
    }

    fn apply_verdict(
        &self,
        decide: &Interceptor,
        direction: Direction,
        server: &RegisteredServer,
        bytes: &Payload,
    ) -> Result<Duration, Loss> {
        let message = Message {
            call: self.number,
            direction,
            end: &self.end.name,
            server: server.name(),
            method: self.request.method,
            bytes,
        };
        match decide(&message) {
            Verdict::Pass => Ok(Duration::ZERO),
            Verdict::Drop => Err(Loss::Intercepted),
            Verdict::Delay(time) => Ok(time),
            Verdict::Hold => self.hold(&message, bytes),
        }
    }

    /// Waits until a test releases or drops the message.
    fn hold(&self, message: &Message<'_>, bytes: &Payload) -> Result<Duration, Loss> {
        let slot = Arc::new(ReplySlot::new());
        self.wait_registered(&slot, || {
            let held_messages = &self.end.network.held_messages;
            let number = held_messages.hold(message, bytes, Arc::clone(&slot))?;
            let outcome = slot.wait();
            held_messages.forget(number);
            outcome.map(|_| Duration::ZERO)
        })
    }

    /// Calls `wait`, which waits for the outcome in `slot`, while the end knows about the wait. If the end is deleted
    /// meanwhile, the outcome is that deletion. If it was deleted before, `wait` is not called.
    fn wait_registered<T>(&self, slot: &Arc<ReplySlot>, wait: impl FnOnce() -> Result<T, Loss>) -> Result<T, Loss> {
        self.end.waits.register(self.number, Arc::clone(slot))?;
        let result = wait();
        self.end.waits.deregister(self.number);
        result
    }
}

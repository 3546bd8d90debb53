//! The life of one call, step by step (spec of the course's labrpc): it sets out, its request is delayed, lost or
//! delivered, the handler runs, its reply is lost, held back or delivered.
//!
//! The caller's own thread does all of it, waits included; only a handler that may block runs elsewhere. Each wait ends
//! at once when the caller's end is deleted.

use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::answer::Sealed;
use crate::end::{Departure, End};
use crate::intercept::{Direction, Message, Verdict};
use crate::letterbox::Letterbox;
use crate::packet::Packet;
use crate::server::{Registered, names};
use crate::service::{Handler, Method, Types};
use crate::trace::{Loss, Trace};

/// While a handler runs, its caller looks this often whether the server is still there.
const LIVENESS_POLL: Duration = Duration::from_millis(100);

/// What is asked.
pub(crate) struct Request<'a> {
    /// Service and method, with a dot between.
    pub(crate) method: &'a str,
    pub(crate) types: Types,
    pub(crate) args: Packet,
}

/// A call under way.
struct Call<'a> {
    number: u64,
    end: &'a Arc<End>,
    request: &'a Request<'a>,
    departure: Departure,
    trace: Trace,
}

/// Makes a call; `None` if it fails.
pub(crate) fn live(end: &Arc<End>, request: &Request<'_>) -> Option<Packet> {
    let network = &end.network;
    if network.is_closed() {
        return None;
    }
    let departure = end.depart()?;
    let number = network.accept(request.args.len());
    let trace = Trace::sent(number, departure.way.target.as_ref(), request.method, request.args.len());
    let call = Call { number, end, request, departure, trace };
    match call.travel() {
        Ok(reply) => {
            network.delivered(reply.len());
            trace.answered(reply.len());
            Some(reply)
        }
        Err(why) => {
            // Maybe nobody has looked for the method; a name that is none is a mistake all the same.
            names(request.method);
            trace.lost(why);
            None
        }
    }
}

impl Call<'_> {
    fn travel(&self) -> Result<Packet, Loss> {
        let Some(server) = &self.departure.server else { return Err(self.fail_slowly()) };
        self.carry_request(server)?;
        let found = server.dispatch(self.request.method, self.request.types);
        self.trace.delivered(server);
        let args = &self.request.args;
        let reply = match &found.handler {
            Handler::Prompt(handler) => server.run(|| handler(args)),
            Handler::Deferred(handler) => {
                self.handle_and_wait(server, |answer| server.run(|| handler(args, answer)))?
            }
            Handler::Blocking(_) => {
                self.handle_and_wait(server, |answer| self.handle_elsewhere(server, found, answer))?
            }
        };
        self.check_alive(server)?;
        self.carry_reply(server, reply)
    }

    /// Nobody can be reached: the call fails after a while.
    fn fail_slowly(&self) -> Loss {
        let fate = &self.departure.fate;
        let long = self.end.network.has_long_delays();
        let time = if long { fate.failure_with_long_delays } else { fate.failure };
        self.end.wait(time).err().unwrap_or(Loss::Unreachable)
    }

    /// Brings the request to the server.
    fn carry_request(&self, server: &Arc<Registered>) -> Result<(), Loss> {
        let fate = &self.departure.fate;
        if fate.request_lost {
            self.end.wait(fate.request_delay)?;
            return Err(Loss::RequestDropped);
        }
        let more = self.intercept(Direction::Request, server, &self.request.args)?;
        let time = fate.request_delay + fate.request_hop + more;
        if time.is_zero() {
            return Ok(());
        }
        let arrival = Instant::now() + time;
        self.end.wait(time).inspect_err(|_| {
            let left = arrival.saturating_duration_since(Instant::now());
            self.go_on_alone(server, left);
        })
    }

    /// The caller is gone, but its request is on its way: it arrives and is handled, and nobody hears the reply.
    fn go_on_alone(&self, server: &Arc<Registered>, left: Duration) {
        let (server, trace) = (Arc::clone(server), self.trace);
        let Request { method, types, args } = self.request;
        let (method, types, args) = (method.to_string(), *types, args.clone());
        self.end.network.pool.run(Box::new(move || {
            thread::sleep(left);
            let found = server.dispatch(&method, types);
            trace.delivered(&server);
            match &found.handler {
                Handler::Prompt(handler) | Handler::Blocking(handler) => drop(server.run(|| handler(&args))),
                Handler::Deferred(handler) => {
                    server.run(|| handler(&args, Sealed::to(&Arc::new(Letterbox::new()))));
                }
            }
        }));
    }

    /// Runs the handler on a pooled thread. It may be waited for or not: it runs to its end, for its request has arrived.
    fn handle_elsewhere(&self, server: &Arc<Registered>, method: &Arc<Method>, answer: Sealed) {
        let (server, method, args) = (Arc::clone(server), Arc::clone(method), self.request.args.clone());
        self.end.network.pool.run(Box::new(move || {
            if let Handler::Blocking(handler) = &method.handler {
                answer.give(server.run(|| handler(&args)));
            }
        }));
    }

    /// Calls `handle`, which sees to it that there will be an answer, and waits for it only as long as the server is there.
    fn handle_and_wait(&self, server: &Arc<Registered>, handle: impl FnOnce(Sealed)) -> Result<Packet, Loss> {
        let letterbox = Arc::new(Letterbox::new());
        handle(Sealed::to(&letterbox));
        // Where nothing has to be waited for, nobody needs to know of the waiting. But a caller that never waits would keep
        // its processor, and the others, which want to call too, would stand in the middle of their calls meanwhile.
        if let Some(news) = letterbox.take() {
            thread::yield_now();
            return news;
        }
        self.expecting(&letterbox, || {
            loop {
                // Each slice is a fresh timer, so the polls drift, as the course's do.
                match letterbox.wait_for(LIVENESS_POLL) {
                    Some(news) => return news,
                    None => self.check_alive(server)?,
                }
            }
        })
    }

    /// A call has no reply from a server that was removed or replaced meanwhile, so that nobody sees the success of a
    /// change that only a superseded incarnation has kept.
    fn check_alive(&self, server: &Arc<Registered>) -> Result<(), Loss> {
        self.end.network.check_alive(self.end, &self.departure.way, server)
    }

    /// Brings the reply to the caller. Whether the server is still there does not matter any more.
    fn carry_reply(&self, server: &Registered, reply: Packet) -> Result<Packet, Loss> {
        let fate = &self.departure.fate;
        if fate.reply_lost {
            return Err(Loss::ReplyDropped);
        }
        let more = self.intercept(Direction::Reply, server, &reply)?;
        self.end.wait(fate.reply_delay + fate.reply_hop + more)?;
        Ok(reply)
    }

    /// Asks the interceptor, if there is one, and does what it says; returns how much longer the message takes.
    fn intercept(&self, direction: Direction, server: &Registered, bytes: &Packet) -> Result<Duration, Loss> {
        let Some(judge) = self.end.network.interceptor() else { return Ok(Duration::ZERO) };
        let message = Message {
            call: self.number,
            direction,
            end: &self.end.name,
            server: server.name(),
            method: self.request.method,
            bytes,
        };
        match judge(&message) {
            Verdict::Pass => Ok(Duration::ZERO),
            Verdict::Drop => Err(Loss::Intercepted),
            Verdict::Delay(time) => Ok(time),
            Verdict::Hold => self.hold(&message, bytes),
        }
    }

    /// Waits until a test lets the message go.
    fn hold(&self, message: &Message<'_>, bytes: &Packet) -> Result<Duration, Loss> {
        let letterbox = Arc::new(Letterbox::new());
        self.expecting(&letterbox, || {
            let holds = &self.end.network.holds;
            let number = holds.hold(message, bytes, Arc::clone(&letterbox))?;
            let verdict = letterbox.wait();
            holds.forget(number);
            verdict.map(|_| Duration::ZERO)
        })
    }

    /// Calls `wait`, which waits for what comes into `letterbox`; that is the end's deletion, should it be deleted meanwhile.
    /// Does not wait if it is deleted already.
    fn expecting<T>(&self, letterbox: &Arc<Letterbox>, wait: impl FnOnce() -> Result<T, Loss>) -> Result<T, Loss> {
        self.end.expect_news(self.number, Arc::clone(letterbox))?;
        let outcome = wait();
        self.end.had_news(self.number);
        outcome
    }
}

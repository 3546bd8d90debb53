//! The life of one call, step by step (spec of the course's labrpc): it sets out, its request is delayed, lost or
//! delivered, the handler runs, its reply is lost, held back or delivered.
//!
//! The caller's own thread does all of it, waits included; only a handler that may block runs elsewhere. Each wait ends
//! at once when the caller's end is deleted.

use bytes::Bytes;
use labstd::channel::{self, Receiver, RecvTimeoutError, Sender};
use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::end::{Departure, End, News};
use crate::intercept::{Direction, Message, Verdict};
use crate::server::Registered;
use crate::service::{Method, Types};
use crate::trace::{Loss, Trace};

/// While a handler runs, its caller looks this often whether the server is still there.
const LIVENESS_POLL: Duration = Duration::from_millis(100);

/// What is asked.
pub(crate) struct Request<'a> {
    /// Service and method, with a dot between.
    pub(crate) method: &'a str,
    pub(crate) types: Types,
    pub(crate) args: Bytes,
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
pub(crate) fn live(end: &Arc<End>, request: &Request<'_>) -> Option<Bytes> {
    let method = request.method;
    let (service, method) = method
        .rsplit_once('.')
        .unwrap_or_else(|| panic!("'{method}' names no method: it must be Service.Method, such as Raft.AppendEntries"));
    let network = &end.network;
    if network.is_closed() {
        return None;
    }
    let departure = end.depart()?;
    let number = network.accept(request.args.len());
    let trace = Trace::sent(number, departure.route.target.as_ref(), request.method, request.args.len());
    let call = Call { number, end, request, departure, trace };
    match call.travel(service, method) {
        Ok(reply) => {
            network.delivered(reply.len());
            trace.answered(reply.len());
            Some(reply)
        }
        Err(why) => {
            trace.lost(why);
            None
        }
    }
}

impl Call<'_> {
    fn travel(&self, service: &str, method: &str) -> Result<Bytes, Loss> {
        let Some(server) = &self.departure.server else { return Err(self.fail_slowly()) };
        self.carry_request(server, service, method)?;
        let found = server.dispatch(service, method, self.request.types);
        self.trace.delivered(server);
        let reply =
            if found.blocks { self.handle_elsewhere(server, &found)? } else { self.handle_here(server, &found) };
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
    fn carry_request(&self, server: &Arc<Registered>, service: &str, method: &str) -> Result<(), Loss> {
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
            self.go_on_alone(server, left, service, method);
        })
    }

    /// The caller is gone, but its request is on its way: it arrives and is handled, and nobody hears the reply.
    fn go_on_alone(&self, server: &Arc<Registered>, left: Duration, service: &str, method: &str) {
        let (server, trace) = (Arc::clone(server), self.trace);
        let (service, method) = (service.to_string(), method.to_string());
        let Request { types, args, .. } = self.request;
        let (types, args) = (*types, args.clone());
        self.end.network.pool.run(Box::new(move || {
            thread::sleep(left);
            let found = server.dispatch(&service, &method, types);
            trace.delivered(&server);
            server.run(&found, &args);
        }));
    }

    /// Runs the handler on the caller's thread.
    fn handle_here(&self, server: &Registered, method: &Method) -> Bytes {
        server.run(method, &self.request.args)
    }

    /// Runs the handler on a pooled thread, and waits for it only as long as its server is there. A handler that is not
    /// waited for, any more or at all, runs to its end: its request has arrived.
    fn handle_elsewhere(&self, server: &Arc<Registered>, method: &Arc<Method>) -> Result<Bytes, Loss> {
        let (sender, news) = news();
        let answer = Answer(Some(sender.clone()));
        let (server_there, method, args) = (Arc::clone(server), Arc::clone(method), self.request.args.clone());
        self.end.network.pool.run(Box::new(move || answer.give(server_there.run(&method, &args))));
        self.expecting(sender, || {
            loop {
                // Each slice is a fresh timer, so the polls drift, as the course's do.
                match news.recv_timeout(LIVENESS_POLL) {
                    Ok(news) => return news,
                    Err(RecvTimeoutError::Timeout) => self.check_alive(server)?,
                    Err(RecvTimeoutError::Disconnected) => return Err(Loss::ServerGone),
                }
            }
        })
    }

    /// A call has no reply from a server that was removed or replaced meanwhile, so that nobody sees the success of a
    /// change that only a superseded incarnation has kept.
    fn check_alive(&self, server: &Arc<Registered>) -> Result<(), Loss> {
        self.end.network.check_alive(self.end, &self.departure.route, server)
    }

    /// Brings the reply to the caller. Whether the server is still there does not matter any more.
    fn carry_reply(&self, server: &Registered, reply: Bytes) -> Result<Bytes, Loss> {
        let fate = &self.departure.fate;
        if fate.reply_lost {
            return Err(Loss::ReplyDropped);
        }
        let more = self.intercept(Direction::Reply, server, &reply)?;
        self.end.wait(fate.reply_delay + fate.reply_hop + more)?;
        Ok(reply)
    }

    /// Asks the interceptor, if there is one, and does what it says; returns how much longer the message takes.
    fn intercept(&self, direction: Direction, server: &Registered, bytes: &Bytes) -> Result<Duration, Loss> {
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
    fn hold(&self, message: &Message<'_>, bytes: &Bytes) -> Result<Duration, Loss> {
        let (sender, news) = news();
        self.expecting(sender.clone(), || {
            let holds = &self.end.network.holds;
            let number = holds.hold(message, bytes, sender)?;
            let verdict = news.recv().unwrap_or(Err(Loss::Intercepted));
            holds.forget(number);
            verdict.map(|_| Duration::ZERO)
        })
    }

    /// Calls `wait`, which waits for news; `sender` is told meanwhile if the end is deleted. Does not wait if it is deleted
    /// already.
    fn expecting<T>(&self, sender: Sender<News>, wait: impl FnOnce() -> Result<T, Loss>) -> Result<T, Loss> {
        self.end.expect_news(self.number, sender)?;
        let outcome = wait();
        self.end.had_news(self.number);
        outcome
    }
}

/// A way to tell a waiting call how it goes on, with room for what it waits for and for its end's deletion: nobody ever
/// blocks to tell.
fn news() -> (Sender<News>, Receiver<News>) {
    channel::bounded(2)
}

/// The promise of a handler to answer; it is broken if the handler panics.
struct Answer(Option<Sender<News>>);

impl Answer {
    fn give(mut self, reply: Bytes) {
        if let Some(sender) = self.0.take() {
            let _ = sender.try_send(Ok(reply));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.try_send(Err(Loss::ServerGone));
        }
    }
}

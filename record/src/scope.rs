//! How a thread finds the stream of its run: through the one context value that `labstd` carries in thread groups and
//! that threads inherit.

use std::{any::Any, sync::Arc};

use labstd::{thread, time};

use crate::encode::Sent;
use crate::{EventKind, Peer, Recorder, ServerId};

/// Where what a thread reports belongs: to a run, and to a server of it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The stream of the run.
    pub recorder: Recorder,
    /// The server that the thread works for; `None` for the tester, the network and the clients.
    pub server: Option<ServerId>,
}

impl Scope {
    /// The scope of a server of the run that `recorder` records, or of what is no server.
    pub fn new(recorder: &Recorder, server: Option<ServerId>) -> Scope {
        Scope { recorder: recorder.clone(), server }
    }

    /// The scope as the context of a thread group or of a run.
    pub fn into_context(self) -> Arc<dyn Any + Send + Sync> {
        Arc::new(self)
    }

    /// Runs `body` in a new thread group of this scope; threads that it starts inherit it. Outside of any run there are
    /// no groups, and `body` runs without the scope.
    pub fn enter<R>(self, group: impl Into<String>, body: impl FnOnce() -> R) -> R {
        thread::Group::new(group, Some(self.into_context())).enter(body)
    }

    /// Reports, now, that the network accepted a request of this server: [`EventKind::RpcSent`], for which nobody has to
    /// own the texts.
    pub fn emit_sent(&self, call: u64, to: &Peer, method: &str, bytes: u64) {
        let from = self.server;
        self.recorder.record_sent(now(), from, &Sent { call, from, to, method, bytes });
    }
}

/// The scope of the calling thread; `None` outside of any run, and in a run that nobody records or whose recorder is off.
pub fn scope() -> Option<Arc<Scope>> {
    thread::context()?.downcast().ok().filter(|scope: &Arc<Scope>| scope.recorder.is_on())
}

/// As [`scope`], for as long as `look` takes: it happens for every event.
pub fn with_scope<T>(look: impl FnOnce(&Scope) -> T) -> Option<T> {
    thread::with_context(|context| {
        let scope: &Scope = context?.downcast_ref()?;
        scope.recorder.is_on().then(|| look(scope))
    })
}

/// Whether what the calling thread reports is recorded. Ask before doing work for a report.
pub fn enabled() -> bool {
    with_scope(|_| ()).is_some()
}

// Those two are in line, so that what they are given need not be moved, and is dropped where its kind is known.

/// Reports that something happened, now, on the calling thread's server. Does nothing outside of a run.
#[inline]
pub fn emit(kind: EventKind) {
    lend(kind, report);
}

/// Reports that something happened, now, on `server`, whatever server the calling thread works for. Does nothing outside
/// of a run.
#[inline]
pub fn emit_for(server: Option<ServerId>, kind: EventKind) {
    lend(kind, |kind| report_for(server, kind));
}

/// Lends an event to `report`. The frequent kinds hold numbers alone and have nothing to drop, which is known where the event is
/// made, and not any more when it comes back.
#[inline]
fn lend(kind: EventKind, report: impl FnOnce(&EventKind)) {
    let only_numbers = matches!(
        kind,
        EventKind::RpcDelivered { .. }
            | EventKind::RpcAnswered { .. }
            | EventKind::LogAppended { .. }
            | EventKind::Committed { .. }
            | EventKind::Applied { .. }
            | EventKind::Persisted { .. }
            | EventKind::CommandSubmitted { .. }
    );
    report(&kind);
    if only_numbers { std::mem::forget(kind) } else { drop(kind) }
}

fn report(kind: &EventKind) {
    with_scope(|scope| scope.recorder.record_kind(now(), scope.server, kind));
}

fn report_for(server: Option<ServerId>, kind: &EventKind) {
    with_scope(|scope| scope.recorder.record_kind(now(), server, kind));
}

/// The time on the run's clock, in nanoseconds; 0 outside of any run.
pub(crate) fn now() -> u64 {
    time::run_elapsed_nanos()
}

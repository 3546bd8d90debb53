//! Connects each thread with the stream of its run, through the one context value that `labstd` stores in thread groups
//! and that threads inherit.

use std::{any::Any, sync::Arc};

use labstd::{thread, time};

use crate::encode::RpcSentRef;
use crate::{EventKind, Peer, Recorder};
use ids::ServerId;

/// The run and the server to which a thread's reports belong.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The stream of the run.
    pub recorder: Recorder,
    /// The server that the thread works for; `None` for the tester, the network and the clients.
    pub server: Option<ServerId>,
}

impl Scope {
    /// Creates the scope of a server in the run that `recorder` records; `None` for the tester, the network and the
    /// clients.
    pub fn new(recorder: &Recorder, server: Option<ServerId>) -> Scope {
        Scope { recorder: recorder.clone(), server }
    }

    /// Returns the scope as the context of a thread group or of a run.
    pub fn into_context(self) -> Arc<dyn Any + Send + Sync> {
        Arc::new(self)
    }

    /// Runs `body` in a new thread group with this scope, which threads started by `body` inherit. Outside of any run
    /// there are no groups, and `body` runs without the scope.
    pub fn enter<R>(self, group: impl Into<String>, body: impl FnOnce() -> R) -> R {
        thread::Group::new(group, Some(self.into_context())).enter(body)
    }

    /// Reports, at the present time, that the network accepted a request of this server: an [`EventKind::RpcSent`] with
    /// borrowed texts.
    pub fn emit_rpc_sent(&self, call: u64, to: &Peer, method: &str, bytes: u64) {
        let from = self.server;
        self.recorder.record_rpc_sent(now(), from, &RpcSentRef { call, from, to, method, bytes });
    }
}

/// Returns the scope of the calling thread; `None` outside of any run, and in a run without a recorder or with a
/// recorder that is off.
pub fn scope() -> Option<Arc<Scope>> {
    thread::context()?.downcast().ok().filter(|scope: &Arc<Scope>| scope.recorder.is_on())
}

/// Calls `f` with the [`scope`] of the calling thread, without counting a reference, because every event does this.
pub fn with_scope<T>(f: impl FnOnce(&Scope) -> T) -> Option<T> {
    thread::with_context(|context| {
        let scope: &Scope = context?.downcast_ref()?;
        scope.recorder.is_on().then(|| f(scope))
    })
}

/// Returns whether reports of the calling thread are recorded. Check it before doing work for a report.
pub fn enabled() -> bool {
    with_scope(|_| ()).is_some()
}

// The next two are inlined, so that their argument is not moved, and is dropped where its kind is known.

/// Reports an event of the calling thread's server at the present time. Does nothing outside of a run.
#[inline]
pub fn emit(kind: EventKind) {
    emit_by_ref(kind, report);
}

/// Reports an event of `server` at the present time, whatever server the calling thread works for. Does nothing outside
/// of a run.
#[inline]
pub fn emit_for(server: Option<ServerId>, kind: EventKind) {
    emit_by_ref(kind, |kind| report_for(server, kind));
}

/// Calls `report` with a borrowed event. The frequent kinds hold only numbers and have nothing to drop. The compiler
/// knows that here, where the event is created, but not after `report` returns.
#[inline]
fn emit_by_ref(kind: EventKind, report: impl FnOnce(&EventKind)) {
    let only_numbers = matches!(
        kind,
        EventKind::RpcDelivered { .. }
            | EventKind::RpcReplied { .. }
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

/// Returns the time on the run's clock, in nanoseconds; 0 outside of any run.
pub(crate) fn now() -> u64 {
    time::run_elapsed_nanos()
}

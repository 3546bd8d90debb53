//! How a thread finds the stream of its run: through the one context value that `labstd` carries in thread groups and
//! that threads inherit.

use std::{any::Any, sync::Arc};

use labstd::{thread, time};

use crate::{Event, EventKind, Recorder, ServerId};

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
}

/// The scope of the calling thread; `None` outside of any run, and in a run that nobody records or whose recorder is off.
pub fn scope() -> Option<Arc<Scope>> {
    thread::context()?.downcast().ok().filter(|scope: &Arc<Scope>| scope.recorder.is_on())
}

/// As [`scope`], for as long as `look` takes, which does no more than to look: it happens for every event.
fn with_scope<T>(look: impl FnOnce(&Scope) -> T) -> Option<T> {
    thread::with_context(|context| {
        let scope: &Scope = context?.downcast_ref()?;
        scope.recorder.is_on().then(|| look(scope))
    })
}

/// Whether what the calling thread reports is recorded. Ask before doing work for a report.
pub fn enabled() -> bool {
    with_scope(|_| ()).is_some()
}

/// Reports that something happened, now, on the calling thread's server. Does nothing outside of a run.
pub fn emit(kind: EventKind) {
    with_scope(|scope| record_now(&scope.recorder, scope.server, kind));
}

/// Reports that something happened, now, on `server`, whatever server the calling thread works for. Does nothing outside
/// of a run.
pub fn emit_for(server: Option<ServerId>, kind: EventKind) {
    with_scope(|scope| record_now(&scope.recorder, server, kind));
}

fn record_now(recorder: &Recorder, server: Option<ServerId>, kind: EventKind) {
    recorder.record(Event { at: now(), server, kind });
}

/// The time on the run's clock, in nanoseconds; 0 outside of any run.
pub(crate) fn now() -> u64 {
    // A run lasts for minutes; the cast is good for five hundred years.
    time::run_elapsed().as_nanos() as u64
}

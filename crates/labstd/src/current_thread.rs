//! The identity of the calling thread: its register entry, and through it its run and its group.

use std::any::Any;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use crate::group::Group;
use crate::state::{NO_RUN, RunState, ThreadInfo};

thread_local! {
    /// The running thread; null on a thread that this crate did not start. A simulation sets it at every switch.
    static CURRENT_THREAD: Cell<*const ThreadInfo> = const { Cell::new(ptr::null()) };
}

/// Sets the calling thread's identity and returns the previous one.
pub(crate) fn set_current_thread(info: *const ThreadInfo) -> *const ThreadInfo {
    CURRENT_THREAD.replace(info)
}

/// Returns the id of the calling thread, 0 if it belongs to no run.
pub(crate) fn current_thread_id() -> u64 {
    with_current_thread(|me| me.map_or(0, |me| me.id))
}

/// Calls `f` with the calling thread's register entry, if it has one.
#[expect(unsafe_code, reason = "the thread-local pointer to the running thread")]
pub(crate) fn with_current_thread<T>(f: impl FnOnce(Option<&ThreadInfo>) -> T) -> T {
    // SAFETY: `CURRENT_THREAD` is null or points into an `Arc<ThreadInfo>` that stays alive while the pointer is set.
    // On an OS thread the frame that set it (`os_threads::CurrentThreadGuard`) holds it, in a simulation the running
    // task. Both outlive the call of `f`.
    f(unsafe { CURRENT_THREAD.get().as_ref() })
}

/// Returns the run of the calling thread.
pub(crate) fn current_run() -> Arc<RunState> {
    with_current_thread(|me| me.map_or_else(|| Arc::clone(&NO_RUN), |me| Arc::clone(&me.run)))
}

/// Calls `f` with the context of the calling thread's group, if it has one.
#[expect(unsafe_code, reason = "the calling thread owns its current group")]
pub(crate) fn with_context<T>(f: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    with_current_thread(|me| match me {
        // SAFETY: the entry is the calling thread's own.
        Some(me) => unsafe { me.group.with(|group| f(group.and_then(Group::context))) },
        None => f(None),
    })
}

impl Group {
    /// Creates a group in the calling thread's run. The group has no threads yet.
    pub fn new(name: impl Into<String>, context: Option<Arc<dyn Any + Send + Sync>>) -> Group {
        Group::of_run(name.into(), context, current_run())
    }

    /// Returns the calling thread's group. `None` outside of any run.
    #[expect(unsafe_code, reason = "the calling thread owns its current group")]
    pub fn current() -> Option<Group> {
        // SAFETY: the entry is the calling thread's own.
        with_current_thread(|me| unsafe { me?.group.with(|group| group.cloned()) })
    }

    /// Calls `body` with the calling thread as a member of this group. Afterwards the thread is in its previous group
    /// again.
    #[expect(unsafe_code, reason = "the calling thread owns its current group")]
    pub fn enter<T>(&self, body: impl FnOnce() -> T) -> T {
        with_current_thread(|me| match me {
            // SAFETY: the entry is the calling thread's own.
            Some(me) => unsafe { me.group.enter(self, body) },
            None => body(),
        })
    }
}

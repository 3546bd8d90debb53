//! Groups of threads, and the current group of each thread. The thread reads it with every event that it reports, and
//! enters a server's group with every call that it handles. Neither takes a lock or counts a reference, because only
//! the thread itself reads the group. Other threads see only the group's number, for reports.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::failure::ThreadStatus;

/// Threads that belong together, such as those of one incarnation of one server. A group has one context value.
///
/// A new thread joins the current group of the thread that starts it: the group in which that thread was started,
/// unless it has [entered](Group::enter) another.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    /// See [`register`].
    number: u64,
    context: Option<Arc<dyn Any + Send + Sync>>,
    run: Arc<dyn ThreadRegister>,
    lags: bool,
}

/// The register of a run's threads, as a group sees it.
pub(crate) trait ThreadRegister: Send + Sync {
    /// Returns the activity of each live thread of the group with this number, in the order in which the threads were
    /// started.
    fn group_statuses(&self, number: u64) -> Vec<ThreadStatus>;
}

impl Drop for Inner {
    fn drop(&mut self) {
        unregister(self.number);
    }
}

impl Group {
    /// Creates a group in `run`. The group has no threads yet.
    pub(crate) fn of_run(
        name: String,
        context: Option<Arc<dyn Any + Send + Sync>>,
        run: Arc<dyn ThreadRegister>,
    ) -> Group {
        let name = name.into();
        let number = register(&name);
        Group(Arc::new(Inner { name, number, context, run, lags: false }))
    }

    /// Returns the same group as a *lagging* one: a simulation sometimes holds a runnable thread that was started in it
    /// ([`ThreadLag`](crate::ThreadLag)). Meant for the threads of a server.
    ///
    /// # Panics
    ///
    /// If the group is already in use.
    pub fn lagging(mut self) -> Group {
        Arc::get_mut(&mut self.0).expect("no other handle to a new group").lags = true;
        self
    }

    /// Returns whether a simulation may hold threads that are started in this group.
    pub(crate) fn lags(&self) -> bool {
        self.0.lags
    }

    /// Returns the name that [`new`](Group::new) was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the number of the group, which no other group has; from 1.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// Returns the context value that [`new`](Group::new) was given.
    pub fn context(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.context.as_ref()
    }

    /// Returns the live members and the activity of each.
    pub fn threads(&self) -> Vec<ThreadStatus> {
        self.0.run.group_statuses(self.0.number)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// The group of one thread, its *owner*.
pub(crate) struct CurrentGroup {
    /// The group that the owner was started in.
    initial: Option<Group>,
    /// The group that the owner has entered, borrowed from the caller of [`enter`](CurrentGroup::enter); null if it has
    /// entered none. Only the owner writes it.
    entered: AtomicPtr<Group>,
    /// The number of the current group, 0 for none. Only the owner writes it.
    number: AtomicU64,
}

impl CurrentGroup {
    pub(crate) fn new(initial: Option<Group>) -> CurrentGroup {
        let number = initial.as_ref().map_or(0, Group::number);
        CurrentGroup { initial, entered: AtomicPtr::new(ptr::null_mut()), number: AtomicU64::new(number) }
    }

    /// Returns the number of the current group, 0 for none. Any thread may call it.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// Calls `f` with the current group.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner.
    #[expect(unsafe_code, reason = "reads a pointer that only the owner writes")]
    pub(crate) unsafe fn with<T>(&self, f: impl FnOnce(Option<&Group>) -> T) -> T {
        // SAFETY: the pointer is null, or points to a group that is borrowed by a call of `enter` in progress. The
        // calling thread made that call, so it cannot return before `f` does.
        f(unsafe { self.entered.load(Relaxed).as_ref() }.or(self.initial.as_ref()))
    }

    /// Calls `body` with the owner in `group`. Afterwards the owner is in its previous group again.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner.
    #[expect(unsafe_code, reason = "lends a group through a pointer that only the owner reads")]
    pub(crate) unsafe fn enter<T>(&self, group: &Group, body: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a CurrentGroup, *mut Group, u64);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.entered.store(self.1, Relaxed);
                self.0.number.store(self.2, Relaxed);
            }
        }
        let _restore = Restore(self, self.entered.load(Relaxed), self.number());
        self.entered.store(ptr::from_ref(group).cast_mut(), Relaxed);
        self.number.store(group.number(), Relaxed);
        body()
    }
}

/// The names of all groups of the process that are in use, by number.
static NAMES: Mutex<BTreeMap<u64, Arc<str>>> = Mutex::new(BTreeMap::new());

/// Registers a new group and returns its number, which no other group ever has; from 1.
fn register(name: &Arc<str>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    NAMES.lock().insert(number, Arc::clone(name));
    number
}

/// Removes a group that no thread and no handle refers to.
fn unregister(number: u64) {
    NAMES.lock().remove(&number);
}

/// Returns the name of a group; empty if the group is not in use.
pub(crate) fn name(number: u64) -> String {
    NAMES.lock().get(&number).map_or_else(String::new, |name| name.to_string())
}

//! The current group of each thread. The thread reads it with every event that it reports, and enters a server's group
//! with every call that it handles. Neither takes a lock or counts a reference, because only the thread itself reads
//! the group. Other threads see only the group's number, for reports.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::thread::Group;

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
pub(crate) fn register(name: &Arc<str>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    NAMES.lock().insert(number, Arc::clone(name));
    number
}

/// Removes a group that no thread and no handle refers to.
pub(crate) fn unregister(number: u64) {
    NAMES.lock().remove(&number);
}

/// Returns the name of a group; empty if the group is not in use.
pub(crate) fn name(number: u64) -> String {
    NAMES.lock().get(&number).map_or_else(String::new, |name| name.to_string())
}

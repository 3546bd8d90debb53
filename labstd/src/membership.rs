//! Which group a thread is in. The thread itself asks at every event that it reports, and enters a server's group with every
//! call that it handles: for either it needs no lock, and counts no reference, because nobody else ever looks at the group
//! itself. Others see its number, for reports.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::thread::Group;

/// The group of one thread, its *owner*.
pub(crate) struct Membership {
    /// The group that the owner was started in.
    home: Option<Group>,
    /// The group that it has entered, lent by who called [`enter`](Membership::enter); null at home. Written by the owner alone.
    entered: AtomicPtr<Group>,
    /// The number of the group that it is in, 0 for none. Written by the owner alone.
    number: AtomicU64,
}

impl Membership {
    pub(crate) fn new(home: Option<Group>) -> Membership {
        let number = home.as_ref().map_or(0, Group::number);
        Membership { home, entered: AtomicPtr::new(ptr::null_mut()), number: AtomicU64::new(number) }
    }

    /// The number of the group, 0 for none, for whoever asks.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// Calls `look` with the group.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner.
    #[expect(unsafe_code, reason = "reading what only the owner enters")]
    pub(crate) unsafe fn look<T>(&self, look: impl FnOnce(Option<&Group>) -> T) -> T {
        // SAFETY: the pointer is null, or of a group lent to a call of `enter` that is under way: by the calling thread, so it
        // is not over before `look` is.
        look(unsafe { self.entered.load(Relaxed).as_ref() }.or(self.home.as_ref()))
    }

    /// Calls `body` with the owner in `group`. Afterwards it is where it was.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner.
    #[expect(unsafe_code, reason = "lending a group to what only the owner reads")]
    pub(crate) unsafe fn enter<T>(&self, group: &Group, body: impl FnOnce() -> T) -> T {
        struct Back<'a>(&'a Membership, *mut Group, u64);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.entered.store(self.1, Relaxed);
                self.0.number.store(self.2, Relaxed);
            }
        }
        let _back = Back(self, self.entered.load(Relaxed), self.number());
        self.entered.store(ptr::from_ref(group).cast_mut(), Relaxed);
        self.number.store(group.number(), Relaxed);
        body()
    }
}

/// The names of all groups of the process that are in use, by number.
static NAMES: Mutex<BTreeMap<u64, Arc<str>>> = Mutex::new(BTreeMap::new());

/// A new group's number, which no other group ever has; from 1.
pub(crate) fn register(name: &Arc<str>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    NAMES.lock().insert(number, Arc::clone(name));
    number
}

/// Nobody has the group any more.
pub(crate) fn unregister(number: u64) {
    NAMES.lock().remove(&number);
}

/// The name of a group; empty if it is not in use.
pub(crate) fn name(number: u64) -> String {
    NAMES.lock().get(&number).map_or_else(String::new, |name| name.to_string())
}

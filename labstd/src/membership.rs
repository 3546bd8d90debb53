//! Which group a thread is in. The thread itself asks at every event that it reports and moves with every call that it handles,
//! and needs no lock for either, because nobody else ever looks at the group itself; others see its number, for reports.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::thread::Group;

/// The group of one thread, its *owner*.
pub(crate) struct Membership {
    group: UnsafeCell<Option<Group>>,
    /// The number of `group`, 0 for none.
    number: AtomicU64,
    /// How many looks of the owner are under way, one inside the other.
    looks: AtomicU32,
}

// SAFETY: `group` is read and written by the owner alone, and written only with no look of its own under way.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Sync for Membership {}

impl Membership {
    pub(crate) fn new(group: Option<Group>) -> Membership {
        let number = AtomicU64::new(number(group.as_ref()));
        Membership { group: UnsafeCell::new(group), number, looks: AtomicU32::new(0) }
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
    #[expect(unsafe_code, reason = "reading what only the owner changes")]
    pub(crate) unsafe fn look<T>(&self, look: impl FnOnce(Option<&Group>) -> T) -> T {
        struct Looking<'a>(&'a AtomicU32);
        impl Drop for Looking<'_> {
            fn drop(&mut self) {
                self.0.store(self.0.load(Relaxed) - 1, Relaxed);
            }
        }
        self.looks.store(self.looks.load(Relaxed) + 1, Relaxed);
        let _looking = Looking(&self.looks);
        // SAFETY: only the owner writes; it is the calling thread, and `change` refuses as long as it looks.
        look(unsafe { (*self.group.get()).as_ref() })
    }

    /// Moves the owner to another group; returns the one that it leaves.
    ///
    /// # Panics
    ///
    /// If the owner looks at its group at the same time.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner.
    #[expect(unsafe_code, reason = "changing what only the owner reads")]
    pub(crate) unsafe fn change(&self, group: Option<Group>) -> Option<Group> {
        assert_eq!(self.looks.load(Relaxed), 0, "a thread cannot move to another group while it looks at its own");
        self.number.store(number(group.as_ref()), Relaxed);
        // SAFETY: only the owner reads; it is the calling thread, and has no reference to it.
        std::mem::replace(unsafe { &mut *self.group.get() }, group)
    }
}

fn number(group: Option<&Group>) -> u64 {
    group.map_or(0, Group::number)
}

/// The names of all groups of the process that are in use, by number.
static NAMES: Mutex<BTreeMap<u64, Arc<str>>> = Mutex::new(BTreeMap::new());

/// A new group's number, which no other group ever has.
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

//! Which group a thread is in. The thread itself asks at every event that it reports and needs no lock for that, because
//! nobody else ever changes it; others ask for reports, under a lock that the thread takes when it moves.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::thread::Group;

/// The group of one thread, its *owner*.
pub(crate) struct Membership {
    group: UnsafeCell<Option<Group>>,
    /// Held by the owner while it moves, and by others while they look.
    moving: Mutex<()>,
    /// How many looks of the owner are under way, one inside the other.
    looks: AtomicU32,
}

// SAFETY: `group` is written by the owner alone, and only with `moving` locked and no look of its own under way. It is read
// by the owner, which does not write meanwhile, and by others with `moving` locked.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Sync for Membership {}

impl Membership {
    pub(crate) fn new(group: Option<Group>) -> Membership {
        Membership { group: UnsafeCell::new(group), moving: Mutex::new(()), looks: AtomicU32::new(0) }
    }

    /// The group, for whoever asks.
    #[expect(unsafe_code, reason = "reading what only the owner changes")]
    pub(crate) fn get(&self) -> Option<Group> {
        let _still = self.moving.lock();
        // SAFETY: the owner writes only while it has `moving` locked, which is locked here.
        unsafe { (*self.group.get()).clone() }
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
    #[expect(unsafe_code, reason = "changing what others read under a lock")]
    pub(crate) unsafe fn change(&self, group: Option<Group>) -> Option<Group> {
        assert_eq!(self.looks.load(Relaxed), 0, "a thread cannot move to another group while it looks at its own");
        let _moving = self.moving.lock();
        // SAFETY: others read only while they have `moving` locked, which is locked here; the owner has no reference to it.
        std::mem::replace(unsafe { &mut *self.group.get() }, group)
    }
}

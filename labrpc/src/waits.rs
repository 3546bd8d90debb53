//! The calls that wait on one end, and the end's deletion, which ends them all.

use labstd::sync::{Arc, Latch, Mutex};
use labstd::time::Duration;
use record::Loss;

use crate::reply_slot::ReplySlot;

/// The waiting calls of one end.
pub(crate) struct Waits {
    /// The calls that wait for their outcomes, with their numbers. There are a few at most.
    waiting: Mutex<Vec<(u64, Arc<ReplySlot>)>>,
    /// Opened, under the lock, when the end is deleted.
    deleted: Latch,
}

impl Waits {
    pub(crate) fn new() -> Waits {
        Waits { waiting: Mutex::new(Vec::new()), deleted: Latch::new() }
    }

    /// Reports whether the end was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.is_open()
    }

    /// Waits for `time` to pass.
    ///
    /// # Errors
    ///
    /// If the end is deleted, before or during the wait; it then returns at once.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Loss> {
        if time.is_zero() {
            return Ok(());
        }
        if self.deleted.wait_for(time) { Err(Loss::Abandoned) } else { Ok(()) }
    }

    /// Notes that call number `call` waits for the outcome in `slot`. If the end is deleted, that becomes the outcome.
    ///
    /// # Errors
    ///
    /// If the end is deleted already.
    pub(crate) fn register(&self, call: u64, slot: Arc<ReplySlot>) -> Result<(), Loss> {
        let mut waiting = self.waiting.lock();
        if self.is_deleted() {
            return Err(Loss::Abandoned);
        }
        waiting.push((call, slot));
        Ok(())
    }

    /// Notes that call number `call` no longer waits.
    pub(crate) fn deregister(&self, call: u64) {
        let mut waiting = self.waiting.lock();
        if let Some(index) = waiting.iter().position(|&(number, _)| number == call) {
            waiting.swap_remove(index);
        }
    }

    /// Deletes the end: ends all waiting calls, and every later call.
    pub(crate) fn delete(&self) {
        let mut ended = {
            let mut waiting = self.waiting.lock();
            self.deleted.open();
            std::mem::take(&mut *waiting)
        };
        ended.sort_unstable_by_key(|&(number, _)| number);
        for (_, slot) in ended {
            // A call that has its outcome already does not read this one.
            slot.put(Err(Loss::Abandoned));
        }
    }
}

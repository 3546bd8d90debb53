//! The obligation of a server to answer one call. The handler receives it and may pass it to another thread.

use std::fmt;
use std::marker::PhantomData;

use labstd::sync::Arc;
use record::Loss;
use serde::Serialize;

use crate::payload::Payload;
use crate::reply_slot::ReplySlot;

/// The answer that a [deferred method](crate::Service::deferred_method) owes its caller. If it is dropped, for instance
/// because a thread panics, the call fails.
pub struct Answer<Reply> {
    erased: ErasedAnswer,
    /// This type consumes a reply and never holds one.
    reply: PhantomData<fn(Reply)>,
}

impl<Reply: Serialize> Answer<Reply> {
    pub(crate) fn new(erased: ErasedAnswer) -> Answer<Reply> {
        Answer { erased, reply: PhantomData }
    }

    /// Answers the call. Never blocks. If the caller has stopped waiting, the reply is discarded.
    pub fn give(self, reply: &Reply) {
        self.erased.give(Payload::encode(reply));
    }
}

impl<Reply> fmt::Debug for Answer<Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer { .. }")
    }
}

/// An [`Answer`] without the type of its reply.
pub(crate) struct ErasedAnswer(Option<Arc<ReplySlot>>);

impl ErasedAnswer {
    /// An answer whose reply goes into `slot`.
    pub(crate) fn to(slot: &Arc<ReplySlot>) -> ErasedAnswer {
        ErasedAnswer(Some(Arc::clone(slot)))
    }

    /// Puts the reply into the slot.
    pub(crate) fn give(mut self, reply: Payload) {
        if let Some(slot) = self.0.take() {
            slot.put(Ok(reply));
        }
    }
}

impl Drop for ErasedAnswer {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.put(Err(Loss::ServerGone));
        }
    }
}

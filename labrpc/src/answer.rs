//! The promise of a server to answer a call: given to the handler, kept by whoever has the answer.

use std::fmt;
use std::marker::PhantomData;

use labstd::sync::Arc;
use serde::Serialize;

use crate::letterbox::Letterbox;
use crate::packet::Packet;
use crate::trace::Loss;

/// The answer that a [deferred method](crate::Service::deferred_method) owes its caller. One that is dropped, for instance
/// because a thread panics, fails the call.
pub struct Answer<Reply> {
    sealed: Sealed,
    /// It takes a reply and has none.
    reply: PhantomData<fn(Reply)>,
}

impl<Reply: Serialize> Answer<Reply> {
    pub(crate) fn new(sealed: Sealed) -> Answer<Reply> {
        Answer { sealed, reply: PhantomData }
    }

    /// Answers the call. Never blocks. A caller that waits no longer does not hear it.
    pub fn give(self, reply: &Reply) {
        self.sealed.give(Packet::of(reply));
    }
}

impl<Reply> fmt::Debug for Answer<Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer { .. }")
    }
}

/// An answer whose type is forgotten.
pub(crate) struct Sealed(Option<Arc<Letterbox>>);

impl Sealed {
    /// The promise to put something into `letterbox`.
    pub(crate) fn to(letterbox: &Arc<Letterbox>) -> Sealed {
        Sealed(Some(Arc::clone(letterbox)))
    }

    /// Keeps it.
    pub(crate) fn give(mut self, reply: Packet) {
        if let Some(letterbox) = self.0.take() {
            letterbox.put(Ok(reply));
        }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if let Some(letterbox) = self.0.take() {
            letterbox.put(Err(Loss::ServerGone));
        }
    }
}

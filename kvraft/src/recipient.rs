//! The recipient of a reply: the handler of a request, which waits on a condition variable.

#[cfg(feature = "fast")] // fast: deferred
use labrpc::Answer; // fast: deferred
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::time::Duration;

use crate::messages::Reply;

/// The recipient of the reply to one request.
pub(crate) enum Recipient {
    /// A handler that waits for the reply.
    Handler(Arc<ReplyCell>),
    #[cfg(feature = "fast")] // fast: deferred
    Deferred(Answer<Reply>), // fast: deferred
}

impl Recipient {
    /// Gives the reply. Never blocks.
    pub(crate) fn give(self, reply: Reply) {
        match self {
            Recipient::Handler(cell) => cell.put(reply),
            #[cfg(feature = "fast")] // fast: deferred
            Recipient::Deferred(answer) => answer.give(&reply), // fast: deferred
        }
    }
}

/// A cell in which a handler finds the reply to its request.
#[derive(Default)]
pub(crate) struct ReplyCell {
    reply: Mutex<Option<Reply>>,
    filled: Condvar,
}

impl ReplyCell {
    fn put(&self, reply: Reply) {
        *self.reply.lock() = Some(reply);
        self.filled.notify_one();
    }

    /// Waits for the reply, for at most `time`.
    pub(crate) fn wait_for(&self, time: Duration) -> Option<Reply> {
        let mut reply = self.reply.lock();
        self.filled.wait_while_for(&mut reply, |reply| reply.is_none(), time);
        reply.take()
    }
}

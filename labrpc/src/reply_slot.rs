//! The slot in which a waiting call finds its outcome.

use labstd::sync::{Condvar, Mutex};
use labstd::time::Duration;
use labstd::{Clock, thread};
use record::Loss;

use crate::payload::Payload;

/// The outcome for which a call waits. The call goes on, with the reply if it waited for one, or it is lost.
pub(crate) type CallOutcome = Result<Payload, Loss>;

/// Number of times that a waiting thread yields before it blocks.
const YIELDS_BEFORE_BLOCKING: usize = 4;

/// A slot for one outcome. The first outcome wins: if a call's end is deleted at the moment in which its reply comes,
/// the call sees one or the other.
pub(crate) struct ReplySlot {
    state: Mutex<State>,
    filled: Condvar,
}

enum State {
    Empty,
    Full(CallOutcome),
    /// The call has taken its outcome. Later outcomes are discarded.
    Taken,
}

impl ReplySlot {
    pub(crate) fn new() -> ReplySlot {
        ReplySlot { state: Mutex::new(State::Empty), filled: Condvar::new() }
    }

    /// Gives the call its outcome. Returns `false` if the call has one already. Never blocks.
    pub(crate) fn put(&self, outcome: CallOutcome) -> bool {
        {
            let mut state = self.state.lock();
            if !matches!(*state, State::Empty) {
                return false;
            }
            *state = State::Full(outcome);
        }
        self.filled.notify_one();
        true
    }

    /// Takes the outcome, if it is there.
    pub(crate) fn take(&self) -> Option<CallOutcome> {
        self.state.lock().take()
    }

    /// Waits for the outcome, for at most `time`.
    pub(crate) fn wait_for(&self, time: Duration) -> Option<CallOutcome> {
        if let Some(outcome) = self.yield_briefly() {
            return Some(outcome);
        }
        let mut state = self.state.lock();
        self.filled.wait_while_for(&mut state, |state| matches!(state, State::Empty), time);
        state.take()
    }

    /// Yields a few times, because another thread may bring the outcome meanwhile. Then the waiting thread need not be
    /// blocked and woken, which costs more than most calls. In a simulation blocking costs nothing, so it never yields.
    fn yield_briefly(&self) -> Option<CallOutcome> {
        if labstd::clock() == Clock::Simulated {
            return None;
        }
        (0..YIELDS_BEFORE_BLOCKING).find_map(|_| {
            thread::yield_now();
            self.take()
        })
    }

    /// Waits for the outcome.
    pub(crate) fn wait(&self) -> CallOutcome {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = state.take() {
                return outcome;
            }
            self.filled.wait(&mut state);
        }
    }
}

impl State {
    fn take(&mut self) -> Option<CallOutcome> {
        match std::mem::replace(self, State::Taken) {
            State::Full(outcome) => Some(outcome),
            other => {
                *self = other;
                None
            }
        }
    }
}

//! Where a call that waits finds what becomes of it.

use labstd::sync::{Condvar, Mutex};
use labstd::time::Duration;
use labstd::{Clock, thread};

use crate::end::News;

/// How often a thread that waits lets others run before it goes to sleep.
const YIELDS_BEFORE_SLEEP: usize = 4;

/// Room for one piece of news. The first counts: a call whose end is deleted in the moment in which its reply comes has
/// one or the other.
pub(crate) struct Letterbox {
    state: Mutex<State>,
    arrived: Condvar,
}

enum State {
    Empty,
    Full(News),
    /// The call has taken its news; more is of no use to anyone.
    Emptied,
}

impl Letterbox {
    pub(crate) fn new() -> Letterbox {
        Letterbox { state: Mutex::new(State::Empty), arrived: Condvar::new() }
    }

    /// Tells the call how it goes on; `false` if it knows already. Never blocks.
    pub(crate) fn put(&self, news: News) -> bool {
        {
            let mut state = self.state.lock();
            if !matches!(*state, State::Empty) {
                return false;
            }
            *state = State::Full(news);
        }
        self.arrived.notify_one();
        true
    }

    /// The news, if they are there.
    pub(crate) fn take(&self) -> Option<News> {
        self.state.lock().take()
    }

    /// Waits for the news, for at most `time`.
    pub(crate) fn wait_for(&self, time: Duration) -> Option<News> {
        if let Some(news) = self.wait_a_moment() {
            return Some(news);
        }
        let mut state = self.state.lock();
        self.arrived.wait_while_for(&mut state, |state| matches!(state, State::Empty), time);
        state.take()
    }

    /// Lets other threads run, a few times, in the hope that one of them brings the news: then nobody has to be put to sleep
    /// and woken again, which costs more than most calls. In a simulation it costs nothing, and nobody needs to hope.
    fn wait_a_moment(&self) -> Option<News> {
        if labstd::clock() == Clock::Simulated {
            return None;
        }
        (0..YIELDS_BEFORE_SLEEP).find_map(|_| {
            thread::yield_now();
            self.take()
        })
    }

    /// Waits for the news.
    pub(crate) fn wait(&self) -> News {
        let mut state = self.state.lock();
        loop {
            if let Some(news) = state.take() {
                return news;
            }
            self.arrived.wait(&mut state);
        }
    }
}

impl State {
    fn take(&mut self) -> Option<News> {
        match std::mem::replace(self, State::Emptied) {
            State::Full(news) => Some(news),
            other => {
                *self = other;
                None
            }
        }
    }
}

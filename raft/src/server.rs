//! The shell around the core: one lock over the protocol's state (`state.rs`), and the code that carries out the core's
//! effects.
//!
//! Every event of a server (a command, an RPC, a reply, a timeout) goes through [`Shared::step`], on whatever thread it
//! happens. Under the lock the core handles the event, its changes are saved, and the threads that have work now are
//! woken. Sending and delivering is the work of those threads, without the lock.

use labstd::channel::Receiver;
use labstd::sync::{Arc, Condvar};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, ServerId, StateChange};

use crate::core::{Core, Effects};
#[cfg(feature = "fast")] // fast
use crate::fast; // fast
use crate::state::{Shared, State};

/// Delay until a leader sends a new commit index to a peer if no entries carry it. It is long enough that a client's
/// next command often carries the index, and short enough that all servers soon apply a command.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(10);

impl Shared {
    /// Lets the core handle an event, and carries out its effects.
    pub(crate) fn step<T>(self: &Arc<Self>, event: impl FnOnce(&mut Core) -> (T, Effects)) -> T {
        self.step_with_timers(|state| event(&mut state.core))
    }

    /// As [`step`](Shared::step), for an event that also concerns the timers.
    pub(crate) fn step_with_timers<T>(self: &Arc<Self>, event: impl FnOnce(&mut State) -> (T, Effects)) -> T {
        let mut state = self.state.lock();
        let (result, effects) = event(&mut state);
        self.carry_out(&mut state, &effects);
        #[cfg(feature = "fast")] // fast
        let work = std::mem::take(&mut state.fast.work); // fast
        drop(state);
        #[cfg(feature = "fast")] // fast
        self.run(work); // fast
        result
    }

    /// Carries out the effects of an event, under the lock. Vote requests are not among them: the ticker sends those.
    pub(crate) fn carry_out(&self, state: &mut State, effects: &Effects) {
        // First of all: nobody may see anything that depends on these changes before they are saved.
        let saved_bytes = state.storage.save(&effects.persist, &state.core);
        // A killed instance reports nothing: its server may be running again already.
        if !self.killed() {
            state.observers.report_changes(effects, &state.core, saved_bytes);
        }
        let now = Instant::now();
        if effects.reset_election_timer {
            state.restart_election_timer();
        }
        if effects.send_heartbeats {
            for peer in state.core.peers() {
                let timers = &mut state.peer_timers[peer.0];
                (timers.heartbeat_due, timers.in_flight) = (now, None);
                self.replicate[peer.0].notify_one();
            }
        }
        #[cfg(feature = "fast")] // fast: inline
        fast::inline::note_proposal(state, effects); // fast: inline
        for peer in effects.replicate_to.iter() {
            if state.core.has_content_for(peer) {
                self.replicate_to(state, peer);
            }
            if state.core.needs_commit_notice(peer) {
                self.schedule_commit_notice(state, peer, now);
            }
        }
        #[cfg(feature = "fast")] // fast: reads
        fast::reads::carry_out(self, state, effects, now); // fast: reads
        let has_committed = effects.commit_advanced.is_some();
        #[cfg(feature = "fast")] // fast: consumer
        let has_committed = fast::consumer::needs_applier(self, state, effects, has_committed); // fast: consumer
        if has_committed {
            state.applier_is_due = true;
            self.applier.notify_one();
        }
    }

    /// Has the commit index sent to `peer` soon, unless a message that carries it goes out before.
    fn schedule_commit_notice(&self, state: &mut State, peer: ServerId, now: Instant) {
        let timers = &mut state.peer_timers[peer.0];
        timers.heartbeat_due = timers.heartbeat_due.min(now + COMMIT_NOTICE_DELAY);
        if timers.sleeps_until.is_none_or(|until| timers.heartbeat_due < until) {
            self.replicate[peer.0].notify_one();
        }
    }

    /// Returns the committed entries that were not delivered; they count as delivered from now on.
    pub(crate) fn take_committed(&self) -> Vec<ApplyMsg> {
        self.state.lock().core.take_committed()
    }

    /// Returns a channel of all changes from now on. It has ended already if the server was killed.
    pub(crate) fn subscribe(&self) -> Receiver<StateChange> {
        let mut state = self.state.lock();
        let changes = state.observers.subscribe();
        if self.killed() {
            state.observers.end_subscriptions();
        }
        changes
    }

    /// Asks all threads to end.
    pub(crate) fn kill(&self) {
        let mut state = self.state.lock();
        // Under the lock, so that no thread misses the signal between its check and its wait.
        self.set_killed();
        state.observers.end_subscriptions();
        self.applier.notify_all();
        self.replicate.iter().for_each(Condvar::notify_all);
        #[cfg(feature = "fast")] // fast: reads
        let reads = fast::reads::end_all(&mut state); // fast: reads
        drop(state);
        #[cfg(feature = "fast")] // fast: reads
        fast::reads::complete(reads); // fast: reads
    }

    // fast begin
    /// Does the work that an event has left, without the lock.
    #[cfg(feature = "fast")]
    pub(crate) fn run(self: &Arc<Self>, work: fast::Work) {
        fast::consumer::notify_if(work.notify_consumer, self); // fast: consumer
        fast::reads::complete(work.settled_reads); // fast: reads
        fast::inline::send(self, work.send_to, work.follows_proposal); // fast: inline
    }
    // fast end
}

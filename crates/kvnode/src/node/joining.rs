//! The loop's part in greetings: it judges them, saves what they change before it answers, and lets the server take
//! part when it may.

use std::time::{Duration, Instant};

use raft::core::HardState;
use raft::rawnode::{self, RawNode};
use raftapi::{Index, ServerId};

use super::cluster_view::NextStep;
use super::driver::{ANSWER_TICKS, Driver, HEARTBEAT_TICKS};
use super::greeting::{Answer, Envelope, Greeting, GreetingEvent, Refusal};
use crate::storage::{Restored, Standing};

/// Interval at which a server that does not take part yet greets the others again. Their standing may have changed.
const GREETING_INTERVAL: Duration = Duration::from_millis(500);

/// Creates the node from its saved state.
pub(super) fn start_node(
    me: ServerId,
    servers: usize,
    restored: Restored,
    standing: Standing,
) -> Result<RawNode, rawnode::BadState> {
    let catch_up_to = match standing {
        Standing::CatchingUp(index) => Some(index),
        _ => None,
    };
    RawNode::new(rawnode::Config {
        hard_state: restored.hard_state,
        log: restored.log,
        applied: restored.applied,
        catch_up_to,
        heartbeat_ticks: HEARTBEAT_TICKS,
        reply_timeout_ticks: ANSWER_TICKS,
        ..rawnode::Config::new(me, servers)
    })
}

impl Driver {
    /// Handles an event about greetings.
    ///
    /// # Errors
    ///
    /// One line, if the disk fails, or this server has lost its data and must stop.
    pub(super) fn handle_greeting(&mut self, event: GreetingEvent) -> Result<(), String> {
        // A thread that has given up waiting does not need the reply.
        match event {
            GreetingEvent::Write(reply) => drop(reply.send(labgob::encode(&self.greeting()))),
            GreetingEvent::Answer(greeting, reply) => {
                let answer = match self.judge(&greeting)? {
                    Ok(()) => Answer::Admitted(self.greeting()),
                    Err(Refusal { reason, must_stop: true }) => Answer::HasLostData { reason, by: self.greeting() },
                    Err(Refusal { reason, must_stop: false }) => Answer::Refused(reason),
                };
                let _ = reply.send(answer);
            }
            GreetingEvent::Accept(to, answer, reply) => {
                let accepted = match answer {
                    Answer::HasLostData { reason, by } => match self.view.check_age(&by) {
                        Ok(()) => return Err(reason),
                        Err(refusal) => Err(refusal.reason),
                    },
                    Answer::Refused(reason) => Err(format!("{to} refuses this server: {reason}")),
                    Answer::Admitted(greeting) if greeting.from != to => Err(format!("it is {}", greeting.from)),
                    Answer::Admitted(greeting) => self.judge(&greeting)?.map_err(|refusal| refusal.reason),
                };
                let _ = reply.send(accepted);
            }
        }
        Ok(())
    }

    fn greeting(&self) -> Greeting {
        self.view.greeting(self.node.soft_state().term, self.node.core().commit_index())
    }

    /// Judges a greeting and saves what it changes.
    fn judge(&mut self, greeting: &Greeting) -> Result<Result<(), Refusal>, String> {
        if let Err(refusal) = self.view.check_age(greeting) {
            // The record of an older copy says nothing about this server.
            return Ok(Err(refusal));
        }
        self.view.check_own_record(greeting)?;
        let knew_all = self.view.knows_all();
        let effect = match self.view.receive(greeting) {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if effect.replaced {
            // The saves of the lost directory say nothing about the new one.
            self.storage.note_peer_saves(greeting.from, greeting.saves_at_start);
        }
        if effect.must_save {
            self.storage.save_membership(&self.view.membership, None)?;
        }
        if effect.replaced {
            log::warn!("{} has lost its data and is replaced: it catches up before it votes", greeting.from);
            self.node.peer_replaced(greeting.from);
        }
        self.try_to_take_part()?;
        if !knew_all && self.view.knows_all() && !self.view.takes_part() {
            // The others wait for a greeting with all directories.
            self.last_greeting = Instant::now();
            self.peers.reconnect();
        }
        Ok(Ok(()))
    }

    /// Takes part in the cluster if nothing is missing for that any more.
    pub(super) fn try_to_take_part(&mut self) -> Result<(), String> {
        if self.view.takes_part() {
            return Ok(());
        }
        match self.view.take_next_step() {
            NextStep::Wait => {}
            NextStep::Stop(reason) => return Err(reason),
            NextStep::TakePart => {
                self.storage.save_membership(&self.view.membership, None)?;
                log::info!("takes part in cluster {}", self.cluster_name());
            }
            NextStep::CatchUp { term, commit } => {
                // The lost server may have voted in any term up to this one.
                let hard_state = HardState { term, voted_for: Some(self.view.me) };
                self.storage.save_membership(&self.view.membership, Some(hard_state))?;
                let restored = Restored { hard_state, ..Restored::default() };
                let (me, servers) = (self.view.me, self.view.peers.len());
                let node = start_node(me, servers, restored, self.view.membership.standing);
                self.node = node.map_err(|error| error.to_string())?;
                log::info!("replaced in cluster {}: catches up to index {commit}", self.cluster_name());
            }
        }
        Ok(())
    }

    fn cluster_name(&self) -> String {
        self.view.membership.cluster.map_or(String::new(), |cluster| format!("{cluster:032x}"))
    }

    /// Saves that a replaced server has caught up, before anybody can see a vote of it.
    pub(super) fn note_caught_up(&mut self) -> Result<(), String> {
        if let Standing::CatchingUp(index) = self.view.membership.standing
            && self.node.catch_up_to().is_none()
        {
            self.view.membership.standing = Standing::Member;
            self.storage.save_membership(&self.view.membership, None)?;
            log::info!("has caught up to index {index}, and votes again");
        }
        Ok(())
    }

    /// Greets the others again from time to time, as long as this server does not take part.
    pub(super) fn greet_again(&mut self) {
        if !self.view.takes_part() && self.last_greeting.elapsed() >= GREETING_INTERVAL {
            self.last_greeting = Instant::now();
            self.peers.reconnect();
        }
    }

    /// Opens an envelope. Returns `None` if its message is of another incarnation of the sender or for another one of
    /// this server, or if this server does not take part.
    pub(super) fn open_envelope(&mut self, envelope: Envelope) -> Option<rawnode::Message> {
        let Envelope { from_run, to_run, saves, message } = envelope;
        let (from, own) = (message.from, self.view.membership.incarnation.run);
        if !self.view.takes_part() || to_run != own || self.view.run_of(from) != Some(from_run) {
            log::debug!("discarded a message between other starts of {from} and this server");
            return None;
        }
        if self.view.note_saves(from, saves) {
            self.storage.note_peer_saves(from, saves);
        }
        Some(message)
    }

    /// Returns the part that this server takes in the cluster, in words; empty if it is a usual member.
    pub(super) fn standing_in_words(&self) -> String {
        let applied = self.node.core().last_applied();
        let missing: Vec<String> = self.view.missing().map(|server| server.to_string()).collect();
        let missing = if missing.is_empty() { "the others".to_string() } else { missing.join(", ") };
        match self.view.membership.standing {
            Standing::New | Standing::Unregistered => format!("new: waits for {missing}"),
            Standing::Replacing => format!("replaced: waits for {missing}"),
            Standing::CatchingUp(Index(index)) => format!("replaced: catching up, {applied} of {index}"),
            Standing::Member => String::new(),
        }
    }
}

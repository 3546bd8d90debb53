//! The model of a small cluster of `RawNode`s: the actions that stateright tries in every order.
//!
//! # The network
//!
//! A sent message remains sent. It can always be delivered, and delivery does not remove it. So every message may
//! arrive at any later moment, any number of times, or never. There is no bound on losses, repetitions or reordering.
//!
//! # Crashes
//!
//! An action and the carrying out of its `Ready` are one step, and a crash happens between two steps. This covers all
//! crashes. A crash before the `Ready` was saved is equal to a crash before the action, because no other server has
//! seen the action. A crash after it was saved and before its messages were sent is equal to a crash after the step
//! whose messages are never delivered. The applied state of the owner survives or not, as [`Bounds::state_survives`]
//! says.
//!
//! # Symmetry of the servers
//!
//! Servers to which nothing has happened yet differ only in their names. So among these only the first one may act,
//! which loses no behaviour.

use std::sync::Arc;

use raft::rawnode::{Body, Message};
use raftapi::{ServerId, Term};
use stateright::{Model, Property};

use crate::action::{Action, Behavior, Outcome, Outcomes};
use crate::history::{History, Rule, log_matching};
use crate::owner::Disk;
use crate::state::{Hashed, LastStep, SERVERS_MAX, Server, State, Used};

/// The value of a bound that does not apply.
pub(crate) const UNLIMITED: u8 = u8::MAX;

/// The bounds of the exploration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Number of servers.
    pub(crate) servers: usize,
    /// The highest term for which an election is started.
    pub(crate) terms: u64,
    /// Number of elections started, by all servers together; [`UNLIMITED`] if only `terms` bounds them.
    pub(crate) elections: u8,
    /// The servers that start elections.
    pub(crate) candidates: [bool; SERVERS_MAX],
    /// The servers that may lose their data.
    pub(crate) may_lose_data: [bool; SERVERS_MAX],
    /// Number of times that a server loses its data and is replaced, of all servers together.
    pub(crate) losses: u8,
    /// Number of ticks of leaders' clocks, of all servers together; [`UNLIMITED`] if there is no bound. Without a tick,
    /// a leader sends only the heartbeats of its election and those that confirm reads, and no request times out.
    pub(crate) ticks: u8,
    /// Number of commands proposed, on all servers together.
    pub(crate) proposals: u8,
    /// Number of crashes, of all servers together.
    pub(crate) crashes: u8,
    /// Number of compactions, of all servers together.
    pub(crate) compactions: u8,
    /// Number of reads begun, on all servers together.
    pub(crate) reads: u8,
    /// Number of batches of entries or snapshots that a leader sends to one peer in one leadership. A batch without a
    /// reply within one tick times out and may be sent again.
    pub(crate) batches: u64,
    /// Whether a batch of entries may also be sent in two parts, as a batch of many bytes is.
    pub(crate) split_batches: bool,
    /// Whether a restarted server still has its applied state.
    pub(crate) state_survives: bool,
}

/// A mistake made around a correct node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    /// A restarted server has forgotten its vote.
    ForgetsItsVote,
    /// A restarted server has lost the last entry that it saved.
    LosesItsLastEntry,
    /// A leader considers an entry committed if a majority stores it, whatever its term (Figure 8).
    CommitsByCounting,
    /// A replaced server takes part when it has the answers of a majority of the servers, itself not included.
    JoinsWithMajority,
    /// A server accepts messages of the lost server after it has answered the new one.
    AcceptsLateMessages,
    /// A replaced server votes as soon as it takes part.
    VotesAtOnce,
    /// A replaced server votes when its leader has committed an entry of its term, whatever the answers said.
    IgnoresCommitIndex,
}

/// The model.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) bounds: Bounds,
    pub(crate) mistake: Mistake,
    /// Steps before the exploration begins.
    pub(crate) prelude: Vec<PreludeStep>,
    /// Events that must occur in some state, in addition to the rules.
    pub(crate) expected: Vec<Property<Cluster>>,
    pub(crate) outcomes: Arc<Outcomes>,
}

/// One step of a prelude.
#[derive(Clone, Debug)]
pub(crate) enum PreludeStep {
    Campaign(usize),
    Tick(usize),
    Propose(usize),
    Crash(usize),
    /// Delivers all messages between these two servers, until there are no new ones.
    Exchange(usize, usize),
    /// Loses all messages in flight.
    Lose,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            servers: 3,
            terms: 1,
            elections: UNLIMITED,
            candidates: [true; SERVERS_MAX],
            may_lose_data: [true; SERVERS_MAX],
            losses: 0,
            ticks: UNLIMITED,
            proposals: 0,
            crashes: 0,
            compactions: 0,
            reads: 0,
            batches: 1,
            split_batches: false,
            state_survives: true,
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let server = |me| Hashed::new(self.behavior().start(Disk::default(), ServerId(me)));
        let beginning = State {
            servers: (0..self.bounds.servers).map(server).collect(),
            sent: Vec::new(),
            history: Hashed::new(History::default()),
            used: Used::default(),
            unaware: [[false; SERVERS_MAX]; SERVERS_MAX],
            last: LastStep::default(),
        };
        vec![self.prelude.iter().fold(beginning, |state, step| self.play(state, step))]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // States after a violation are of no interest.
        if !state.history.broken.is_empty() {
            return;
        }
        let Bounds { servers, terms, elections, candidates, ticks, proposals, crashes, compactions, reads, .. } =
            self.bounds;
        let Used { touched, .. } = state.used;
        let abilities = |id: usize| (candidates[id], self.bounds.may_lose_data[id]);
        let may_act = |id: ServerId| {
            touched[id.0] || !(0..id.0).any(|other| !touched[other] && abilities(other) == abilities(id.0))
        };
        for message in &state.sent {
            if may_act(message.to) && state.server(message.to).answers.is_none() {
                actions.push(Action::Deliver(message.clone()));
            }
        }
        self.replacements(state, actions);
        for id in (0..servers).map(ServerId).filter(|&id| may_act(id)) {
            let Server { raw, disk, answers } = state.server(id);
            if answers.is_some() {
                continue;
            }
            let core = raw.core();
            let leads = core.is_leader();
            let may_campaign = candidates[id.0] && state.used.elections < elections;
            if !leads && may_campaign && core.current_term() < Term(terms) {
                actions.push(Action::Campaign(id));
            }
            if leads && state.used.ticks < ticks {
                actions.push(Action::Tick(id));
            }
            if leads && state.used.proposals < proposals {
                actions.push(Action::Propose(id, state.used.proposals));
            }
            if leads && state.used.reads < reads {
                actions.push(Action::Read(id, state.used.reads));
            }
            if state.used.crashes < crashes && touched[id.0] {
                actions.push(Action::Crash(id));
            }
            if state.used.compactions < compactions && core.log().base_index() < disk.applied {
                actions.push(Action::Compact(id));
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let id = action.server();
        let outcome = self.outcomes.get_or_compute(self.behavior(), &before.servers[id.0], &action)?;
        if outcome.changes_nothing && outcome.messages.iter().all(|message| before.has_sent(message)) {
            return None;
        }
        let mut state = before.clone();
        self.change_incarnations(&mut state, &action);
        state.last = outcome.last;
        state.servers[id.0] = outcome.server.clone();
        state.used.touched[id.0] = true;
        match action {
            Action::Propose(..) => state.used.proposals += 1,
            Action::Crash(_) => state.used.crashes += 1,
            Action::Compact(_) => state.used.compactions += 1,
            Action::Read(..) => state.used.reads += 1,
            Action::LoseData(_) => state.used.losses += 1,
            Action::Answer(..) | Action::Join(_) => {}
            // A number matters only if it is bounded.
            Action::Campaign(_) if self.bounds.elections < UNLIMITED => state.used.elections += 1,
            Action::Tick(_) if self.bounds.ticks < UNLIMITED => state.used.ticks += 1,
            Action::Deliver(_) | Action::Campaign(_) | Action::Tick(_) => {}
        }
        let about_reads =
            matches!(action, Action::Read(..) | Action::Crash(_) | Action::LoseData(_)) || !outcome.reads.is_empty();
        if outcome.changes_history || about_reads {
            let mut history = History::clone(&state.history);
            record_reads(&mut history, &action, &outcome);
            record_rules(&mut history, &state, id, &outcome);
            state.history = Hashed::new(history);
        }
        state.send(id, &outcome.messages);
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.sent.iter().all(|message| self.allows(message))
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        let mut properties = vec![
            Property::<Cluster>::always("Election Safety", |_, state| state.holds(Rule::ElectionSafety)),
            Property::<Cluster>::always("Leader Append-Only", |_, state| state.holds(Rule::LeaderAppendOnly)),
            Property::<Cluster>::always("Log Matching", |_, state| state.holds(Rule::LogMatching)),
            Property::<Cluster>::always("Leader Completeness", |_, state| state.holds(Rule::LeaderCompleteness)),
            Property::<Cluster>::always("State Machine Safety", |_, state| state.holds(Rule::StateMachineSafety)),
            Property::<Cluster>::always("Reads See All", |_, state| state.holds(Rule::ReadsSeeAll)),
        ];
        properties.extend(self.expected.iter().cloned());
        properties
    }
}

impl Cluster {
    pub(crate) fn new(bounds: Bounds) -> Cluster {
        let (prelude, expected, outcomes) = (Vec::new(), Vec::new(), Arc::default());
        Cluster { bounds, mistake: Mistake::None, prelude, expected, outcomes }
    }

    pub(crate) fn after(self, prelude: Vec<PreludeStep>) -> Cluster {
        Cluster { prelude, ..self }
    }

    pub(crate) fn with(self, mistake: Mistake) -> Cluster {
        Cluster { mistake, ..self }
    }

    pub(crate) fn expected(self, expected: impl IntoIterator<Item = Property<Cluster>>) -> Cluster {
        Cluster { expected: expected.into_iter().collect(), ..self }
    }

    /// Returns whether `message` is within the bounds.
    pub(crate) fn allows(&self, message: &Message) -> bool {
        match &message.body {
            Body::AppendEntries { request_id, .. } | Body::InstallSnapshot { request_id, .. } => {
                request_id.number.is_none_or(|number| number <= self.bounds.batches)
            }
            _ => true,
        }
    }

    pub(crate) fn behavior(&self) -> Behavior {
        Behavior {
            servers: self.bounds.servers,
            mistake: self.mistake,
            state_survives: self.bounds.state_survives,
            split_batches: self.bounds.split_batches,
        }
    }

    /// Adds the actions with which a server loses its data and is replaced. A server loses its data only while all
    /// others have theirs.
    fn replacements(&self, state: &State, actions: &mut Vec<Action>) {
        let Bounds { servers, losses, may_lose_data, .. } = self.bounds;
        let has_data = |id: ServerId| {
            let server = state.server(id);
            server.answers.is_none() && server.raw.catch_up_to().is_none()
        };
        for id in (0..servers).map(ServerId) {
            let others = || (0..servers).map(ServerId).filter(|&other| other != id);
            if state.used.losses < losses && may_lose_data[id.0] && state.used.touched[id.0] && others().all(has_data) {
                actions.push(Action::LoseData(id));
            }
            actions.extend(
                others()
                    .filter(|&other| state.unaware[other.0][id.0] && has_data(other))
                    .map(|other| Action::Answer(other, id)),
            );
            let Some(answers) = state.server(id).answers else { continue };
            let answered = answers.from.iter().filter(|&&answered| answered).count();
            let needed = if self.mistake == Mistake::JoinsWithMajority { servers / 2 + 1 } else { servers - 1 };
            if answered >= needed {
                actions.push(Action::Join(id));
            }
        }
    }

    /// Changes what the servers know of each other, and removes messages that are discarded from now on.
    fn change_incarnations(&self, state: &mut State, action: &Action) {
        match *action {
            Action::LoseData(lost) => {
                // Messages on their way to the lost server are not for its successor.
                state.sent.retain(|message| message.to != lost);
                (0..self.bounds.servers).filter(|&other| other != lost.0).for_each(|other| {
                    state.unaware[other][lost.0] = true;
                });
            }
            Action::Answer(other, replaced) => {
                state.unaware[other.0][replaced.0] = false;
                if self.mistake != Mistake::AcceptsLateMessages {
                    state.sent.retain(|message| (message.from, message.to) != (replaced, other));
                }
                let core = state.server(other).raw.core();
                let (term, commit) = (core.current_term(), core.commit_index());
                let mut server = Server::clone(&state.servers[replaced.0]);
                if let Some(answers) = &mut server.answers {
                    answers.from[other.0] = true;
                    (answers.term, answers.commit) = (answers.term.max(term), answers.commit.max(commit));
                    state.servers[replaced.0] = Hashed::new(server);
                }
            }
            _ => {}
        }
    }

    fn play(&self, state: State, step: &PreludeStep) -> State {
        let next = |state: &State, action| self.next_state(state, action).expect("a step of a prelude can be taken");
        match *step {
            PreludeStep::Campaign(server) => next(&state, Action::Campaign(ServerId(server))),
            PreludeStep::Tick(server) => next(&state, Action::Tick(ServerId(server))),
            PreludeStep::Propose(server) => next(&state, Action::Propose(ServerId(server), state.used.proposals)),
            PreludeStep::Crash(server) => next(&state, Action::Crash(ServerId(server))),
            PreludeStep::Lose => State { sent: Vec::new(), ..state },
            PreludeStep::Exchange(one, other) => {
                let mut state = state;
                loop {
                    let between = |message: &&Hashed<Message>| {
                        let ends = (message.from.0, message.to.0);
                        ends == (one, other) || ends == (other, one)
                    };
                    let exchanged = state.sent.iter().filter(between);
                    let mut after =
                        exchanged.filter_map(|message| self.next_state(&state, Action::Deliver(message.clone())));
                    match after.next() {
                        Some(after) => state = after,
                        None => return state,
                    }
                }
            }
        }
    }
}

/// Records the changes of the server `id` and the rules that they break. Each rule concerns the changed server, its
/// pairs with other servers, or the history.
fn record_rules(history: &mut History, state: &State, id: ServerId, outcome: &Outcome) {
    let core = state.server(id).raw.core();
    history.record_leader(core);
    history.record_commits(core, outcome.commit);
    for (index, entry) in &outcome.applied {
        history.record_applied(*index, entry);
    }
    if !outcome.appends_only {
        history.break_rule(Rule::LeaderAppendOnly);
    }
    if !state.cores().all(|other| log_matching(core.log(), other.log())) {
        history.break_rule(Rule::LogMatching);
    }
    if !state.cores().all(|core| history.leader_completeness(core)) {
        history.break_rule(Rule::LeaderCompleteness);
    }
}

/// Records the reads that begin and those that are settled, and whether a read misses a committed entry.
fn record_reads(history: &mut History, action: &Action, outcome: &Outcome) {
    let id = action.server();
    match action {
        Action::Read(_, number) => history.begin_read(id, u64::from(*number)),
        Action::Crash(_) | Action::LoseData(_) => history.forget_reads(id),
        _ => {}
    }
    outcome.reads.iter().for_each(|read| history.settle_read(id, *read));
}

//! Campaigns: the term of each, the time between two of them, their votes, and the silence before them.

use std::collections::{BTreeMap, BTreeSet};

use ids::{ServerId, Term};
use record::{Event, EventKind, Fault, Role};

use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::report::MOMENT;
use super::rule::Rule;

/// Lower bound of every election timeout, in nanoseconds: the lab allows about ten heartbeats a second.
const TIMEOUT_MIN: u64 = 100_000_000;

/// Silence of a leader, in nanoseconds, after which it has left out a heartbeat. The lab demands several heartbeats
/// within each election timeout.
const SILENCE: u64 = 250_000_000;

/// Number of election timeouts in a row from which they are compared, and the difference between the longest and the
/// shortest, in nanoseconds, from which they are random.
const TIMEOUTS_MIN: usize = 6;
const RANDOM_MIN: u64 = 25_000_000;

/// The latest campaign of each server, and the election timeouts between campaigns.
#[derive(Debug, Default)]
pub(crate) struct Campaigns {
    latest: Vec<Option<Campaign>>,
    /// Servers and the time between two campaigns without any other event that resets an election timer.
    timeouts: Vec<(ServerId, u64)>,
    /// Time of the last message from one server to another.
    sent: BTreeMap<(ServerId, ServerId), u64>,
}

#[derive(Clone, Debug)]
struct Campaign {
    term: Term,
    at: u64,
    /// Whether it has voted for itself in this term, as far as reported.
    self_vote: bool,
    /// Servers whose votes have arrived.
    voters: BTreeSet<ServerId>,
    /// Time at which the votes that had arrived were a majority.
    majority: Option<u64>,
    /// Whether the election timer was reset by something else since.
    timer_reset: bool,
}

impl Campaigns {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        self.latest.resize(state.servers.len(), None);
        match &event.kind {
            EventKind::RpcSent { from: Some(from), to: record::Peer::Server(to), .. } => {
                self.sent.insert((*from, *to), event.at);
            }
            EventKind::RpcDelivered { call } => {
                let call = state.calls.get(call).filter(|call| call.from.is_some() && !call.method.contains("Vote"));
                self.reset_timer(call.and_then(|call| call.to));
            }
            EventKind::RpcReplied { call, .. } => self.vote_arrived(state, *call, event.at),
            EventKind::Fault(Fault::Restart(servers)) => {
                servers.iter().for_each(|server| self.latest[server.0] = None);
            }
            EventKind::VoteGranted { term, to } => {
                let Some((server, _)) = state.of(event) else { return };
                if *to == server {
                    self.campaigned(state, event, server, *term, true, found);
                } else {
                    self.reset_timer(Some(server));
                }
            }
            EventKind::RoleChanged { role: Role::Candidate, term } => {
                let Some((server, _)) = state.of(event) else { return };
                self.campaigned(state, event, server, *term, false, found);
            }
            _ => {}
        }
    }

    /// Compares the election timeouts at the end of the record.
    pub(crate) fn finish(&self, found: &mut Findings) {
        let servers: BTreeSet<ServerId> = self.timeouts.iter().map(|(server, _)| *server).collect();
        let times = || self.timeouts.iter().map(|(_, time)| *time);
        let (Some(shortest), Some(longest)) = (times().min(), times().max()) else { return };
        if self.timeouts.len() < TIMEOUTS_MIN || servers.len() < 2 || longest - shortest >= RANDOM_MIN {
            return;
        }
        let seen = format!(
            "{} election timeouts of {} servers lasted between {} and {} ms",
            self.timeouts.len(),
            servers.len(),
            shortest / 1_000_000,
            longest / 1_000_000
        );
        found.add(Rule::RandomTimeouts, seen, &[]);
    }

    fn reset_timer(&mut self, server: Option<ServerId>) {
        if let Some(campaign) = server.and_then(|server| self.latest.get_mut(server.0)?.as_mut()) {
            campaign.timer_reset = true;
        }
    }

    fn vote_arrived(&mut self, state: &ReplayState, call: u64, at: u64) {
        let Some(call) = state.calls.get(&call).filter(|call| call.method.contains("Vote")) else { return };
        let (Some(candidate), Some(voter)) = (call.from, call.to) else { return };
        let Some(Some(campaign)) = self.latest.get_mut(candidate.0) else { return };
        let votes = state.votes.get(&(campaign.term, candidate));
        if call.sent + MOMENT < campaign.at || votes.is_none_or(|voters| !voters.contains(&voter)) {
            return;
        }
        campaign.voters.insert(voter);
        if campaign.majority.is_none()
            && state.servers[candidate.0].term.value == campaign.term
            && state.is_majority(campaign.voters.len() + 1)
        {
            campaign.majority = Some(at);
        }
    }

    fn campaigned(
        &mut self,
        state: &ReplayState,
        event: &Event,
        server: ServerId,
        term: Term,
        self_vote: bool,
        found: &mut Findings,
    ) {
        let Event { at, .. } = *event;
        let running = state.servers[server.0].running;
        let before = self.latest[server.0].take();
        if let Some(before) = before.as_ref().filter(|before| before.term == term && at < before.at + MOMENT) {
            // The second report of one campaign.
            self.latest[server.0] = Some(Campaign { self_vote: before.self_vote || self_vote, ..before.clone() });
            return;
        }
        if let Some(before) = before.filter(|_| running) {
            self.compare(state, server, (term, at, self_vote), &before, found);
        }
        self.find_silent_leader(state, server, (term, at), found);
        let (voters, majority, timer_reset) = (BTreeSet::new(), None, false);
        self.latest[server.0] = Some(Campaign { term, at, self_vote, voters, majority, timer_reset });
    }

    fn compare(
        &mut self,
        state: &ReplayState,
        server: ServerId,
        (term, at, self_vote): (Term, u64, bool),
        before: &Campaign,
        found: &mut Findings,
    ) {
        let (then, now, ms) = (time(before.at), time(at), (at - before.at) / 1_000_000);
        if term == before.term {
            if self_vote && before.self_vote {
                let seen = format!("{server} began an election in term {term} at {then}, and again at {now}");
                found.add(Rule::CampaignInNewTerm, seen, &[]);
            }
            return;
        }
        if !before.timer_reset {
            self.timeouts.push((server, at - before.at));
        }
        let led = state.leaders.get(&before.term) == Some(&server);
        if at - before.at < TIMEOUT_MIN && !led {
            let seen = format!("{server} began elections at {then} and at {now}, only {ms} ms later");
            found.add(Rule::CampaignResetsTimer, seen, &[]);
        }
        if let Some(majority) = before.majority.filter(|majority| majority + TIMEOUT_MIN < at)
            && !led
        {
            let names: Vec<String> = [server].iter().chain(&before.voters).map(ToString::to_string).collect();
            let seen = format!(
                "{server} had the votes of {} of {} servers in term {} at {}: {}; it did not become leader, and began \
                 another election at {now}",
                names.len(),
                state.servers.len(),
                before.term,
                time(majority),
                names.join(", ")
            );
            found.add(Rule::MajorityOfVotes, seen, &[]);
        }
    }

    /// Looks for the leader whose missing heartbeats have caused a campaign.
    fn find_silent_leader(&self, state: &ReplayState, server: ServerId, (term, at): (Term, u64), found: &mut Findings) {
        let Some((&led_in, &leader)) = state.leaders.range(..term).next_back() else { return };
        let replica = &state.servers[leader.0];
        if leader == server || !replica.running || !replica.leads_in(led_in) || term != led_in.next() {
            return;
        }
        // A record without the messages of the leader says nothing about them.
        let Some(&last) = self.sent.get(&(leader, server)) else { return };
        // A leader that waits for a reply under its lock sends nothing meanwhile: the lock is the cause.
        let waits = state.calls.values().any(|call| call.from == Some(leader) && call.sent + SILENCE < at);
        if at > last + SILENCE && !waits {
            let seen = format!(
                "{leader}, leader of term {led_in}, sent nothing to {server} from {} on, and {server} began an \
                 election at {}",
                time(last),
                time(at)
            );
            found.add(Rule::SendHeartbeats, seen, &[]);
        }
    }
}

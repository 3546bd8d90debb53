//! Election timeouts: campaigns that come too early, and those that never come.

use record::{Event, EventKind, Fault, Loss, Role, ServerId, Term};

use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::rule::Rule;

/// No election timeout is as short as this, in nanoseconds: the lab allows about ten heartbeats in a second.
const TIMEOUT_MIN: u64 = 100_000_000;

/// No election timeout is as long as this: the lab demands a leader within five seconds. On a busy machine a thread may
/// wake late.
const TIMEOUT_MAX: u64 = 3_000_000_000;
const TIMEOUT_MAX_ON_THREADS: u64 = 6_000_000_000;

/// So many requests for a vote make it plain what a server waits for.
const REQUESTS_MIN: u64 = 4;

/// What each server waits for.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: Vec<Timer>,
    /// What the silence of a server is likely to come from that does not answer either.
    pub(crate) stuck_rule: Option<Rule>,
}

#[derive(Clone, Debug, Default)]
struct Timer {
    /// The last vote that it granted: when, in which term, to whom.
    granted: Option<(u64, Term, ServerId)>,
    /// The last message of its leader that it has answered: when it came, the term, and whose it was.
    heard: Option<(u64, Term, ServerId)>,
    /// Since when it has neither heard of a leader, nor granted a vote, nor sent anything.
    quiet_since: u64,
    /// Requests for its vote since then, and the longest time without one.
    requests: u64,
    request_at: u64,
    longest_gap: u64,
}

impl Timer {
    fn reset(&mut self, at: u64) {
        *self = Timer { quiet_since: at, request_at: at, requests: 0, longest_gap: 0, ..*self };
    }

    fn count_vote_request(&mut self, at: u64) {
        self.requests += 1;
        self.longest_gap = self.longest_gap.max(at - self.request_at);
        self.request_at = at;
    }
}

impl Timers {
    /// Looks at an event, before it has changed the world.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        self.timers.resize(state.servers.len(), Timer::default());
        match &event.kind {
            EventKind::RpcSent { from: Some(from), .. } => self.reset_timer(state, *from, event.at, found),
            EventKind::RpcDelivered { call } => {
                let Some(call) = state.calls.get(call) else { return };
                let (Some(_), Some(to)) = (call.from, call.to) else { return };
                if !call.method.contains("Vote") {
                    self.reset_timer(state, to, event.at, found);
                }
            }
            EventKind::RpcAnswered { call, .. }
            | EventKind::RpcLost { call, why: Loss::ReplyDropped | Loss::Intercepted } => {
                let Some(call) = state.calls.get(call) else { return };
                let (Some(from), Some(to), Some((_, at))) = (call.from, call.to, call.delivered) else { return };
                if call.method.contains("Vote") {
                    if let Some(timer) = self.timers.get_mut(to.0) {
                        timer.count_vote_request(event.at);
                    }
                    return;
                }
                if !call.method.contains("Append") {
                    return;
                }
                if let (Some(leader), Some(timer)) = (state.servers.get(from.0), self.timers.get_mut(to.0))
                    && leader.role == Some(Role::Leader)
                {
                    timer.heard = Some((at, leader.term.value, from));
                }
            }
            EventKind::Fault(Fault::Crash(servers)) => {
                servers.iter().for_each(|&server| self.reset_timer(state, server, event.at, found));
            }
            EventKind::Fault(Fault::Restart(servers)) => {
                for server in servers {
                    if let Some(timer) = self.timers.get_mut(server.0) {
                        *timer = Timer::default();
                        timer.reset(event.at);
                    }
                }
            }
            EventKind::VoteGranted { term, to } => {
                let Some((server, _)) = state.of(event) else { return };
                if *to == server {
                    self.check_campaign(state, server, *term, event.at, found);
                } else {
                    self.reset_timer(state, server, event.at, found);
                    self.timers[server.0].granted = Some((event.at, *term, *to));
                }
            }
            EventKind::RoleChanged { role: Role::Candidate, term } => {
                let Some((server, _)) = state.of(event) else { return };
                self.check_campaign(state, server, *term, event.at, found);
            }
            _ => {}
        }
    }

    /// The record is over.
    pub(crate) fn finish(&mut self, state: &ReplayState, at: u64, found: &mut Findings) {
        for server in (0..self.timers.len()).map(ServerId) {
            self.reset_timer(state, server, at, found);
        }
    }

    /// `server` begins an election.
    fn check_campaign(&mut self, state: &ReplayState, server: ServerId, term: Term, at: u64, found: &mut Findings) {
        let timer = &self.timers[server.0];
        let early = |since: u64, before: Term| at - since < TIMEOUT_MIN && before < term;
        let ms = |since: u64| (at - since) / 1_000_000;
        if state.servers[server.0].role == Some(Role::Leader) {
            return;
        }
        if let Some((since, voted_in, to)) = timer.granted.filter(|&(since, voted_in, _)| early(since, voted_in)) {
            let (then, ms) = (time(since), ms(since));
            let seen = format!(
                "{server} voted for {to} in term {voted_in} at {then}, and began an election of its own, for term {term}, \
                 {ms} ms later"
            );
            found.add(Rule::GrantResetsTimer, seen, &[]);
        }
        let heard = timer.heard.filter(|&(since, led_in, _)| early(since, led_in));
        if let Some((since, led_in, leader)) = heard.filter(|heard| state.servers[server.0].term.value == heard.1) {
            let (then, ms) = (time(since), ms(since));
            let seen = format!(
                "{server} heard from {leader}, leader of term {led_in}, at {then}, and began an election, for term {term}, {ms} ms \
                 later"
            );
            let campaigned = state.servers[server.0].role == Some(Role::Candidate);
            let rule = if campaigned { Rule::FollowNewLeader } else { Rule::HeartbeatResetsTimer };
            found.add(rule, seen, &[]);
        }
    }

    /// `server` does something, or hears of a leader, or the record ends.
    fn reset_timer(&mut self, state: &ReplayState, server: ServerId, at: u64, found: &mut Findings) {
        let (Some(replica), Some(timer)) = (state.servers.get(server.0), self.timers.get_mut(server.0)) else { return };
        let limit = if state.simulated { TIMEOUT_MAX } else { TIMEOUT_MAX_ON_THREADS };
        let quiet = at - timer.quiet_since;
        if replica.running && quiet > limit && is_unresponsive(state, server, timer.quiet_since) {
            // It is not the timer that does not go off.
            let waits = state.calls.values().any(|call| call.from == Some(server) && call.sent + TIMEOUT_MIN < at);
            let rule = if waits { Rule::NoLockOverRpc } else { Rule::NoLockWhileDelivering };
            self.stuck_rule.get_or_insert(rule);
        } else if replica.running && replica.role != Some(Role::Leader) && quiet > limit {
            let (since, seconds, requests) = (time(timer.quiet_since), quiet as f64 / 1e9, timer.requests);
            let asked = at - timer.request_at < limit && timer.longest_gap < limit;
            let (rule, meanwhile) = if requests >= REQUESTS_MIN && asked {
                let what = format!(", while {requests} requests for its vote came, none of which it granted");
                (Rule::OnlyGrantResetsTimer, what)
            } else {
                (Rule::CampaignOnTimeout, String::new())
            };
            let seen = format!(
                "{server} heard of no leader for {seconds:.1} s, since {since}, and asked for no vote{meanwhile}"
            );
            found.add(rule, seen, &[]);
        }
        timer.reset(at);
    }
}

/// Whether requests of other servers have reached `server` and none was answered since `since`: its handlers wait for
/// something.
fn is_unresponsive(state: &ReplayState, server: ServerId, since: u64) -> bool {
    const REQUESTS: usize = 2;
    let left = |delivered: Option<(u64, u64)>| delivered.is_some_and(|(_, at)| at >= since);
    let calls = state.calls.values().filter(|call| call.from.is_some() && call.to == Some(server));
    calls.filter(|call| left(call.delivered)).count() >= REQUESTS
}

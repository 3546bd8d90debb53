//! Election timers: campaigns that start too early, and campaigns that never start.

use ids::{ServerId, Term};
use record::{Event, EventKind, Fault, Loss, Role};

use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::rule::Rule;

/// Lower bound of every election timeout, in nanoseconds: the lab allows about ten heartbeats a second.
const TIMEOUT_MIN: u64 = 100_000_000;

/// Upper bound of every election timeout, in nanoseconds: the lab demands a leader within five seconds. On threads the
/// bound is larger, because on a busy machine a thread may wake late.
const TIMEOUT_MAX: u64 = 3_000_000_000;
const TIMEOUT_MAX_ON_THREADS: u64 = 6_000_000_000;

/// Number of vote requests from which they count as the reason of the silence.
const REQUESTS_MIN: u64 = 4;

/// Election timers of all servers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: Vec<Timer>,
    /// Whether a server has reported a vote for another one. A Raft that reports no votes may have granted each vote
    /// that was requested.
    votes_are_reported: bool,
    /// Likely rule behind the silence of a server that does not reply either.
    pub(crate) stuck_rule: Option<Rule>,
}

#[derive(Clone, Debug, Default)]
struct Timer {
    /// Last vote that it granted: time, term, and candidate.
    granted: Option<(u64, Term, ServerId)>,
    /// Last message of its leader that it replied to: arrival time, term, and leader.
    heard: Option<(u64, Term, ServerId)>,
    /// Time since which it has heard from no leader, granted no vote, and sent nothing.
    quiet_since: u64,
    /// Vote requests since then, and the longest time without one.
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
    /// Examines an event before it is applied to the state.
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
            EventKind::RpcReplied { call, .. }
            | EventKind::RpcLost { call, reason: Loss::ReplyDropped | Loss::Intercepted } => {
                let Some(call) = state.calls.get(call) else { return };
                let (Some(from), Some(to), Some((_, at))) = (call.from, call.to, call.delivered) else { return };
                if call.method.contains("Vote") {
                    if !self.votes_are_reported {
                        self.reset_timer(state, to, event.at, found);
                    } else if let Some(timer) = self.timers.get_mut(to.0) {
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
                    self.votes_are_reported = true;
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

    /// Checks all timers at the end of the record.
    pub(crate) fn finish(&mut self, state: &ReplayState, at: u64, found: &mut Findings) {
        for server in (0..self.timers.len()).map(ServerId) {
            self.reset_timer(state, server, at, found);
        }
    }

    /// Checks a campaign that `server` starts.
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
                "{server} voted for {to} in term {voted_in} at {then}, and started its own election, for term {term}, \
                 only {ms} ms later"
            );
            found.add(Rule::GrantResetsTimer, seen, &[]);
        }
        let heard = timer.heard.filter(|&(since, led_in, _)| early(since, led_in));
        if let Some((since, led_in, leader)) = heard.filter(|heard| state.servers[server.0].term.value == heard.1) {
            let (then, ms) = (time(since), ms(since));
            let seen = format!(
                "{server} heard from {leader}, leader of term {led_in}, at {then}, and started an election, for term \
                 {term}, only {ms} ms later"
            );
            let campaigned = state.servers[server.0].role == Some(Role::Candidate);
            let rule = if campaigned { Rule::FollowNewLeader } else { Rule::HeartbeatResetsTimer };
            found.add(rule, seen, &[]);
        }
    }

    /// Resets the timer of `server`: it sent something, or heard from a leader, or the record ended. A silence that was
    /// too long is reported.
    fn reset_timer(&mut self, state: &ReplayState, server: ServerId, at: u64, found: &mut Findings) {
        let (Some(replica), Some(timer)) = (state.servers.get(server.0), self.timers.get_mut(server.0)) else { return };
        let limit = if state.simulated { TIMEOUT_MAX } else { TIMEOUT_MAX_ON_THREADS };
        let quiet = at - timer.quiet_since;
        if replica.running && quiet > limit && is_unresponsive(state, server, timer.quiet_since) {
            // The timer is not the problem.
            let waits = state.calls.values().any(|call| call.from == Some(server) && call.sent + TIMEOUT_MIN < at);
            let rule = if waits { Rule::NoLockOverRpc } else { Rule::NoLockWhileDelivering };
            self.stuck_rule.get_or_insert(rule);
        } else if replica.running && replica.role != Some(Role::Leader) && quiet > limit {
            let (since, seconds, requests) = (time(timer.quiet_since), quiet as f64 / 1e9, timer.requests);
            let asked = at - timer.request_at < limit && timer.longest_gap < limit;
            let (rule, meanwhile) = if requests >= REQUESTS_MIN && asked {
                let what = format!("; meanwhile {requests} requests for its vote arrived, and it granted none");
                (Rule::OnlyGrantResetsTimer, what)
            } else {
                (Rule::CampaignOnTimeout, String::new())
            };
            let seen = format!(
                "{server} heard from no leader for {seconds:.1} s, since {since}, and requested no votes{meanwhile}"
            );
            found.add(rule, seen, &[]);
        }
        timer.reset(at);
    }
}

/// Returns whether requests of other servers have reached `server` since `since` and none was answered. Then its
/// handlers are blocked.
fn is_unresponsive(state: &ReplayState, server: ServerId, since: u64) -> bool {
    const REQUESTS: usize = 2;
    let left = |delivered: Option<(u64, u64)>| delivered.is_some_and(|(_, at)| at >= since);
    let calls = state.calls.values().filter(|call| call.from.is_some() && call.to == Some(server));
    calls.filter(|call| left(call.delivered)).count() >= REQUESTS
}

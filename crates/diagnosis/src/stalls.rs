//! Leaders and followers that communicate and make no progress: the state at the end of a record.

use std::collections::BTreeMap;

use ids::{Index, ServerId};
use record::{Event, EventKind, Fault, Role};

use super::finding::{Findings, time};
use super::replay::{ReplayState, ServerState};
use super::rule::Rule;

/// Time, in nanoseconds, after which missing progress is a fault: more than ten heartbeats.
const STALLED: u64 = 1_500_000_000;

/// Number of replies within that time from which two servers communicate.
const REPLIES_MIN: usize = 5;

/// Messages and progress of the servers at the end of a record.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    /// Times at which each server was sent the calls that it has replied to, by caller and server. Only recent ones.
    replied: BTreeMap<(ServerId, ServerId), Vec<u64>>,
    /// Time of the last snapshot that one server sent to another.
    snapshots: BTreeMap<(ServerId, ServerId), u64>,
    servers: Vec<Progress>,
}

/// Progress of one server.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Time since which its log is as it is.
    log_since: u64,
    /// Time since which its commit index is as it is.
    commit_since: u64,
    /// Last index that its service applied.
    applied: Option<Index>,
}

impl Stalls {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event) {
        self.servers.resize(state.servers.len(), Progress::default());
        match &event.kind {
            EventKind::RpcSent { from: Some(from), to: record::Peer::Server(to), method, .. }
                if method.contains("Snapshot") =>
            {
                self.snapshots.insert((*from, *to), event.at);
            }
            EventKind::RpcReplied { call, .. } => {
                let Some(call) = state.calls.get(call).filter(|call| call.method.contains("Append")) else { return };
                if let (Some(from), Some(to)) = (call.from, call.to) {
                    let sent = self.replied.entry((from, to)).or_default();
                    sent.retain(|sent| sent + STALLED > event.at);
                    sent.push(call.sent);
                }
            }
            EventKind::Fault(Fault::Restart(servers)) => {
                for server in servers {
                    self.servers[server.0] = Progress { log_since: event.at, commit_since: event.at, applied: None };
                }
            }
            kind => {
                let Some((server, _)) = state.of(event) else { return };
                let progress = &mut self.servers[server.0];
                match *kind {
                    EventKind::LogAppended { .. } | EventKind::LogTruncated { .. } | EventKind::LogCompacted { .. } => {
                        progress.log_since = event.at;
                    }
                    EventKind::Committed { .. } => progress.commit_since = event.at,
                    EventKind::Applied { index, .. } | EventKind::SnapshotInstalled { index, .. } => {
                        progress.applied = Some(index);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Evaluates the state at the end of the record, at time `at`.
    pub(crate) fn finish(&self, state: &ReplayState, at: u64, found: &mut Findings) {
        let known = |server: &ServerId| state.servers[server.0].log_known();
        let servers: Vec<ServerId> = (0..self.servers.len()).map(ServerId).filter(known).collect();
        servers.iter().for_each(|&server| self.find_unapplied(state, server, at, found));
        let leaders = servers.iter().filter(|server| state.servers[server.0].role == Some(Role::Leader));
        let Some(&leader) = leaders.max_by_key(|server| state.servers[server.0].term.value) else { return };
        let term = state.servers[leader.0].term.value;
        let follows = |server: &ServerId| *server != leader && state.servers[server.0].term.value == term;
        let followers: Vec<ServerId> =
            servers.iter().copied().filter(|server| follows(server) && self.communicate(leader, *server, at)).collect();
        for &follower in &followers {
            self.find_behind(state, leader, follower, at, found);
        }
        self.find_uncommitted(state, leader, &followers, at, found);
    }

    /// Returns whether `follower` has replied to recent calls of `leader`.
    fn communicate(&self, leader: ServerId, follower: ServerId, at: u64) -> bool {
        let recent = |sent: &Vec<u64>| sent.iter().filter(|sent| **sent + STALLED > at).count();
        self.replied.get(&(leader, follower)).map_or(0, recent) >= REPLIES_MIN
    }

    fn find_unapplied(&self, state: &ReplayState, server: ServerId, at: u64, found: &mut Findings) {
        let (replica, progress) = (&state.servers[server.0], &self.servers[server.0]);
        let applied = progress.applied.unwrap_or(Index::ZERO).max(replica.log.base);
        if replica.commit > applied && progress.commit_since + STALLED < at && state.reports_applied {
            let seen = format!(
                "{server} has committed index {} at {}, but its service has applied nothing after index {applied}",
                replica.commit,
                time(progress.commit_since)
            );
            found.add(Rule::ApplyInOrder, seen, &[server]);
        }
    }

    fn find_behind(&self, state: &ReplayState, leader: ServerId, follower: ServerId, at: u64, found: &mut Findings) {
        let (ours, theirs) = (&state.servers[leader.0], &state.servers[follower.0]);
        let progress = &self.servers[follower.0];
        let quiet = |since: u64| since + STALLED < at;
        if quiet(progress.log_since) && theirs.log.last() < ours.log.base {
            let sent = self.snapshots.get(&(leader, follower)).copied().unwrap_or(0);
            if quiet(sent) {
                let seen = format!(
                    "the log of {follower} ends at index {}, its leader {leader} has no entry before index {}, and \
                     sent it no snapshot",
                    theirs.log.last(),
                    ours.log.base.next()
                );
                found.add(Rule::CompactLog, seen, &[leader, follower]);
            }
        } else if quiet(progress.log_since)
            && let Some(index) = first_conflict(ours, theirs)
        {
            let seen = format!(
                "the log of {follower} differs from that of its leader {leader} from index {index} on, and has not \
                 changed since {}",
                time(progress.log_since)
            );
            found.add(Rule::BackUpNextIndex, seen, &[leader, follower]);
        } else if theirs.commit < ours.commit
            && theirs.log.last() >= ours.commit
            && quiet(self.servers[leader.0].commit_since)
            && quiet(progress.log_since)
        {
            let seen = format!(
                "{leader} committed index {} at {}; {follower} has the same entry, and replies to the messages of \
                 {leader}, but has committed only index {}",
                ours.commit,
                time(self.servers[leader.0].commit_since),
                theirs.commit
            );
            found.add(Rule::FollowLeaderCommit, seen, &[leader, follower]);
        }
    }

    fn find_uncommitted(
        &self,
        state: &ReplayState,
        leader: ServerId,
        followers: &[ServerId],
        at: u64,
        found: &mut Findings,
    ) {
        let ours = &state.servers[leader.0];
        let own_term = ours.term.value;
        let old = |server: ServerId, index: Index| {
            let entry = state.servers[server.0].log.entry(index);
            entry.is_some_and(|entry| entry.term == own_term && entry.at + STALLED < at)
        };
        let holders = |index: Index| {
            let others = followers.iter().copied().filter(|&follower| old(follower, index));
            [leader].into_iter().chain(others).collect::<Vec<_>>()
        };
        let stuck = ours
            .log
            .entries()
            .map(|(index, _)| index)
            .find(|&index| index > ours.commit && old(leader, index) && state.is_majority(holders(index).len()));
        if let Some(index) = stuck {
            let holders = holders(index);
            let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
            let seen = format!(
                "{leader}, leader of term {own_term}, has not committed index {index}, though {} of {} servers have the \
                 entry, and reply: {}",
                names.len(),
                state.servers.len(),
                names.join(", ")
            );
            found.add(Rule::CommitMajority, seen, &holders);
        }
    }
}

/// Returns the first index at which both logs have an entry and the entries differ.
fn first_conflict(ours: &ServerState, theirs: &ServerState) -> Option<Index> {
    let differs = |index: Index, term| ours.log.term_at(index).is_some_and(|ours| ours != term);
    theirs.log.entries().find(|(index, entry)| differs(*index, entry.term)).map(|(index, _)| index)
}

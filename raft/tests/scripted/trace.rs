//! The form of a script's trace.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use raft::core::{Core, Effects, NewSnapshot, Probe, ProgressState, Read, SoftState};
use raftapi::{ApplyMsg, Index, ServerId, Term};

use crate::cores::{Content, Message};

/// Returns a server's name in scripts. They count from 1, like the paper.
pub(super) fn name(server: ServerId) -> String {
    format!("n{}", server.0 + 1)
}

/// Describes a server and its log, and a leader's progress of each peer.
pub(super) fn status(core: &Core) -> String {
    let SoftState { term, role, leader } = core.soft_state();
    let mut text = format!("{} {role} term={term}", name(core.me()));
    if let Some(leader) = leader.filter(|&leader| leader != core.me()) {
        write!(text, " leader={}", name(leader)).expect("a string takes everything");
    }
    if let Some(candidate) = core.voted_for() {
        write!(text, " vote={}", name(candidate)).expect("a string takes everything");
    }
    let base = core.log().base_index();
    let log: String = (base.next().0..=core.log().last_index().0)
        .filter_map(|index| core.log().get(Index(index)))
        .map(|entry| format!(" {}{}", entry.term, command(&entry.command)))
        .collect();
    if base > Index::ZERO {
        write!(text, " snapshot={}", place(base, core.log().base_term())).expect("a string takes everything");
    }
    writeln!(text, " commit={} log:{log}", core.commit_index()).expect("a string takes everything");
    for peer in core.peers() {
        if let Some(progress) = core.progress(peer) {
            let state = match progress.state() {
                ProgressState::Probing(Probe::Ready) => "probing".to_string(),
                ProgressState::Probing(Probe::InFlight(number)) => format!("probing, batch {number} in flight"),
                ProgressState::Probing(Probe::Paused) => "probing, paused".to_string(),
                ProgressState::Replicating { in_flight: None } => "replicating".to_string(),
                ProgressState::Replicating { in_flight: Some(number) } => {
                    format!("replicating, batch {number} in flight")
                }
                ProgressState::ReceivingSnapshot { last_included_index, .. } => {
                    format!("receiving the snapshot up to {last_included_index}")
                }
            };
            let (next, matched) = (progress.next_index(), progress.match_index());
            writeln!(text, "    {} next={next} match={matched} {state}", name(peer))
                .expect("a string takes everything");
        }
    }
    text
}

/// Describes a read and its outcome.
pub(super) fn read(read: &Read, what: &str) -> String {
    format!("read {} of term {} {what} at index {}", read.number, read.term, read.index)
}

/// Describes the effects of an event, without the messages, in the order in which they are carried out.
pub(super) fn effects(core: &Core, effects: &Effects, applied: &[ApplyMsg]) -> String {
    let server = core.me();
    let mut lines = Vec::new();
    if let Some(saved) = effects.persist.hard_state {
        let vote = saved.voted_for.map_or("none".to_string(), name);
        lines.push(format!("saves term={} vote={vote}", saved.term));
    }
    if let Some(change) = effects.persist.log {
        let verb = if change.truncates { "replaces its log from" } else { "appends" };
        let to = if change.first < change.last { format!(" to {}", change.last) } else { String::new() };
        lines.push(format!("{verb} {}{to}", change.first));
    }
    if let Some(new) = effects.persist.snapshot {
        let base = place(core.log().base_index(), core.log().base_term());
        lines.push(match new {
            NewSnapshot::Taken => format!("saves the snapshot {base} in place of its log up to there"),
            NewSnapshot::Installed if core.log().last_index() > core.log().base_index() => {
                format!("saves the snapshot {base} and keeps its log after it")
            }
            NewSnapshot::Installed => format!("saves the snapshot {base} in place of its log"),
        });
    }
    if effects.reset_election_timer {
        lines.push("resets its election timer".to_string());
    }
    if let Some(index) = effects.commit_advanced {
        let commands: String = applied.iter().map(applied_entry).collect();
        lines.push(format!("commits up to {index} and applies{commands}"));
    }
    if let Some(SoftState { term, role, leader }) = effects.soft_state {
        let of = leader.filter(|&leader| leader != server).map(|leader| format!(" of {}", name(leader)));
        lines.push(format!("is {role}{} in term {term}", of.unwrap_or_default()));
    }
    lines.iter().map(|line| format!("    {} {line}\n", name(server))).collect()
}

impl Message {
    /// Returns the message's name in the paper.
    pub(super) fn name(&self) -> &'static str {
        match self.content {
            Content::RequestVote(_) => "RequestVote",
            Content::RequestVoteReply(..) => "RequestVoteReply",
            Content::AppendEntries(..) => "AppendEntries",
            Content::AppendEntriesReply(..) => "AppendEntriesReply",
            Content::InstallSnapshot(..) => "InstallSnapshot",
            Content::InstallSnapshotReply(..) => "InstallSnapshotReply",
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {} ", name(self.from), name(self.to), self.name())?;
        match &self.content {
            Content::RequestVote(args) => {
                write!(f, "term={} last={}", args.term, place(args.last_log_index, args.last_log_term))
            }
            Content::RequestVoteReply(_, reply) => {
                write!(f, "term={} {}", reply.term, if reply.vote_granted { "granted" } else { "refused" })
            }
            Content::AppendEntries(args, _) => {
                let prev = place(args.prev_log_index, args.prev_log_term);
                write!(f, "term={} prev={prev} commit={}", args.term, args.leader_commit)?;
                if args.entries.is_empty() {
                    return f.write_str(" heartbeat");
                }
                let mut index = args.prev_log_index;
                f.write_str(" entries:")?;
                args.entries.iter().try_for_each(|entry| {
                    index = index.next();
                    write!(f, " {}{}", place(index, entry.term), command(&entry.command))
                })
            }
            Content::InstallSnapshot(args, _) => {
                write!(f, "term={} up to {}", args.term, place(args.last_included_index, args.last_included_term))
            }
            Content::InstallSnapshotReply(sent, reply) if reply.term > sent.term => {
                write!(f, "term={} refused", reply.term)
            }
            Content::InstallSnapshotReply(sent, reply) => {
                write!(f, "term={} has everything up to {}", reply.term, sent.last_index)
            }
            Content::AppendEntriesReply(sent, reply) => {
                write!(f, "term={} ", reply.term)?;
                match (reply.success, reply.conflict_term) {
                    (true, _) => write!(f, "agrees up to {}", sent.last_index),
                    (false, _) if reply.term > sent.term => f.write_str("refused"),
                    (false, Some(term)) => write!(f, "conflict in term {term} from {}", reply.conflict_index),
                    (false, None) => write!(f, "conflict, log ends before {}", reply.conflict_index),
                }
            }
        }
    }
}

fn place(index: Index, term: Term) -> String {
    format!("{index}@{term}")
}

fn command(command: &Bytes) -> String {
    match command.len() {
        0 => String::new(),
        1..=16 => format!("={}", String::from_utf8_lossy(command)),
        size => format!("=({size} bytes)"),
    }
}

fn applied_entry(message: &ApplyMsg) -> String {
    match message {
        ApplyMsg::Command { index, term, command: bytes } => format!(" {}{}", place(*index, *term), command(bytes)),
        ApplyMsg::Snapshot { index, term, .. } => format!(" snapshot {}", place(*index, *term)),
    }
}

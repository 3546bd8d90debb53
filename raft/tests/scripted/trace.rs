//! How the trace of a script is written.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use raft::core::{Core, Effects, Flow, Standing};
use raftapi::{ApplyMsg, Index, ServerId, Term};

use super::{Content, Message};

/// A server's name in scripts; the paper counts from 1.
pub(super) fn name(server: ServerId) -> String {
    format!("n{}", server.0 + 1)
}

/// A server and its log; of a leader also what it knows of the others.
pub(super) fn status(core: &Core) -> String {
    let Standing { term, role, leader } = core.standing();
    let mut text = format!("{} {role} term={term}", name(core.me()));
    if let Some(leader) = leader.filter(|&leader| leader != core.me()) {
        write!(text, " leader={}", name(leader)).expect("a string takes everything");
    }
    if let Some(candidate) = core.voted_for() {
        write!(text, " vote={}", name(candidate)).expect("a string takes everything");
    }
    let log: String = (1..=core.log().last_index().0)
        .filter_map(|index| core.log().get(Index(index)))
        .map(|entry| format!(" {}{}", entry.term, command(&entry.command)))
        .collect();
    writeln!(text, " commit={} log:{log}", core.commit_index()).expect("a string takes everything");
    for peer in core.peers() {
        if let Some(progress) = core.progress(peer) {
            let flow = match progress.flow() {
                Flow::Ready => "ready".to_string(),
                Flow::InFlight(number) => format!("waits for batch {number}"),
                Flow::Probing => "probing".to_string(),
            };
            let (next, matched) = (progress.next_index(), progress.match_index());
            writeln!(text, "    {} next={next} match={matched} {flow}", name(peer)).expect("a string takes everything");
        }
    }
    text
}

/// What a server asks for, messages excepted, in the order of doing it.
pub(super) fn effects(server: ServerId, effects: &Effects, applied: &[ApplyMsg]) -> String {
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
    if effects.reset_election_timer {
        lines.push("resets its election timer".to_string());
    }
    if let Some(index) = effects.commit_advanced {
        let commands: String = applied.iter().map(applied_entry).collect();
        lines.push(format!("commits up to {index} and applies{commands}"));
    }
    if let Some(Standing { term, role, leader }) = effects.role_change {
        let of = leader.filter(|&leader| leader != server).map(|leader| format!(" of {}", name(leader)));
        lines.push(format!("is {role}{} in term {term}", of.unwrap_or_default()));
    }
    lines.iter().map(|line| format!("    {} {line}\n", name(server))).collect()
}

impl Message {
    /// The message's name in the paper.
    pub(super) fn name(&self) -> &'static str {
        match self.content {
            Content::RequestVote(_) => "RequestVote",
            Content::RequestVoteReply(..) => "RequestVoteReply",
            Content::AppendEntries(..) => "AppendEntries",
            Content::AppendEntriesReply(..) => "AppendEntriesReply",
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

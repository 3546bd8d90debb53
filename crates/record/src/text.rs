//! The text of an event, one line for people: `NNNNNN TOPC Sx message`, with the time in tenths of a millisecond. The
//! course's log viewers read this format, so a message has no line breaks, and a line without a server has two dashes
//! in its place.

use std::fmt::{self, Display, Formatter};

use crate::{
    AnnotationShape, CheckStep, Event, EventKind, Excerpt, Fault, Level, Linearizable, Loss, OperationKind, Peer, Role,
    Verdict,
};
use ids::{Index, ServerId};

const NANOS_PER_TENTH_OF_MS: u64 = 100_000;

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", Time(self.at), self.kind.topic(), ServerOrDashes(self.server), self.kind)
    }
}

impl Event {
    /// Returns the time as the event's line shows it: in tenths of a millisecond, with at least six digits.
    pub fn time(&self) -> String {
        Time(self.at).to_string()
    }
}

/// A time in nanoseconds, displayed in tenths of a millisecond.
struct Time(u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0 / NANOS_PER_TENTH_OF_MS)
    }
}

impl Display for EventKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::RunBegun { scenario, seed, servers, simulated } => {
                let clock = if *simulated { "simulated" } else { "on threads" };
                write!(f, "{} begins: seed {seed}, {servers} servers, {clock}", OneLine(scenario))
            }
            EventKind::RunEnded { verdict, trace_hash, steps } => {
                write!(f, "the run ends: {verdict}, {steps} steps, trace {trace_hash:016x}")
            }
            EventKind::RpcSent { call, from, to, method, bytes } => {
                write!(f, "#{call} {} -> {to} {}, {bytes} bytes", ServerOrDashes(*from), OneLine(method))
            }
            EventKind::RpcDelivered { call } => write!(f, "#{call} reaches its handler"),
            EventKind::RpcReplied { call, bytes } => write!(f, "#{call} gets its reply, {bytes} bytes"),
            EventKind::RpcLost { call, reason } => write!(f, "#{call} is lost: {reason}"),
            EventKind::RoleChanged { role, term } => write!(f, "becomes {role} in term {term}"),
            EventKind::TermChanged { term } => write!(f, "moves to term {term}"),
            EventKind::VoteGranted { term, to } => write!(f, "votes for {to} in term {term}"),
            EventKind::LogAppended { term, first, last } => {
                write!(f, "appends {}, term {term}", IndexRange(*first, *last))
            }
            EventKind::LogTruncated { last } => write!(f, "truncates its log after index {last}"),
            EventKind::Committed { index } => write!(f, "commits up to index {index}"),
            EventKind::Applied { index, term } => write!(f, "applies index {index}, term {term}"),
            EventKind::SnapshotTaken { index, bytes } => write!(f, "snapshots up to index {index}, {bytes} bytes"),
            EventKind::SnapshotInstalled { index, term } => {
                write!(f, "installs a snapshot up to index {index}, term {term}")
            }
            EventKind::Persisted { bytes } => write!(f, "saves {bytes} bytes"),
            EventKind::Fault(fault) => fault.fmt(f),
            EventKind::Check { check, step, text } => write!(f, "check {check} {step}: {}", OneLine(text)),
            EventKind::CommandSubmitted { index, term, bytes } => {
                write!(f, "accepts a command at index {index}, term {term}, {bytes} bytes")
            }
            EventKind::CommandAgreed { index, servers } => write!(f, "index {index} is agreed on by {servers} servers"),
            EventKind::Annotated { tag, label, details, shape } => {
                let (tag, label, details) = (OneLine(tag), OneLine(label), OneLine(details));
                match shape {
                    AnnotationShape::Point => write!(f, "[{tag}] {label}: {details}"),
                    AnnotationShape::Since(at) => {
                        write!(f, "[{tag}] {label}, since {}: {details}", Time(*at))
                    }
                    AnnotationShape::Open => write!(f, "[{tag}] {label}, from now on: {details}"),
                    AnnotationShape::Close => write!(f, "[{tag}] ends"),
                }
            }
            EventKind::LogLine { level, target, message } => {
                write!(f, "{level} {}: {}", OneLine(target), OneLine(message))
            }
            EventKind::Failed { text } => write!(f, "FAILED: {}", OneLine(text)),
            EventKind::OperationBegun { operation, client, kind, key, value } => {
                write!(f, "client {client} begins operation {operation}: {kind} '{}'", OneLine(key))?;
                match kind {
                    OperationKind::Get => Ok(()),
                    OperationKind::Put | OperationKind::Append => write!(f, ", {value}"),
                }
            }
            EventKind::OperationEnded { operation, value } => write!(f, "operation {operation} returns {value}"),
            EventKind::HistoryChecked { key, linearizable, orders } => {
                let longest = orders.iter().map(Vec::len).max().unwrap_or(0);
                write!(f, "key '{}' {linearizable}: the longest order has {longest} operations", OneLine(key))
            }
            EventKind::Restored { term, vote, snapshot_index, snapshot_term } => {
                write!(f, "starts in term {term}")?;
                if let Some(to) = vote {
                    write!(f, ", has voted for {to}")?;
                }
                if *snapshot_index > Index::ZERO {
                    write!(f, ", with a snapshot up to index {snapshot_index}, term {snapshot_term}")?;
                }
                Ok(())
            }
            EventKind::LogCompacted { index, term } => {
                write!(f, "compacts its log up to index {index}, term {term}")
            }
            EventKind::FaultCutoff { at } => write!(f, "faults end at {}", Time(*at)),
            EventKind::CallsOmitted { since, calls, bytes } => {
                let since = Time(*since);
                write!(f, "{calls} completed calls since {since} are omitted, {bytes} bytes")
            }
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Connect(servers) => write!(f, "connects {}", ServerList(servers)),
            Fault::Disconnect(servers) => write!(f, "disconnects {}", ServerList(servers)),
            Fault::Crash(servers) => write!(f, "crashes {}", ServerList(servers)),
            Fault::Restart(servers) => write!(f, "restarts {}", ServerList(servers)),
            Fault::Partition(parts) => {
                f.write_str("partitions")?;
                parts.iter().try_for_each(|part| write!(f, " {}", ServerList(part)))
            }
        }
    }
}

impl Display for Peer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Server(server) => server.fmt(f),
            Peer::Named(name) => OneLine(name).fmt(f),
        }
    }
}

impl Display for Excerpt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.bytes - self.end.len() as u64 {
            0 => write!(f, "'{}'", OneLine(&self.end)),
            left_out => write!(f, "'[{left_out} bytes]{}'", OneLine(&self.end)),
        }
    }
}

/// Implements `Display` for enums whose variants are fixed phrases.
macro_rules! fixed_words {
    ($($type:ident: $($variant:ident $word:literal),+;)+) => {$(
        impl Display for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                // `pad` applies a width that the caller gives.
                f.pad(match self { $($type::$variant => $word),+ })
            }
        }
    )+};
}

fixed_words! {
    Verdict: Passed "passed", Failed "failed", Disturbed "disturbed", Aborted "aborted", Undecided "undecided";
    Linearizable: Yes "is linearizable", No "is NOT linearizable", Unknown "is undecided";
    OperationKind: Get "get", Put "put", Append "append";
    Role: Follower "follower", Candidate "candidate", Leader "leader";
    CheckStep: Begun "begins", Passed "passed", Failed "failed", Neutral "is undecided";
    Level: Error "ERROR", Warn "WARN", Info "INFO", Debug "DEBUG", Trace "TRACE";
    Loss: RequestDropped "the request was dropped", ReplyDropped "the reply was dropped",
        Unreachable "the destination is unreachable", ServerGone "the server was removed while it handled the request",
        NetworkGone "the network is down", Abandoned "the calling server crashed", Intercepted "the scenario intercepted it";
}

/// A server, displayed as two dashes if there is none.
struct ServerOrDashes(Option<ServerId>);

impl Display for ServerOrDashes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(server) => server.fmt(f),
            None => f.write_str("--"),
        }
    }
}

/// A list of servers, such as `[S0 S1]`.
struct ServerList<'a>(&'a [ServerId]);

impl Display for ServerList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, server) in self.0.iter().enumerate() {
            write!(f, "{}{server}", if place == 0 { "" } else { " " })?;
        }
        f.write_str("]")
    }
}

/// A range of indexes, such as `index 4` or `index 4 to 7`.
struct IndexRange(Index, Index);

impl Display for IndexRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            IndexRange(first, last) if first == last => write!(f, "index {first}"),
            IndexRange(first, last) => write!(f, "index {first} to {last}"),
        }
    }
}

/// A text with its line breaks and other control characters escaped.
struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, from) = rest.split_at(at);
            let control = from.chars().next().expect("the search found a character");
            write!(f, "{plain}{}", control.escape_default())?;
            rest = &from[control.len_utf8()..];
        }
        f.write_str(rest)
    }
}

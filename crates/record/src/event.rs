//! The events of a run. These types are the format of a record: their labgob encoding is hashed, kept and written to
//! files. New kinds therefore go to the end of [`EventKind`], and a change of an existing kind changes the format.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use ids::{Index, ServerId, Term};

/// One event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The time, in nanoseconds on the run's clock: virtual time in a simulation, time since the run began on threads.
    pub at: u64,
    /// The server; `None` for the tester, the network and the clients.
    pub server: Option<ServerId>,
    /// The kind of event, with its fields.
    pub kind: EventKind,
}

/// The kind of an event. [`Event::server`] is the server that the sentence is about, if it is about one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A run of a scenario begins.
    RunBegun {
        /// The scenario's name, as in its test.
        scenario: String,
        /// The seed of the run.
        seed: u64,
        /// The number of servers in the cluster.
        servers: usize,
        /// Whether it is a simulation; otherwise it runs on OS threads.
        simulated: bool,
    },
    /// The run ends.
    RunEnded {
        /// The outcome.
        verdict: Verdict,
        /// The hash over all decisions of the scheduler; 0 on threads.
        trace_hash: u64,
        /// The number of scheduler steps; 0 on threads.
        steps: u64,
    },

    /// The network accepted a request.
    RpcSent {
        /// The number of the call, unique within the run; the events below refer to it.
        call: u64,
        /// The calling server; `None` for a client.
        from: Option<ServerId>,
        /// The destination.
        to: Peer,
        /// Service and method, such as `Raft.AppendEntries`.
        method: Cow<'static, str>,
        /// The length of the encoded arguments.
        bytes: u64,
    },
    /// The request reached its handler.
    RpcDelivered {
        /// The number of the call.
        call: u64,
    },
    /// The reply reached the caller.
    RpcReplied {
        /// The number of the call.
        call: u64,
        /// The length of the encoded reply.
        bytes: u64,
    },
    /// The call fails, or its outcome is no longer needed.
    RpcLost {
        /// The number of the call.
        call: u64,
        /// The place and cause of the loss.
        reason: Loss,
    },

    /// The server has a new role.
    RoleChanged {
        /// The role from now on.
        role: Role,
        /// The server's term.
        term: Term,
    },
    /// The server has a new term.
    TermChanged {
        /// The term from now on.
        term: Term,
    },
    /// The server votes for another server or for itself.
    VoteGranted {
        /// The term of the election.
        term: Term,
        /// The candidate.
        to: ServerId,
    },
    /// Entries of one term were added to the server's log.
    LogAppended {
        /// The term of all of them: entries of several terms are several events.
        term: Term,
        /// The first new index.
        first: Index,
        /// The last new index.
        last: Index,
    },
    /// Entries were removed from the end of the server's log, because they conflict with the leader's.
    LogTruncated {
        /// The last index that remains.
        last: Index,
    },
    /// The server's commit index has grown.
    Committed {
        /// The new commit index.
        index: Index,
    },
    /// The server's service applied an entry.
    Applied {
        /// The entry's index.
        index: Index,
        /// The entry's term.
        term: Term,
    },
    /// The server's service made a snapshot, so that Raft can compact its log.
    SnapshotTaken {
        /// The last index that the snapshot covers.
        index: Index,
        /// The length of the snapshot.
        bytes: u64,
    },
    /// The server's service installed a leader's snapshot.
    SnapshotInstalled {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
    /// The server saved its state.
    Persisted {
        /// The number of bytes written.
        bytes: u64,
    },

    /// The tester injected or removed a fault.
    Fault(Fault),
    /// A check of the tester begins or ends.
    Check {
        /// The number of the check, unique within the run. It connects the end with the beginning, because checks
        /// overlap.
        check: u64,
        /// The state of the check.
        step: CheckStep,
        /// The property that is checked, or the finding.
        text: String,
    },
    /// The server, as leader, accepted a command from the tester.
    CommandSubmitted {
        /// The index at which the command will appear if it is committed.
        index: Index,
        /// The leader's term.
        term: Term,
        /// The length of the command.
        bytes: u64,
    },
    /// The tester saw that enough servers applied the command at an index.
    CommandAgreed {
        /// The index.
        index: Index,
        /// The number of servers that have applied it so far.
        servers: usize,
    },
    /// A note of the code under test or of a scenario, for the views.
    Annotated {
        /// The row in the views that the note belongs to; any text.
        tag: String,
        /// A few words.
        label: String,
        /// The details.
        details: String,
        /// The moment or span that the note marks.
        shape: AnnotationShape,
    },

    /// A line that was logged through the `log` crate.
    LogLine {
        /// Its severity.
        level: Level,
        /// Its target, usually the path of the module.
        target: String,
        /// Its text.
        message: String,
    },
    /// A failure of the run: a panic, a broken property, a deadlock, a time limit.
    Failed {
        /// The description, for people.
        text: String,
    },

    /// A client of the key/value service begins an operation.
    OperationBegun {
        /// The number of the operation, unique within the run. It connects the end with the beginning.
        operation: u64,
        /// The number of the client. A client has one operation at a time.
        client: u32,
        /// The kind of operation.
        kind: OperationKind,
        /// The key.
        key: String,
        /// The value to write; empty for a `Get`.
        value: Excerpt,
    },
    /// An operation returns its result.
    OperationEnded {
        /// The number of the operation.
        operation: u64,
        /// The value that a `Get` returned; empty for the others.
        value: Excerpt,
    },

    /// A gap in a long record: calls that were sent and received their replies between `since` and this event.
    CallsOmitted {
        /// The beginning of the gap, in nanoseconds on the run's clock.
        since: u64,
        /// The number of omitted calls.
        calls: u64,
        /// The length of their encoded arguments and replies.
        bytes: u64,
    },
    /// The checker's verdict on the operations on a key, after the run.
    HistoryChecked {
        /// The key.
        key: String,
        /// Whether an order of the operations explains all results.
        linearizable: Linearizable,
        /// The orders that were found, as numbers of operations. If the history is linearizable, one order of all
        /// operations. Otherwise dead ends, the longest first: after a dead end, no operation that could come next
        /// explains its result.
        orders: Vec<Vec<u64>>,
    },

    /// The server's Raft starts, as a follower, with its saved state. The entries of its log follow as
    /// [`LogAppended`](EventKind::LogAppended).
    Restored {
        /// The server's term; 0 if it has never run.
        term: Term,
        /// The server that it voted for in that term.
        vote: Option<ServerId>,
        /// The last index that its snapshot covers, which is committed and applied; 0 if it has none.
        snapshot_index: Index,
        /// The term of that entry.
        snapshot_term: Term,
    },
    /// The server compacted its log: the entry at this index and those before it are removed, because a snapshot covers
    /// them. Entries after it stay, unless a [`LogTruncated`](EventKind::LogTruncated) says that they were removed as
    /// well.
    LogCompacted {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
    /// Faults end in this run at a given moment: from then on neither the network nor the tester injects any. The event
    /// follows [`RunBegun`](EventKind::RunBegun), in such runs only.
    FaultCutoff {
        /// The moment, in nanoseconds on the run's clock.
        at: u64,
    },
}

/// The verdict on whether an order of operations explains all results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Linearizable {
    /// Such an order exists.
    Yes,
    /// No such order exists.
    No,
    /// The checker reached its limit before it knew.
    Unknown,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// No fault was found.
    Passed,
    /// A property was broken.
    Failed,
    /// A limit that depends on the machine was exceeded while the machine was too slow to judge the code.
    Disturbed,
    /// The run could not be finished. This says nothing about the code under test.
    Aborted,
    /// No fault was found, but the history is too hard to decide whether it is linearizable.
    Undecided,
}

/// The kind of a client's operation on the key/value service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// Reads the value of a key.
    Get,
    /// Replaces the value.
    Put,
    /// Appends to the value.
    Append,
}

/// The end of a text and its whole length. The values of the lab grow by appending, so they differ at their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Excerpt {
    /// The length of the whole text, in bytes.
    pub bytes: u64,
    /// Its last [`Excerpt::BYTES_MAX`] bytes, or a few fewer, because characters are kept whole.
    pub end: String,
}

impl Excerpt {
    /// The most bytes that are kept.
    pub const BYTES_MAX: usize = 40;
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Excerpt {
        let mut begin = text.len().saturating_sub(Excerpt::BYTES_MAX);
        while !text.is_char_boundary(begin) {
            begin += 1;
        }
        Excerpt { bytes: text.len() as u64, end: text[begin..].to_string() }
    }
}

/// The destination of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Peer {
    /// A server of the cluster.
    Server(ServerId),
    /// Any other destination that has a name in the network.
    Named(Cow<'static, str>),
}

/// The place and cause of a lost call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Loss {
    /// The network dropped the request; the handler never ran.
    RequestDropped,
    /// The handler ran, and the network dropped its reply.
    ReplyDropped,
    /// The caller's end is disabled, or no server has that name.
    Unreachable,
    /// The server was removed or replaced while it handled the request.
    ServerGone,
    /// The network itself was taken down.
    NetworkGone,
    /// The calling server crashed while it waited.
    Abandoned,
    /// An interceptor of the scenario dropped the call.
    Intercepted,
}

/// The role of a Raft server (paper, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It replies to candidates and leaders.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It has the votes of a quorum in its term.
    Leader,
}

/// A fault that the tester injected or removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// These servers were connected to all other connected servers.
    Connect(Vec<ServerId>),
    /// These servers were disconnected from all others.
    Disconnect(Vec<ServerId>),
    /// These servers were stopped; their saved state remains.
    Crash(Vec<ServerId>),
    /// These servers were started from their saved state.
    Restart(Vec<ServerId>),
    /// Servers reach only the servers of their own part. A single part with all servers heals the network.
    Partition(Vec<Vec<ServerId>>),
}

/// The state of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckStep {
    /// It begins.
    Begun,
    /// It found the expected state.
    Passed,
    /// It found a fault.
    Failed,
    /// It could not judge, and will be repeated.
    Neutral,
}

/// The moment or span that an annotation marks on the time axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnnotationShape {
    /// The moment of the event.
    Point,
    /// From this time, in nanoseconds on the run's clock, to the event.
    Since(u64),
    /// From the event to the next one of its tag that is `Open` or `Close`.
    Open,
    /// The end of the open span of its tag.
    Close,
}

/// The severity of a logged line, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// An error.
    Error,
    /// A possible error.
    Warn,
    /// Useful information.
    Info,
    /// Details for debugging.
    Debug,
    /// All details.
    Trace,
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Level {
        match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
            log::Level::Trace => Level::Trace,
        }
    }
}

impl From<Level> for log::Level {
    fn from(level: Level) -> log::Level {
        match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Trace => log::Level::Trace,
        }
    }
}

impl From<ServerId> for Peer {
    fn from(server: ServerId) -> Peer {
        Peer::Server(server)
    }
}

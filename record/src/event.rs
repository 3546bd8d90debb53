//! What can happen in a run. These types are the format of a record: their labgob encoding is what is hashed, kept and
//! written to files. New kinds therefore go to the end of [`EventKind`], and an existing one is not changed lightly.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Index, ServerId, Term};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds on the run's clock: virtual time in a simulation, time since the run began on threads.
    pub at: u64,
    /// On which server; `None` for the tester, the network and the clients.
    pub server: Option<ServerId>,
    /// What.
    pub kind: EventKind,
}

/// What happened. [`Event::server`] is the server that the sentence is about, where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A run of a scenario begins.
    RunBegun {
        /// The scenario's name, as its test has it.
        scenario: String,
        /// The seed of the run.
        seed: u64,
        /// How many servers the cluster has.
        servers: usize,
        /// Whether it is a simulation; otherwise it runs on OS threads.
        simulated: bool,
    },
    /// The run is over.
    RunEnded {
        /// How it went.
        verdict: Verdict,
        /// The hash over all decisions of the scheduler; 0 on threads.
        trace_hash: u64,
        /// How many steps the scheduler took; 0 on threads.
        steps: u64,
    },

    /// A request was accepted by the network.
    RpcSent {
        /// The number of the call, unique within the run; the events below refer to it.
        call: u64,
        /// The calling server; `None` for a client.
        from: Option<ServerId>,
        /// Whom it is meant for.
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
    RpcAnswered {
        /// The number of the call.
        call: u64,
        /// The length of the encoded reply.
        bytes: u64,
    },
    /// The call fails, or its outcome no longer matters to anyone.
    RpcLost {
        /// The number of the call.
        call: u64,
        /// Where and why.
        why: Loss,
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
    /// The server votes for another one or for itself.
    VoteGranted {
        /// The term of the election.
        term: Term,
        /// The candidate.
        to: ServerId,
    },
    /// Entries of one term were added to the server's log.
    LogAppended {
        /// The term of all of them: several terms are several events.
        term: Term,
        /// The first new index.
        first: Index,
        /// The last new index.
        last: Index,
    },
    /// Entries were removed from the end of the server's log, because they conflict with the leader's.
    LogTruncated {
        /// The last index that is left.
        last: Index,
    },
    /// The server learned that more is committed.
    Committed {
        /// The commit index from now on.
        index: Index,
    },
    /// The server's service applied an entry.
    Applied {
        /// The entry's index.
        index: Index,
        /// The entry's term.
        term: Term,
    },
    /// The server's service made a snapshot, for Raft to cut its log with.
    SnapshotTaken {
        /// The last index that the snapshot covers.
        index: Index,
        /// The length of the snapshot.
        bytes: u64,
    },
    /// The server's service went on from a leader's snapshot.
    SnapshotInstalled {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
    /// The server saved its state.
    Persisted {
        /// How many bytes were written.
        bytes: u64,
    },

    /// The tester changed what works.
    Fault(Fault),
    /// A check of the tester begins or ends.
    Check {
        /// The number of the check, unique within the run, by which its end finds its beginning: checks overlap.
        check: u64,
        /// How far it is.
        step: CheckStep,
        /// What is checked, or what was found.
        text: String,
    },
    /// The server, as leader, accepted a command from the tester.
    CommandSubmitted {
        /// Where the command will appear if it is committed.
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
        /// How many servers applied it so far.
        servers: usize,
    },
    /// A note of the code under test or of a scenario, for the views.
    Annotated {
        /// The row that it belongs to; any text.
        tag: String,
        /// A few words.
        label: String,
        /// The rest of what there is to say.
        details: String,
        /// A moment or a span.
        shape: Shape,
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
    /// Something that fails the run: a panic, a broken property, a deadlock, a time limit.
    Failed {
        /// What, for people.
        text: String,
    },

    /// A client of the key/value service begins an operation.
    OperationBegun {
        /// The number of the operation, unique within the run, by which its end finds its beginning.
        operation: u64,
        /// The number of the client. A client has one operation at a time.
        client: u32,
        /// What is asked for.
        what: OperationKind,
        /// The key.
        key: String,
        /// What is written; nothing for a `Get`.
        value: Excerpt,
    },
    /// The operation has its answer.
    OperationEnded {
        /// The number of the operation.
        operation: u64,
        /// What a `Get` returned; nothing for the others.
        value: Excerpt,
    },

    /// Where a long record leaves something out: calls that were sent and answered between `since` and this event.
    CallsOmitted {
        /// When the window begins, in nanoseconds on the run's clock.
        since: u64,
        /// How many calls are left out.
        calls: u64,
        /// The length of their encoded arguments and replies.
        bytes: u64,
    },
    /// What the checker found about the operations on a key, when the run was over.
    Linearized {
        /// The key.
        key: String,
        /// Whether there is an order of its operations that explains all answers.
        legal: Legal,
        /// Orders that were found, as numbers of operations: one of all of them if it is legal, else dead ends, the longest
        /// first, after which nothing that could come next explains its answer.
        orders: Vec<Vec<u64>>,
    },

    /// The server's Raft starts, as a follower, with what it had saved. The entries of its log follow as
    /// [`LogAppended`](EventKind::LogAppended).
    Restored {
        /// The term it is in; 0 if it has never run.
        term: Term,
        /// Who has its vote in that term.
        vote: Option<ServerId>,
        /// The last index that its snapshot covers, which is committed and applied; 0 if it has none.
        snapshot_index: Index,
        /// The term of that entry.
        snapshot_term: Term,
    },
    /// The server's log begins after an entry that a snapshot covers: that one and those before it are gone from the log.
    /// Entries after it stay, unless a [`LogTruncated`](EventKind::LogTruncated) says that they went as well.
    LogCompacted {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
    /// The run is one whose faults end at a moment: neither the network nor the tester does anything wrong from then on. It
    /// follows [`RunBegun`](EventKind::RunBegun), in such runs alone.
    CalmFrom {
        /// The moment, in nanoseconds on the run's clock.
        moment: u64,
    },
}

/// Whether there is an order of operations that explains all answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Legal {
    /// There is.
    Yes,
    /// There is none.
    No,
    /// The checker gave up before it knew.
    Unknown,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing was found.
    Passed,
    /// A property was broken.
    Failed,
    /// A limit that depends on the machine was broken while the machine was too slow to tell.
    Disturbed,
    /// The run could not be finished; nothing is claimed about the code under test.
    Aborted,
    /// Nothing was found, but the history is too hard to tell whether it is linearizable.
    Undecided,
}

/// What a client asks of the key/value service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// The value of a key.
    Get,
    /// Replace it.
    Put,
    /// Add at its end.
    Append,
}

/// A text of which a record keeps the end, where the values of the lab differ: they grow by appending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Excerpt {
    /// The length of the whole, in bytes.
    pub bytes: u64,
    /// Its last [`Excerpt::KEPT`] bytes, or a few less: characters are kept whole.
    pub end: String,
}

impl Excerpt {
    /// How many bytes are kept at most.
    pub const KEPT: usize = 40;
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Excerpt {
        let mut begin = text.len().saturating_sub(Excerpt::KEPT);
        while !text.is_char_boundary(begin) {
            begin += 1;
        }
        Excerpt { bytes: text.len() as u64, end: text[begin..].to_string() }
    }
}

/// Whom a request is meant for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Peer {
    /// A server of the cluster.
    Server(ServerId),
    /// Anything else that has a name in the network.
    Named(Cow<'static, str>),
}

/// Where and why a call was lost.
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
    /// The calling server was crashed while it waited.
    Abandoned,
    /// An interceptor of the scenario decided so.
    Intercepted,
}

/// The role of a Raft server (paper, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It answers candidates and leaders.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It has the votes of a majority in its term.
    Leader,
}

/// What the tester did to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// These servers are connected to the others that are.
    Connect(Vec<ServerId>),
    /// These servers are cut off.
    Disconnect(Vec<ServerId>),
    /// These servers were stopped; what they saved remains.
    Crash(Vec<ServerId>),
    /// These servers were started from what they saved.
    Restart(Vec<ServerId>),
    /// Servers reach those of their own part alone. One part of all servers: everything is healed.
    Partition(Vec<Vec<ServerId>>),
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckStep {
    /// It begins.
    Begun,
    /// It found what it wanted.
    Passed,
    /// It found a fault.
    Failed,
    /// It found nothing to judge, and will be made again.
    Neutral,
}

/// What an annotation marks on the time axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// The moment of the event.
    Point,
    /// From this time, in nanoseconds on the run's clock, to the event.
    Since(u64),
    /// From the event to the next one of its tag that is `Open` or `Close`.
    Open,
    /// The end of what is open in its tag.
    Close,
}

/// The severity of a logged line, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Something may be wrong.
    Warn,
    /// Worth knowing.
    Info,
    /// For those who look for a fault.
    Debug,
    /// All there is.
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

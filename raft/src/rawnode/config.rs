//! How a node begins, and what it refuses.

use std::fmt;

use raftapi::{Index, ServerId};

use crate::core::{HardState, Log};

/// What a node begins with: who it is, and what it had saved.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of the servers this is.
    pub me: ServerId,
    /// How many servers there are, this one included.
    pub servers: usize,
    /// The term and the vote, as they were saved.
    pub hard_state: HardState,
    /// The log, as it was saved; it may begin after a base.
    pub log: Log,
    /// How far the owner's own state has applied, durably: it has everything up to here, so that the first entry handed out
    /// is the one after it. Not before the log's base and not beyond its end.
    pub applied: Index,
    /// After how many ticks without anything sent to a peer a leader sends it a heartbeat; at least 1.
    pub heartbeat_ticks: u32,
    /// After how many ticks without an answer entries under way to a peer are given up: nothing but heartbeats goes to it
    /// then, until it answers anything; at least 1.
    pub reply_timeout_ticks: u32,
}

/// Why a node does not begin: what was found saved was never saved by a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadState(String);

/// A proposal or a read was refused because this node does not lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeader {
    /// Who does, as far as this node knows.
    pub leader: Option<ServerId>,
}

/// Why a read without the log was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRefused {
    /// This node does not lead.
    NotLeader(NotLeader),
    /// It leads, but has committed nothing in its term yet, and so does not know what earlier leaders committed. Propose
    /// something, an empty command if need be, and ask again when it is committed; or put the read into the log.
    NothingCommitted,
}

/// A message was refused: no node of this cluster sends it. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage(pub(super) String);

impl Config {
    /// Server `me` of a cluster of `servers` that has never run, with timing for ticks of about 10 ms.
    pub fn new(me: ServerId, servers: usize) -> Config {
        Config {
            me,
            servers,
            hard_state: HardState::default(),
            log: Log::default(),
            applied: Index::ZERO,
            heartbeat_ticks: 10,
            reply_timeout_ticks: 10,
        }
    }

    /// Whether a node can begin with this.
    pub(super) fn check(&self) -> Result<(), BadState> {
        let Config { me, servers, hard_state, log, applied, .. } = self;
        let (base, last) = (log.base_index(), log.last_index());
        if me.0 >= *servers {
            return Err(BadState(format!("{me} is not one of {servers} servers: check the list of servers")));
        }
        if log.last_term() > hard_state.term {
            return Err(BadState(format!(
                "the saved log ends in term {}, but the saved term is {}: a part of what was saved is lost, and this \
                 server must not take part with it; remove what it has saved and start it as a new one",
                log.last_term(),
                hard_state.term
            )));
        }
        if *applied < base || *applied > last {
            return Err(BadState(format!(
                "entries up to {applied} were applied, but the saved log is the one after {base} and ends at {last}: a \
                 part of what was saved is lost, and this server must not take part with it; remove what it has saved \
                 and start it as a new one"
            )));
        }
        if self.heartbeat_ticks == 0 || self.reply_timeout_ticks == 0 {
            return Err(BadState("heartbeat_ticks and reply_timeout_ticks are at least 1".to_string()));
        }
        Ok(())
    }
}

impl fmt::Display for BadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotLeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leader {
            Some(leader) => write!(f, "this server does not lead; {leader} does"),
            None => f.write_str("this server does not lead, and knows no leader"),
        }
    }
}

impl fmt::Display for ReadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadRefused::NotLeader(not_leader) => not_leader.fmt(f),
            ReadRefused::NothingCommitted => f.write_str("this leader has committed nothing in its term yet"),
        }
    }
}

impl std::error::Error for BadState {}
impl std::error::Error for BadMessage {}
impl std::error::Error for NotLeader {}
impl std::error::Error for ReadRefused {}

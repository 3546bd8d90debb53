//! The configuration with which a node starts, and its errors.

use std::fmt;

use raftapi::{Index, ServerId};

use super::check::NUMBER_MAX;
use crate::core::{HardState, Log, ServerSet};

/// The largest base and the largest term of a saved state. A node adds its own entries and elections to the numbers
/// that it accepts from others.
const SAVED_NUMBER_MAX: u64 = 2 * NUMBER_MAX;

/// The configuration of a node: its identity, its saved state and its timing.
#[derive(Clone, Debug)]
pub struct Config {
    /// The ID of this server.
    pub me: ServerId,
    /// The number of servers in the cluster, this one included.
    pub servers: usize,
    /// The saved term and vote.
    pub hard_state: HardState,
    /// The saved log. It may begin after a base.
    pub log: Log,
    /// The index up to which the owner's own state has durably applied. The first entry handed out is the one after it.
    /// It must not be before the log's base or after its end.
    pub applied: Index,
    /// If this server has replaced one that lost its data, and has not caught up yet: the index up to which it must
    /// store entries before it votes ([`RawNode::catch_up_to`](super::RawNode::catch_up_to)).
    pub catch_up_to: Option<Index>,
    /// Number of ticks after the last message to a peer at which a leader sends it a heartbeat; at least 1.
    pub heartbeat_ticks: u32,
    /// Number of ticks after which a leader gives up waiting for the reply to entries; at least 1. It then sends the
    /// peer only heartbeats, until the peer replies.
    pub reply_timeout_ticks: u32,
}

/// The reason why a node does not start: no node has ever saved such a state, or the configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadState(String);

/// A proposal or a read was refused because this node does not lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeader {
    /// The leader, if this node knows it.
    pub leader: Option<ServerId>,
}

/// The reason why a read without the log was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRefused {
    /// This node does not lead.
    NotLeader(NotLeader),
    /// This node leads, but has committed nothing in its term yet. So it does not know which entries earlier leaders
    /// committed. Propose a command, an empty one if need be, and repeat the read when it is committed; or put the read
    /// into the log.
    NothingCommitted,
}

/// A message was refused because no node of this cluster sends it. The node's state has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage(pub(super) String);

impl Config {
    /// Creates the configuration of server `me` of a cluster of `servers` that has never run, with timing for ticks of
    /// about 10 ms.
    pub fn new(me: ServerId, servers: usize) -> Config {
        Config {
            me,
            servers,
            hard_state: HardState::default(),
            log: Log::default(),
            applied: Index::ZERO,
            catch_up_to: None,
            heartbeat_ticks: 10,
            reply_timeout_ticks: 10,
        }
    }

    /// Checks that a node can start with this configuration.
    pub(super) fn check(&self) -> Result<(), BadState> {
        let Config { me, servers, hard_state, log, applied, .. } = self;
        if log.base_index().0.max(hard_state.term.0) > SAVED_NUMBER_MAX {
            return Err(BadState(format!(
                "the saved log begins after index {} and the saved term is {}: a node never saves numbers near the end \
                 of their range, so this state was changed",
                log.base_index(),
                hard_state.term
            )));
        }
        let (base, last) = (log.base_index(), log.last_index());
        if me.0 >= *servers {
            return Err(BadState(format!("{me} is not one of {servers} servers: check the list of servers")));
        }
        if *servers > ServerSet::MAX {
            return Err(BadState(format!(
                "{servers} servers are too many: a cluster has at most {}, because a larger majority takes long to reply",
                ServerSet::MAX
            )));
        }
        if log.last_term() > hard_state.term {
            return Err(BadState(format!(
                "the saved log ends in term {}, but the saved term is {}: a part of the saved state is lost, and this \
                 server must not run with the rest; remove its saved state and start it as a new server",
                log.last_term(),
                hard_state.term
            )));
        }
        if *applied < base || *applied > last {
            return Err(BadState(format!(
                "entries up to {applied} were applied, but the saved log begins after {base} and ends at {last}: a part \
                 of the saved state is lost, and this server must not run with the rest; remove its saved state and \
                 start it as a new server"
            )));
        }
        if self.heartbeat_ticks == 0 || self.reply_timeout_ticks == 0 {
            return Err(BadState("heartbeat_ticks and reply_timeout_ticks must be at least 1".to_string()));
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
            None => f.write_str("this server does not lead and knows no leader"),
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

//! How a server stands, for whoever looks at it from outside.

use raftapi::{Follower, FollowerState, ServerId, Status};

use crate::core::{Core, Flow, Probe, Progress};

/// All of it, at one moment.
pub(crate) fn of(core: &Core) -> Status {
    let log = core.log();
    let followers = core.peers().filter_map(|peer| Some(follower(peer, core.progress(peer)?)));
    Status {
        role: core.standing().role.into(),
        term: core.current_term(),
        voted_for: core.voted_for(),
        first_index: log.base_index().next(),
        last_index: log.last_index(),
        last_term: log.last_term(),
        commit_index: core.commit_index(),
        last_applied: core.last_applied(),
        snapshot_index: log.base_index(),
        snapshot_term: log.base_term(),
        followers: followers.collect(),
    }
}

fn follower(server: ServerId, progress: &Progress) -> Follower {
    let state = match progress.flow() {
        Flow::Probing(Probe::Ready | Probe::Asked(_)) => FollowerState::Probing,
        Flow::Probing(Probe::Silent) => FollowerState::Silent,
        Flow::Replicating { .. } => FollowerState::Replicating,
        Flow::ReceivingSnapshot { .. } => FollowerState::ReceivingSnapshot,
    };
    Follower { server, next_index: progress.next_index(), match_index: progress.match_index(), state }
}

//! The status of a server, for observers.

use raftapi::{Follower, FollowerState, ServerId, Status};

use crate::core::{Core, Probe, Progress, ProgressState};

/// Returns the status of a server at one moment.
pub(crate) fn of(core: &Core) -> Status {
    let log = core.log();
    let followers = core.peers().filter_map(|peer| Some(follower(peer, core.progress(peer)?)));
    Status {
        role: core.soft_state().role.into(),
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
    let state = match progress.state() {
        ProgressState::Probing(Probe::Ready | Probe::InFlight(_)) => FollowerState::Probing,
        ProgressState::Probing(Probe::Paused) => FollowerState::Silent,
        ProgressState::Replicating { .. } => FollowerState::Replicating,
        ProgressState::ReceivingSnapshot { .. } => FollowerState::ReceivingSnapshot,
    };
    Follower { server, next_index: progress.next_index(), match_index: progress.match_index(), state }
}

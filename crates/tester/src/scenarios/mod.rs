//! The scenarios, and the one table of them that tests and the command line share.
//!
//! Each scenario is a short function over a few methods. [`raft_scenarios`] lists the course's first, in the course's
//! order, and then ours, which catch mistakes that the course's do not.

pub mod kv;
pub mod kv_generic;
mod kv_wait;
mod lost_reply;
pub mod ours;
pub mod ours_entries;
pub mod ours_kv;
pub mod ours_late;
pub mod ours_late_snapshots;
pub mod ours_leaders;
pub mod ours_reads;
pub mod ours_replies;
pub mod ours_snapshots;
pub mod ours_terms;
pub mod ours_votes;
pub mod part_3a;
pub mod part_3b;
pub mod part_3c;
pub mod part_3d;
pub mod part_4a;
pub mod part_4b;

use labstd::ThreadLag;
use labstd::sync::Arc;

use crate::cluster::{Cluster, ClusterConfig};
use crate::part::Part;
use crate::scenario::{AbandonOnFailure, Scenario, ScenarioOutcome, Stage};
use crate::scenario_info::ScenarioInfo;
use crate::subject::Subject;

/// A row of the table: a scenario, and the configuration of its cluster.
struct Row {
    info: ScenarioInfo,
    /// Whether the network is reliable.
    reliable: bool,
    /// Whether the services take snapshots.
    snapshots: bool,
    /// The frequency with which a simulation holds threads of the servers.
    thread_lag: ThreadLag,
    /// Body of the scenario.
    body: fn(&Cluster),
}

impl Row {
    /// Creates a scenario of the course over a reliable network, without snapshots.
    fn course(
        name: &'static str,
        part: Part,
        title: &'static str,
        servers: usize,
        seconds: u32,
        body: fn(&Cluster),
    ) -> Row {
        let info = ScenarioInfo { name, part, title: title.to_string(), from_course: true, servers, seconds };
        Row { info, reliable: true, snapshots: false, thread_lag: ThreadLag::Drawn, body }
    }

    /// Switches to an unreliable network.
    fn unreliable(self) -> Row {
        Row { reliable: false, ..self }
    }

    /// Switches to services that take snapshots.
    fn with_snapshots(self) -> Row {
        Row { snapshots: true, ..self }
    }

    /// Switches thread lag off: a limit of the scenario leaves no time for it.
    fn without_thread_lag(self) -> Row {
        Row { thread_lag: ThreadLag::Never, ..self }
    }

    /// Lets a simulation hold threads of the servers as often as possible: the scenario waits for such a schedule.
    fn with_much_thread_lag(self) -> Row {
        Row { thread_lag: ThreadLag::Often, ..self }
    }

    /// Marks the scenario as one of ours.
    fn ours(self) -> Row {
        Row { info: ScenarioInfo { from_course: false, ..self.info }, ..self }
    }

    /// Returns the scenario, which runs on servers of `subject`.
    fn into_scenario(self, subject: &Subject) -> Scenario {
        let Row { info, reliable, snapshots, thread_lag, body } = self;
        let (make, title) = (subject.factory(), info.title.clone());
        let config = ClusterConfig { servers: info.servers, reliable, snapshots };
        Scenario::new(info, move |clock, progress| {
            let cluster = Cluster::new(config, Arc::clone(&make));
            progress.apply_fault_cutoff(cluster.network());
            let _abandon = AbandonOnFailure { clock, abandon: || cluster.abandon() };
            body(&cluster);
            let metrics = cluster.metrics();
            cluster.shut_down();
            let stages = vec![Stage { title: title.clone(), metrics }];
            ScenarioOutcome { stages, history: None, gave_up: cluster.gave_up() }
        })
        .with_thread_lag(thread_lag)
    }
}

/// Returns all scenarios of a Raft, the course's first, for `subject`.
pub fn raft_scenarios(subject: &Subject) -> Vec<Scenario> {
    table().into_iter().map(|row| row.into_scenario(subject)).collect()
}

fn table() -> Vec<Row> {
    use Part::{P3A, P3B, P3C, P3D};
    crate::__raft_table!(__rows)
}

/// The table of the scenarios of a Raft: name, constructor of the [`Row`], and its other arguments. Calls
/// `$crate::$callback!` with its arguments in parentheses and the table.
#[doc(hidden)]
#[macro_export]
macro_rules! __raft_table {
    ($callback:ident $($args:tt)*) => {
        $crate::$callback! { ($($args)*)
            course {
                initial_election_3A = course(P3A, "initial election", 3, 4, part_3a::initial_election);
                re_election_3A = course(P3A, "election after network failure", 3, 7, part_3a::re_election);
                many_elections_3A = course(P3A, "multiple elections", 7, 9, part_3a::many_elections);
                basic_agree_3B = course(P3B, "basic agreement", 3, 2, part_3b::basic_agree);
                rpc_bytes_3B = course(P3B, "RPC byte count", 3, 3, part_3b::rpc_bytes);
                follower_failure_3B = course(P3B, "test progressive failure of followers", 3, 6, part_3b::follower_failure);
                leader_failure_3B = course(P3B, "test failure of leaders", 3, 7, part_3b::leader_failure);
                fail_agree_3B = course(P3B, "agreement after follower reconnects", 3, 5, part_3b::fail_agree);
                fail_no_agree_3B = course(P3B, "no agreement if too many followers disconnect", 5, 5, part_3b::fail_no_agree);
                concurrent_starts_3B = course(P3B, "concurrent Start()s", 3, 2, part_3b::concurrent_starts);
                rejoin_3B = course(P3B, "rejoin of partitioned leader", 3, 8, part_3b::rejoin);
                backup_3B = course(P3B, "leader backs up quickly over incorrect follower logs", 5, 18, part_3b::backup);
                count_3B = course(P3B, "RPC counts aren't too high", 3, 3, part_3b::count);
                persist_1_3C = course(P3C, "basic persistence", 3, 8, part_3c::persist_1);
                persist_2_3C = course(P3C, "more persistence", 5, 23, part_3c::persist_2);
                persist_3_3C = course(P3C, "partitioned leader and one follower crash, leader restarts", 3, 4, part_3c::persist_3);
                figure_8_3C = course(P3C, "Figure 8", 5, 33, part_3c::figure_8);
                unreliable_agree_3C = course(P3C, "unreliable agreement", 5, 3, part_3c::unreliable_agree).unreliable();
                figure_8_unreliable_3C = course(P3C, "Figure 8 (unreliable)", 5, 31, part_3c::figure_8_unreliable).unreliable();
                reliable_churn_3C = course(P3C, "churn", 5, 16, part_3c::churn);
                unreliable_churn_3C = course(P3C, "unreliable churn", 5, 17, part_3c::churn).unreliable();
                snapshot_basic_3D = course(P3D, "snapshots basic", 3, 6, part_3d::basic).with_snapshots();
                snapshot_install_3D = course(P3D, "install snapshots (disconnect)", 3, 52, part_3d::install).with_snapshots();
                snapshot_install_unreliable_3D = course(P3D, "install snapshots (disconnect+unreliable)", 3, 66, part_3d::install).with_snapshots().unreliable();
                snapshot_install_crash_3D = course(P3D, "install snapshots (crash)", 3, 46, part_3d::install_crash).with_snapshots();
                snapshot_install_un_crash_3D = course(P3D, "install snapshots (unreliable+crash)", 3, 49, part_3d::install_crash).with_snapshots().unreliable();
                snapshot_all_crash_3D = course(P3D, "crash and restart all servers", 3, 14, part_3d::all_crash).with_snapshots();
                snapshot_init_3D = course(P3D, "snapshot initialization after crash", 3, 6, part_3d::init).with_snapshots();
                catch_up_3B = course(P3B, "a returning follower catches up immediately", 3, 12, ours::catch_up).without_thread_lag().ours();
                one_leader_a_term_3A = course(P3A, "one leader per term on a slow network", 5, 8, ours::one_leader_a_term).ours();
                time_to_lead_3A = course(P3A, "a voter waits for its leader's first heartbeat", 3, 10, ours::time_to_lead).without_thread_lag().ours();
                late_entries_3B = course(P3B, "late entries remove nothing", 3, 4, ours::late_entries).ours();
                asking_service_3B = course(P3B, "a service that queries its Raft between deliveries", 3, 2, ours::asking_service).ours();
                old_candidates_3A = course(P3A, "old vote requests do not delay a campaign", 5, 11, ours_votes::old_candidates).ours();
                shorter_log_3B = course(P3B, "a shorter log is not elected", 3, 11, ours_votes::shorter_log).ours();
                new_leader_3B = course(P3B, "a new leader keeps its log", 3, 5, ours_entries::new_leader).ours();
                commit_index_3B = course(P3B, "nothing is committed beyond the matching entries", 3, 3, ours_entries::commit_index).without_thread_lag().ours();
                vote_once_3C = course(P3C, "a vote outlives a crash", 3, 14, ours_votes::vote_once).ours();
                acknowledged_3C = course(P3C, "an acknowledged entry outlives a crash", 3, 8, ours_entries::acknowledged).ours();
                older_term_3C = course(P3C, "Figure 8, step by step", 5, 5, ours_entries::older_term).without_thread_lag().ours();
                old_snapshot_3D = course(P3D, "a late snapshot undoes nothing", 3, 4, ours_entries::old_snapshot).with_snapshots().without_thread_lag().ours();
                snapshot_then_entries_3D = course(P3D, "entries do not overtake a snapshot", 3, 15, ours_snapshots::snapshot_then_entries).with_snapshots().with_much_thread_lag().ours();
                old_votes_3A = course(P3A, "a vote counts in its own election only", 3, 8, ours_terms::old_votes).without_thread_lag().ours();
                higher_term_3A = course(P3A, "a reply of a higher term ends leadership", 3, 4, ours_terms::higher_term).ours();
                older_candidate_3A = course(P3A, "no vote for a candidate of an older term", 3, 3, ours_terms::older_candidate).without_thread_lag().ours();
                same_term_3A = course(P3A, "a candidate follows the leader of its own term", 3, 11, ours_terms::same_term).without_thread_lag().ours();
                old_replies_3B = course(P3B, "a reply says nothing about a later term", 5, 6, ours_replies::old_replies).without_thread_lag().ours();
                adopted_term_3C = course(P3C, "an adopted term outlives a crash", 3, 4, ours_replies::adopted_term).without_thread_lag().ours();
                own_vote_3A = course(P3A, "a candidate votes for itself", 3, 8, ours_votes::own_vote).without_thread_lag().ours();
                kept_vote_3A = course(P3A, "a voter keeps its vote when it hears from its leader", 3, 8, ours_votes::kept_vote).without_thread_lag().ours();
                steady_leader_3A = course(P3A, "a leader stays while nothing fails", 3, 8, ours_leaders::steady_leader).ours();
                campaigns_again_3A = course(P3A, "a candidate without votes campaigns again", 3, 5, ours_leaders::campaigns_again).ours();
                old_leader_3A = course(P3A, "a past leader keeps nobody from campaigning", 3, 6, ours_leaders::old_leader).ours();
                higher_request_3A = course(P3A, "a request of a higher term ends leadership", 3, 6, ours_leaders::higher_request).ours();
                late_leader_3B = course(P3B, "late entries of a past leader change nothing", 3, 6, ours_late::late_leader).without_thread_lag().ours();
                removed_entries_3B = course(P3B, "removed entries stay removed", 3, 6, ours_late::removed_entries).ours();
                different_entry_3B = course(P3B, "no entry is stored after a different one", 3, 6, ours_late::different_entry).ours();
                counted_entries_3B = course(P3B, "an acknowledgment covers its own request", 3, 6, ours_late::counted_entries).without_thread_lag().ours();
                counted_before_3B = course(P3B, "a leader elected again counts from the start", 5, 6, ours_replies::counted_before).without_thread_lag().ours();
                own_vote_3C = course(P3C, "a candidate's vote for itself outlives a crash", 3, 14, ours_votes::own_vote_saved).without_thread_lag().ours();
                removed_entries_3C = course(P3C, "removed entries do not come back after a crash", 3, 6, ours_late::removed_and_saved).ours();
                late_leader_3D = course(P3D, "a late snapshot of a past leader changes nothing", 3, 6, ours_late_snapshots::late_snapshot).with_snapshots().without_thread_lag().ours();
                conflicting_snapshot_3D = course(P3D, "a snapshot replaces entries that conflict with it", 3, 6, ours_late_snapshots::conflicting_snapshot).with_snapshots().ours();
                retained_entries_3D = course(P3D, "a late snapshot removes nothing after it", 3, 5, ours_late_snapshots::retained_entries).with_snapshots().without_thread_lag().ours();
                installed_snapshot_3D = course(P3D, "a snapshot from the leader outlives a crash", 3, 5, ours_late_snapshots::installed_snapshot).with_snapshots().ours();
            }
            ours {
            }
        }
    };
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of all scenarios of a Raft.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_raft_scenario {
    ($($callback:tt)*) => { $crate::__raft_table! { __row_names $($callback)* } };
}

/// Makes the rows of a table, a `Vec` of the calling module's `Row`.
#[doc(hidden)]
#[macro_export]
macro_rules! __rows {
    (() $($section:ident { $($name:ident = $make:ident($($arg:expr),*)$(.$with:ident())*;)* })*) => {
        vec![$($(Row::$make(stringify!($name), $($arg),*)$(.$with())*),*),*]
    };
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of a table's rows.
#[doc(hidden)]
#[macro_export]
macro_rules! __row_names {
    (($callback:ident $($args:tt)*) $($section:ident { $($name:ident = $row:expr;)* })*) => {
        $crate::$callback! { ($($args)*) $($($name)*)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    (() $($name:ident)*) => { [$(stringify!($name)),*] };
}

#[cfg(test)]
mod tests {
    use crate::Subject;
    use crate::runner::tests::NoRaft;

    #[test]
    fn names_end_with_the_part_and_the_course_has_28_scenarios() {
        let table: Vec<_> = super::raft_scenarios(&Subject::of::<NoRaft>());
        let infos: Vec<_> = table.iter().map(|scenario| &scenario.info).collect();
        assert!(infos.iter().all(|info| info.name.ends_with(info.part.number())));
        assert_eq!(infos.iter().filter(|info| info.from_course).count(), 28);
    }
}

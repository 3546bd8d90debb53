//! Calm: a run whose faults end at a moment of its own clock. From then on the network loses and delays nothing, and what the
//! tester would do to servers (cut them off, crash them, partition them) is left out. What is broken already stays so until
//! the story repairs it: connecting, starting and healing work as ever.
//!
//! Up to the moment a simulated run is the one that it would be without: nothing draws other numbers. So what a failure needs
//! of the faults before it can be found by leaving out more and more of those at the end, which is what the command line's
//! `shrink` does.
//!
//! Less must not blame the innocent. That a Raft is safe, and that it gets somewhere while a majority can talk, holds all the
//! more with fewer faults. What holds only because of a fault (nobody leads, nothing is committed, a snapshot had to be sent)
//! is not checked when all is calm; and where a whole story is about certain faults, none of them can be left out: see
//! [`needs_its_faults`]. The interceptors of such stories, which hold and lose single messages, are part of them.

use labstd::time::Duration;
use record::EventKind;

use crate::scenario::ScenarioInfo;

/// Stories of the course that are about certain faults: their clients can reach one side of a partition alone, and wait
/// until whoever leads is there.
const PARTITION_SCENARIOS: [&str; 2] = ["one_partition_4A", "snapshot_rpc_4B"];

/// Whether a scenario makes no sense without its faults: one that was made to bring about a certain situation, step by step,
/// as ours are.
pub fn requires_faults(info: &ScenarioInfo) -> bool {
    !info.from_course || PARTITION_SCENARIOS.contains(&info.name)
}

/// What the record says of it.
pub(crate) fn event(moment: Duration) -> EventKind {
    EventKind::CalmFrom { moment: u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX) }
}

/// A moment as the command line takes it: `1.25s`.
pub fn format_moment(moment: Duration) -> String {
    format!("{}s", moment.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use labstd::sync::Arc;
    use labstd::thread;
    use raftapi::{Raft, ServerId};

    use super::*;
    use crate::runner::tests::NoRaft;
    use crate::{Cluster, ClusterConfig, Subject, raft_scenarios};

    /// A cluster of servers that do nothing, and the faults that the record has of it, while `scenario` is told. All is calm from
    /// 1 s on.
    fn faults(scenario: impl FnOnce(&Cluster<NoRaft>) + Send + 'static) -> Vec<record::Fault> {
        let recorder = record::Recorder::default();
        let context = record::Scope::new(&recorder, None).into_context();
        let run = labstd::Run::new(labstd::Clock::Simulated, 1).context(context);
        let outcome = run.execute(move || {
            let config = ClusterConfig { servers: 3, reliable: true, snapshots: false };
            let cluster = Cluster::new(config, Arc::new(NoRaft::make));
            cluster.network().calm_from(Duration::from_secs(1));
            scenario(&cluster);
            cluster.shut_down();
        });
        outcome.result.expect("the story is told to its end");
        let faults = recorder.events().filter_map(|event| match event.kind {
            EventKind::Fault(fault) => Some(fault),
            _ => None,
        });
        // Three of them connect the servers in the beginning.
        faults.skip(3).collect()
    }

    #[test]
    fn when_all_is_calm_servers_are_neither_cut_off_nor_crashed_and_a_restart_finds_them_running() {
        let [first, second] = [0, 1].map(ServerId);
        let faults = faults(move |cluster| {
            thread::sleep(Duration::from_secs(1));
            cluster.disconnect(first);
            cluster.crash(second);
            assert!(cluster.is_connected(first) && cluster.is_running(second) && cluster.is_connected(second));
            cluster.restart(second);
            cluster.reboot(first);
            assert!(cluster.is_running(first) && cluster.is_connected(second));
        });
        let connects = faults.iter().all(|fault| matches!(fault, record::Fault::Connect(_)));
        assert!(connects, "nothing went wrong: {faults:?}");
    }

    #[test]
    fn what_is_broken_stays_so_until_it_is_repaired() {
        let [first, second] = [0, 1].map(ServerId);
        let faults = faults(move |cluster| {
            cluster.disconnect(first);
            cluster.crash(second);
            thread::sleep(Duration::from_secs(2));
            assert!(!cluster.is_connected(first) && !cluster.is_running(second));
            cluster.connect(first);
            cluster.restart(second);
            assert!(cluster.is_connected(first) && cluster.is_running(second) && cluster.is_connected(second));
        });
        assert!(faults.contains(&record::Fault::Restart(vec![second])), "{faults:?}");
    }

    #[test]
    fn a_story_of_certain_faults_is_told_with_them_or_not_at_all() {
        let raft = raft_scenarios(&Subject::<NoRaft>::new());
        let refused = |scenario: &crate::Scenario| scenario.clone().with_fault_cutoff(Duration::ZERO).is_err();
        assert_eq!(raft.iter().filter(|scenario| !refused(scenario)).count(), 28, "the course's");
        let kv = crate::__for_each_kv_scenario!(__names);
        assert!(PARTITION_SCENARIOS.iter().all(|name| kv.contains(name)));
    }
}

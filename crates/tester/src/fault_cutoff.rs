//! Runs whose faults end at a moment of their own clock, the fault cutoff. From then on the network neither loses nor
//! delays messages, and the tester skips faults on servers: it does not disconnect, crash or partition them. Earlier
//! faults last until the scenario repairs them; connecting, starting and healing still work.
//!
//! Before the cutoff, a simulated run is identical to the run without a cutoff, because the same random numbers are
//! drawn. So a search can find which faults a failure needs: it removes more and more of the faults at the end. The
//! command line's `shrink` does this.
//!
//! Removing faults must not make a correct Raft fail. A Raft that is safe, and that makes progress while a majority can
//! communicate, also does so with fewer faults. Some checks hold only because of a fault (no server leads, nothing is
//! committed, a snapshot had to be sent). These checks are skipped after the cutoff. If a whole scenario depends on
//! certain faults, then none of them can be removed: see [`requires_faults`]. The interceptors of such scenarios, which
//! hold and drop single messages, are part of the scenario.

use labstd::time::Duration;
use record::EventKind;

use crate::scenario_info::ScenarioInfo;

/// Scenarios of the course that depend on certain faults: their clients can reach only one side of a partition, and
/// wait until its leader is there.
const PARTITION_SCENARIOS: [&str; 2] = ["one_partition_4A", "snapshot_rpc_4B"];

/// Returns whether a scenario makes no sense without its faults. All our own scenarios are like this: they create one
/// situation step by step.
pub fn requires_faults(info: &ScenarioInfo) -> bool {
    !info.from_course || PARTITION_SCENARIOS.contains(&info.name)
}

/// Returns the event that records the cutoff.
pub(crate) fn event(moment: Duration) -> EventKind {
    EventKind::FaultCutoff { at: u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX) }
}

/// Formats a moment as the command line accepts it: `1.25s`.
pub fn format_moment(moment: Duration) -> String {
    format!("{}s", moment.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use labstd::thread;
    use raftapi::ServerId;

    use super::*;
    use crate::runner::tests::NoRaft;
    use crate::{Cluster, ClusterConfig, Subject, raft_scenarios};

    /// Runs `scenario` on a cluster of servers that do nothing, with a fault cutoff at 1 s. Returns the recorded
    /// faults.
    fn faults(scenario: impl FnOnce(&Cluster) + Send + 'static) -> Vec<record::Fault> {
        let recorder = record::Recorder::default();
        let context = record::Scope::new(&recorder, None).into_context();
        let run = labstd::Run::new(labstd::Clock::Simulated, 1).context(context);
        let outcome = run.execute(move || {
            let config = ClusterConfig { servers: 3, reliable: true, snapshots: false };
            let cluster = Cluster::new(config, Subject::of::<NoRaft>().factory());
            cluster.network().calm_from(Duration::from_secs(1));
            scenario(&cluster);
            cluster.shut_down();
        });
        outcome.result.expect("the scenario runs to its end");
        let faults = recorder.events().filter_map(|event| match event.kind {
            EventKind::Fault(fault) => Some(fault),
            _ => None,
        });
        // The first three events connect the servers at the start.
        faults.skip(3).collect()
    }

    #[test]
    fn after_the_cutoff_no_server_is_disconnected_or_crashed() {
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
        assert!(connects, "no fault happened: {faults:?}");
    }

    #[test]
    fn earlier_faults_last_until_they_are_repaired() {
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
    fn a_scenario_that_requires_its_faults_refuses_a_cutoff() {
        let raft = raft_scenarios(&Subject::of::<NoRaft>());
        let refused = |scenario: &crate::Scenario| scenario.clone().with_fault_cutoff(Duration::ZERO).is_err();
        assert_eq!(raft.iter().filter(|scenario| !refused(scenario)).count(), 28, "the course's");
        let kv = crate::__for_each_kv_scenario!(__names);
        assert!(PARTITION_SCENARIOS.iter().all(|name| kv.contains(name)));
    }
}

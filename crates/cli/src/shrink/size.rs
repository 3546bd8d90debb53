//! The size of a failing run: the faults before the failure, the time of the failure, and the number of events to read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use ids::ServerId;
use record::{Event, EventKind, Fault, Loss};

/// The size of a failing run. The run with fewer faults and losses is shorter; then the one that fails earlier; then
/// the one with fewer events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Number of times that the tester cut off or crashed a healthy server, or partitioned the network anew.
    pub(super) faults: u64,
    /// Number of messages that the network lost.
    pub(super) lost: u64,
    /// Time of the failure.
    pub(super) at: Duration,
    /// Number of events in its record.
    pub(super) events: u64,
}

impl Size {
    fn key(&self) -> (u64, Duration, u64) {
        (self.faults + self.lost, self.at, self.events)
    }
}

impl Ord for Size {
    fn cmp(&self, other: &Size) -> Ordering {
        self.key().cmp(&other.key()).then(self.faults.cmp(&other.faults))
    }
}

impl PartialOrd for Size {
    fn partial_cmp(&self, other: &Size) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The faults and losses of a run, and their times: whole milliseconds, rounded down, sorted, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FaultSummary {
    pub(super) faults: u64,
    pub(super) lost: u64,
    pub(super) moments: Vec<u32>,
}

impl FaultSummary {
    /// Collects the faults and losses from events. A lost message counts at the time when its call started, because the
    /// network draws its fate there.
    pub(super) fn of(events: impl Iterator<Item = Event>) -> FaultSummary {
        let mut summary = FaultSummary::default();
        let mut cluster = Cluster::default();
        let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
        for Event { at, kind, .. } in events {
            match kind {
                EventKind::RpcSent { call, .. } => drop(sent.insert(call, at)),
                EventKind::RpcReplied { call, .. } => drop(sent.remove(&call)),
                EventKind::RpcLost { call, reason: why } => {
                    let since = sent.remove(&call).unwrap_or(at);
                    if matches!(why, Loss::RequestDropped | Loss::ReplyDropped) {
                        summary.lost += 1;
                        summary.at(since);
                    }
                }
                EventKind::Fault(fault) => {
                    let new = cluster.count_faults(at, &fault);
                    summary.faults += new;
                    if new > 0 {
                        summary.at(at);
                    }
                }
                _ => {}
            }
        }
        summary.moments.sort_unstable();
        summary.moments.dedup();
        summary
    }

    fn at(&mut self, nanos: u64) {
        self.moments.push(u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX));
    }
}

/// The health of a server; the worst state is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ServerHealth {
    Healthy,
    CutOff { since: u64 },
    Crashed,
}

/// The servers as the tester's faults leave them.
#[derive(Debug, Default)]
struct Cluster {
    servers: BTreeMap<ServerId, ServerHealth>,
    parts: Vec<Vec<ServerId>>,
}

impl Cluster {
    /// Returns the number of new faults. A repair is no fault, and neither is a fault that changes nothing. A server
    /// that is disconnected and crashed at the same time counts as one fault.
    fn count_faults(&mut self, at: u64, fault: &Fault) -> u64 {
        match fault {
            Fault::Connect(servers) | Fault::Restart(servers) => {
                self.servers.extend(servers.iter().map(|&server| (server, ServerHealth::Healthy)));
                0
            }
            Fault::Disconnect(servers) => servers.iter().map(|&server| self.cut_off(server, at)).sum(),
            Fault::Crash(servers) => servers.iter().map(|&server| self.crash(server, at)).sum(),
            Fault::Partition(parts) => {
                let parts: Vec<Vec<ServerId>> = parts.iter().filter(|part| !part.is_empty()).cloned().collect();
                let divides = parts.len() > 1 && parts != self.parts;
                self.parts = parts;
                u64::from(divides)
            }
        }
    }

    fn cut_off(&mut self, server: ServerId, at: u64) -> u64 {
        let health = self.servers.entry(server).or_insert(ServerHealth::Healthy);
        let is_healthy = *health == ServerHealth::Healthy;
        if is_healthy {
            *health = ServerHealth::CutOff { since: at };
        }
        u64::from(is_healthy)
    }

    fn crash(&mut self, server: ServerId, at: u64) -> u64 {
        let before = self.servers.insert(server, ServerHealth::Crashed).unwrap_or(ServerHealth::Healthy);
        u64::from(before == ServerHealth::Healthy || matches!(before, ServerHealth::CutOff { since } if since < at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn summary(events: &[(u64, EventKind)]) -> FaultSummary {
        FaultSummary::of(events.iter().map(|(at, kind)| Event { at: *at, server: None, kind: kind.clone() }))
    }

    fn fault(at_ms: u64, fault: Fault) -> (u64, EventKind) {
        (at_ms * MS, EventKind::Fault(fault))
    }

    fn s(server: usize) -> Vec<ServerId> {
        vec![ServerId(server)]
    }

    #[test]
    fn a_fault_makes_a_server_worse_and_a_crash_is_one_fault() {
        let seen = summary(&[
            fault(0, Fault::Connect(s(0))),
            fault(10, Fault::Disconnect(s(0))),
            fault(11, Fault::Disconnect(s(0))),
            fault(12, Fault::Crash(s(0))),
            fault(13, Fault::Restart(s(0))),
            fault(14, Fault::Disconnect(s(0))),
            fault(14, Fault::Crash(s(0))),
        ]);
        assert_eq!(seen, FaultSummary { faults: 3, lost: 0, moments: vec![10, 12, 14] });
    }

    #[test]
    fn only_a_new_dividing_partition_is_a_fault() {
        let (one, other, all) = (vec![ServerId(0)], vec![ServerId(1), ServerId(2)], (0..3).map(ServerId).collect());
        let seen = summary(&[
            fault(0, Fault::Partition(vec![all])),
            fault(5, Fault::Partition(vec![one.clone(), other.clone()])),
            fault(6, Fault::Partition(vec![one, other.clone()])),
            fault(7, Fault::Partition(vec![Vec::new(), other])),
        ]);
        assert_eq!(seen, FaultSummary { faults: 1, lost: 0, moments: vec![5] });
    }

    #[test]
    fn a_loss_is_a_dropped_message_at_the_start_of_its_call() {
        let sent = |call| EventKind::RpcSent { call, from: None, to: ServerId(0).into(), method: "m".into(), bytes: 1 };
        let seen = summary(&[
            (3 * MS + 7, sent(1)),
            (4 * MS, sent(2)),
            (9 * MS, EventKind::RpcLost { call: 1, reason: Loss::ReplyDropped }),
            (9 * MS, EventKind::RpcLost { call: 2, reason: Loss::Unreachable }),
        ]);
        assert_eq!(seen, FaultSummary { faults: 0, lost: 1, moments: vec![3] });
    }

    #[test]
    fn size_orders_by_faults_then_failure_time_then_events() {
        let size = |faults, lost, seconds, events| Size { faults, lost, at: Duration::from_secs(seconds), events };
        assert!(size(2, 3, 9, 900) < size(6, 0, 1, 1));
        assert!(size(1, 4, 1, 900) < size(5, 0, 2, 1));
        assert!(size(1, 4, 1, 9) < size(5, 0, 1, 10));
    }
}

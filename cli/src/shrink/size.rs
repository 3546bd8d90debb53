//! How long a run is that failed: what went wrong before it did, when it did, and how much there is to read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use record::{Event, EventKind, Fault, Loss, ServerId};

/// How long a run is. The shorter is the one with fewer faults and losses; of two with the same number the one that fails
/// earlier; then the one with fewer events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// How often the tester cut off or crashed a server that was well, or divided the network anew.
    pub(super) faults: u64,
    /// How many messages the network lost.
    pub(super) lost: u64,
    /// When it failed.
    pub(super) at: Duration,
    /// How many events its record has.
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

/// What went wrong in a run, and when: in whole milliseconds, rounded down, in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrongs {
    pub(super) faults: u64,
    pub(super) lost: u64,
    pub(super) moments: Vec<u32>,
}

impl Wrongs {
    /// What these events tell. A message that was lost counts where its call set out: there the network draws.
    pub(super) fn of(events: impl Iterator<Item = Event>) -> Wrongs {
        let mut wrongs = Wrongs::default();
        let mut cluster = Cluster::default();
        let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
        for Event { at, kind, .. } in events {
            match kind {
                EventKind::RpcSent { call, .. } => drop(sent.insert(call, at)),
                EventKind::RpcAnswered { call, .. } => drop(sent.remove(&call)),
                EventKind::RpcLost { call, why } => {
                    let since = sent.remove(&call).unwrap_or(at);
                    if matches!(why, Loss::RequestDropped | Loss::ReplyDropped) {
                        wrongs.lost += 1;
                        wrongs.at(since);
                    }
                }
                EventKind::Fault(fault) => {
                    let new = cluster.happened(at, &fault);
                    wrongs.faults += new;
                    if new > 0 {
                        wrongs.at(at);
                    }
                }
                _ => {}
            }
        }
        wrongs.moments.sort_unstable();
        wrongs.moments.dedup();
        wrongs
    }

    fn at(&mut self, nanos: u64) {
        self.moments.push(u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX));
    }
}

/// How a server stands, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Well,
    CutOff { since: u64 },
    Crashed,
}

/// The servers, as far as the tester's doings go.
#[derive(Debug, Default)]
struct Cluster {
    servers: BTreeMap<ServerId, Standing>,
    parts: Vec<Vec<ServerId>>,
}

impl Cluster {
    /// How many faults it is. What repairs is none, nor is what changes nothing. A server that is cut off in order to be
    /// crashed at the same moment is one.
    fn happened(&mut self, at: u64, fault: &Fault) -> u64 {
        match fault {
            Fault::Connect(servers) | Fault::Restart(servers) => {
                self.servers.extend(servers.iter().map(|&server| (server, Standing::Well)));
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
        let standing = self.servers.entry(server).or_insert(Standing::Well);
        let is_well = *standing == Standing::Well;
        if is_well {
            *standing = Standing::CutOff { since: at };
        }
        u64::from(is_well)
    }

    fn crash(&mut self, server: ServerId, at: u64) -> u64 {
        let before = self.servers.insert(server, Standing::Crashed).unwrap_or(Standing::Well);
        u64::from(before == Standing::Well || matches!(before, Standing::CutOff { since } if since < at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn wrongs(events: &[(u64, EventKind)]) -> Wrongs {
        Wrongs::of(events.iter().map(|(at, kind)| Event { at: *at, server: None, kind: kind.clone() }))
    }

    fn fault(at_ms: u64, fault: Fault) -> (u64, EventKind) {
        (at_ms * MS, EventKind::Fault(fault))
    }

    fn s(server: usize) -> Vec<ServerId> {
        vec![ServerId(server)]
    }

    #[test]
    fn a_fault_is_what_makes_a_server_worse_and_a_crash_is_one_fault() {
        let seen = wrongs(&[
            fault(0, Fault::Connect(s(0))),
            fault(10, Fault::Disconnect(s(0))),
            fault(11, Fault::Disconnect(s(0))),
            fault(12, Fault::Crash(s(0))),
            fault(13, Fault::Restart(s(0))),
            fault(14, Fault::Disconnect(s(0))),
            fault(14, Fault::Crash(s(0))),
        ]);
        assert_eq!(seen, Wrongs { faults: 3, lost: 0, moments: vec![10, 12, 14] });
    }

    #[test]
    fn a_partition_is_a_fault_if_it_divides_and_is_a_new_one() {
        let (one, other, all) = (vec![ServerId(0)], vec![ServerId(1), ServerId(2)], (0..3).map(ServerId).collect());
        let seen = wrongs(&[
            fault(0, Fault::Partition(vec![all])),
            fault(5, Fault::Partition(vec![one.clone(), other.clone()])),
            fault(6, Fault::Partition(vec![one, other.clone()])),
            fault(7, Fault::Partition(vec![Vec::new(), other])),
        ]);
        assert_eq!(seen, Wrongs { faults: 1, lost: 0, moments: vec![5] });
    }

    #[test]
    fn a_loss_is_what_the_network_drops_and_counts_where_its_call_set_out() {
        let sent = |call| EventKind::RpcSent { call, from: None, to: ServerId(0).into(), method: "m".into(), bytes: 1 };
        let seen = wrongs(&[
            (3 * MS + 7, sent(1)),
            (4 * MS, sent(2)),
            (9 * MS, EventKind::RpcLost { call: 1, why: Loss::ReplyDropped }),
            (9 * MS, EventKind::RpcLost { call: 2, why: Loss::Unreachable }),
        ]);
        assert_eq!(seen, Wrongs { faults: 0, lost: 1, moments: vec![3] });
    }

    #[test]
    fn fewer_faults_and_losses_come_before_an_earlier_failure_and_that_before_fewer_events() {
        let size = |faults, lost, seconds, events| Size { faults, lost, at: Duration::from_secs(seconds), events };
        assert!(size(2, 3, 9, 900) < size(6, 0, 1, 1));
        assert!(size(1, 4, 1, 900) < size(5, 0, 2, 1));
        assert!(size(1, 4, 1, 9) < size(5, 0, 1, 10));
    }
}

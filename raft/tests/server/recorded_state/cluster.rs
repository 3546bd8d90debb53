//! A cluster of whole servers whose services make snapshots, as in the lab, with crashes and partitions. It compares
//! the state in the record with the state that the servers report.

use bytes::Bytes;
use labstd::channel::Receiver;
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raft::storage::Storage;
use raftapi::{ApplyMsg, FollowerState, Index, Raft as _, RaftExt as _, Role, ServerId, Status, report};
use record::Recorder;

use super::model::Model;
use crate::servers::Servers;

/// A service makes a snapshot when it has applied a multiple of this index.
const SNAPSHOT_INTERVAL: u64 = 10;

/// Limit of the time until a cluster without faults is quiet.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) servers: Servers<raft::Raft>,
    /// For each server, whether the service of its current incarnation may report. It is locked while the service
    /// reports.
    may_report: Vec<Arc<Mutex<bool>>>,
    recorder: Recorder,
    commands: u64,
    pub(crate) model: Model,
}

impl Cluster {
    /// Creates a running cluster, in the run of the calling thread.
    pub(crate) fn new(servers: usize) -> Cluster {
        let mut cluster = Cluster {
            servers: Servers::new(servers),
            may_report: vec![Arc::default(); servers],
            recorder: record::scope().expect("the run is recorded").recorder.clone(),
            commands: 0,
            model: Model::default(),
        };
        (0..servers).for_each(|server| cluster.start(server));
        cluster.servers.heal();
        cluster
    }

    /// Starts a server and its service with its saved state. It is not connected yet.
    pub(crate) fn start(&mut self, me: usize) {
        let deliveries = self.servers.start_raft(me);
        let may_report = Arc::new(Mutex::new(true));
        self.may_report[me] = Arc::clone(&may_report);
        self.servers.call(me, |raft| {
            thread::spawn(format!("S{me}/service"), move || serve(&raft, &deliveries, &may_report));
        });
    }

    pub(crate) fn crash(&self, me: usize) {
        self.servers.crash(me);
        *self.may_report[me].lock() = false;
    }

    /// Proposes commands to all servers that are leaders or believe that they are.
    pub(crate) fn propose(&mut self, count: usize) {
        for server in self.servers.running() {
            for _ in 0..count {
                self.commands += 1;
                let command = Bytes::from(self.commands.to_string());
                self.servers.call(server, |raft| raft.start(command));
            }
        }
    }

    /// Compares, for each running server, its state in the record with the state that it reports, at one moment: the
    /// record must not grow while the server is queried. Reports are made under the server's lock, and `status` waits
    /// for that lock. So such a moment is never in the middle of a change.
    pub(crate) fn compare(&mut self) {
        for server in self.servers.running() {
            // On threads the other servers continue, so it may take a few attempts.
            for _ in 0..20 {
                let events = self.recorder.len();
                let persister = Arc::new(self.servers.persister(server).copy());
                let status = self.status(server);
                if self.recorder.len() != events {
                    continue;
                }
                self.read_up_to(events);
                let (_, saved) = Storage::open(persister).unwrap_or_else(|damaged| panic!("{damaged}"));
                self.model.servers[&ServerId(server)].assert_is(ServerId(server), &status, &saved);
                self.model.coverage.comparisons += 1;

                let followers = if status.role == Role::Leader { self.servers.len() - 1 } else { 0 };
                assert_eq!(status.followers.len(), followers, "{status:?}");
                for follower in &status.followers {
                    assert!(follower.match_index < follower.next_index, "{status:?}");
                    assert!(follower.next_index <= status.last_index.next(), "{status:?}");
                }
                break;
            }
        }
    }

    /// Waits until the cluster is quiet: every entry of the leader is committed and applied everywhere, and the record
    /// shows it.
    pub(crate) fn wait_until_quiet(&mut self) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            self.propose(1);
            thread::sleep(Duration::from_millis(500));
            self.compare();
            if self.is_quiet() {
                return;
            }
            assert!(Instant::now() < deadline, "the cluster is not quiet within {WAIT_MAX:?}");
        }
    }

    fn status(&self, server: usize) -> Status {
        self.servers.server(server).status().expect("the reference reports its status")
    }

    fn is_quiet(&mut self) -> bool {
        let all: Vec<Status> = self.servers.running().into_iter().map(|server| self.status(server)).collect();
        let Some(leader) = all.iter().find(|status| status.role == Role::Leader) else { return false };
        let last = leader.last_index;
        let replicated =
            |state, match_index| (state, match_index) == (FollowerState::Replicating, last) && last > Index::ZERO;
        self.read_up_to(self.recorder.len());
        all.iter().all(|status| (status.commit_index, status.last_applied) == (last, last))
            && leader.followers.iter().all(|follower| replicated(follower.state, follower.match_index))
            && self.model.servers.values().all(|seen| seen.applied == last)
    }

    fn read_up_to(&mut self, events: u64) {
        let read = self.model.events;
        for event in self.recorder.events().skip(read as usize).take((events - read) as usize) {
            self.model.observe(&event);
        }
    }
}

/// Runs a service: it reports the entries that it applies, and makes a snapshot now and then. The service of a
/// crashed server reports nothing.
fn serve(raft: &raft::Raft, deliveries: &Receiver<ApplyMsg>, may_report: &Mutex<bool>) {
    for message in deliveries {
        let snapshot_at = {
            let may_report = may_report.lock();
            if !*may_report {
                return;
            }
            match message {
                ApplyMsg::Snapshot { index, term, .. } => {
                    report::snapshot_installed(index, term);
                    None
                }
                ApplyMsg::Command { index, term, .. } => {
                    report::applied(index, term);
                    let due = index.0.is_multiple_of(SNAPSHOT_INTERVAL);
                    due.then(|| {
                        report::snapshot_taken(index, 8);
                        index
                    })
                }
            }
        };
        if let Some(index) = snapshot_at {
            raft.snapshot(index, Bytes::from(format!("{:08}", index.0)));
        }
    }
}

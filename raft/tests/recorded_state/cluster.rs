//! A cluster of whole servers whose services make snapshots, as in the lab, with crashes and partitions. It compares
//! the state in the record with the state that the servers report.

use bytes::Bytes;
use labrpc::Network;
use labstd::channel::{self, Receiver};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raft::storage::Storage;
use raftapi::{ApplyMsg, FollowerState, Index, Persister, Raft as _, RaftExt as _, Role, ServerId, report};
use record::{EventKind, Fault, Recorder, Scope};

use crate::model::Model;

/// A service makes a snapshot when it has applied a multiple of this index.
const SNAPSHOT_INTERVAL: u64 = 10;

/// Limit of the time until a cluster without faults is quiet.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) network: Network,
    recorder: Recorder,
    servers: Vec<Server>,
    commands: u64,
    pub(crate) model: Model,
}

struct Server {
    persister: Arc<Persister>,
    /// The incarnation of the service that may report. It is locked while the service reports.
    incarnation: Arc<Mutex<u32>>,
    live: Option<Live>,
}

/// A running server and its threads.
#[derive(Clone)]
struct Live {
    raft: Arc<raft::Raft>,
    group: Group,
}

impl Cluster {
    /// Creates a running cluster, in the run of the calling thread.
    pub(crate) fn new(servers: usize) -> Cluster {
        let server =
            || Server { persister: Arc::new(Persister::new()), incarnation: Arc::new(Mutex::new(0)), live: None };
        let mut cluster = Cluster {
            network: Network::new(),
            recorder: record::scope().expect("the run is recorded").recorder.clone(),
            servers: (0..servers).map(|_| server()).collect(),
            commands: 0,
            model: Model::default(),
        };
        (0..servers).for_each(|server| cluster.start(server));
        cluster.partition(&[&(0..servers).collect::<Vec<_>>()]);
        cluster
    }

    /// Starts a server with its saved state. It is not connected yet.
    pub(crate) fn start(&mut self, me: usize) {
        let servers = self.servers.len();
        let server = &mut self.servers[me];
        let number = {
            let mut incarnation = server.incarnation.lock();
            *incarnation += 1;
            *incarnation
        };
        let ends = (0..servers).map(|to| {
            let end = self.network.make_end(end_name(me, number, to));
            self.network.connect(end_name(me, number, to), format!("S{to}"));
            end
        });
        let (ends, persister) = (ends.collect(), Arc::clone(&server.persister));
        let scope = Scope::new(&self.recorder, Some(ServerId(me)));
        let group = Group::new(format!("S{me}#{number}"), Some(scope.into_context()));
        let incarnation = Arc::clone(&server.incarnation);
        let raft = group.enter(|| {
            let (sender, deliveries) = channel::bounded(1);
            let raft = Arc::new(raft::Raft::make(ends, ServerId(me), persister, sender));
            let services = raft.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with);
            self.network.add_server(format!("S{me}"), services);
            let served = Arc::clone(&raft);
            thread::spawn(format!("S{me}/service"), move || serve(&served, &deliveries, &incarnation, number));
            raft
        });
        server.live = Some(Live { raft, group });
    }

    /// Crashes a server, in the same steps as the tester.
    pub(crate) fn crash(&mut self, me: usize) {
        self.network.delete_server(format!("S{me}"));
        let server = &mut self.servers[me];
        server.persister = Arc::new(server.persister.copy());
        record::emit(EventKind::Fault(Fault::Crash(vec![ServerId(me)])));
        let number = *server.incarnation.lock();
        *server.incarnation.lock() = number + 1;
        (0..self.servers.len()).for_each(|to| self.network.delete_end(end_name(me, number, to)));
        self.servers[me].live.take().expect("it runs").raft.kill();
    }

    pub(crate) fn runs(&self, server: usize) -> bool {
        self.servers[server].live.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Connects servers in the same part, and no others.
    pub(crate) fn partition(&self, parts: &[&[usize]]) {
        for from in (0..self.len()).filter(|&from| self.runs(from)) {
            let number = *self.servers[from].incarnation.lock();
            for to in 0..self.len() {
                let open = parts.iter().any(|part| part.contains(&from) && part.contains(&to));
                self.network.enable(end_name(from, number, to), open);
            }
        }
    }

    /// Proposes commands to all servers that are leaders or believe that they are.
    pub(crate) fn propose(&mut self, count: usize) {
        for live in self.servers.iter().filter_map(|server| server.live.as_ref()) {
            for _ in 0..count {
                self.commands += 1;
                let command = Bytes::from(self.commands.to_string());
                // Call it as one of the server's own threads, so that its reports belong to the server.
                live.group.enter(|| live.raft.start(command));
            }
        }
    }

    /// Compares, for each running server, its state in the record with the state that it reports, at one moment: the
    /// record must not grow while the server is queried. Reports are made under the server's lock, and `status` waits
    /// for that lock. So such a moment is never in the middle of a change.
    pub(crate) fn compare(&mut self) {
        for server in 0..self.len() {
            let Some(Live { raft, .. }) = self.servers[server].live.clone() else { continue };
            // On threads the other servers continue, so it may take a few attempts.
            for _ in 0..20 {
                let events = self.recorder.len();
                let persister = Arc::new(self.servers[server].persister.copy());
                let status = raft.status().expect("the reference reports its status");
                if self.recorder.len() != events {
                    continue;
                }
                self.read_up_to(events);
                let (_, saved) = Storage::open(persister).unwrap_or_else(|damaged| panic!("{damaged}"));
                self.model.servers[&ServerId(server)].assert_is(ServerId(server), &status, &saved);
                self.model.coverage.comparisons += 1;

                let followers = if status.role == Role::Leader { self.len() - 1 } else { 0 };
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

    fn is_quiet(&mut self) -> bool {
        let lives = self.servers.iter().filter_map(|server| server.live.as_ref());
        let all: Vec<_> = lives.map(|live| live.raft.status().expect("the reference reports its status")).collect();
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

/// Runs a service: it reports the entries that it applies, and makes a snapshot now and then. A service that is not the
/// present incarnation reports nothing.
fn serve(raft: &raft::Raft, deliveries: &Receiver<ApplyMsg>, incarnation: &Mutex<u32>, number: u32) {
    for message in deliveries {
        let snapshot_at = {
            let present = incarnation.lock();
            if *present != number {
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

fn end_name(from: usize, incarnation: u32, to: usize) -> String {
    format!("S{from}#{incarnation}->S{to}")
}

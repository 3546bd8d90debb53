//! Starting, crashing and restarting servers, and the end of the cluster.
//!
//! A crash is cooperative, as in the course: the network is cut, the storage is copied, `kill` is called, and the threads
//! of the dead incarnation have to end by themselves. What it saves after the copy is never read; its pending calls
//! return at once; a thread of it that is alive 2 s later fails the run.

use labrpc::Name;
use labstd::channel;
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{Persister, Raft, ServerId};
use record::{EventKind, Fault, Scope};

use super::{Cluster, Live, applier, server_name};
use crate::snapshot::Snapshot;
use crate::violation::Violation;

/// How long the threads of a killed server may take to end, on the run's clock.
const KILL_GRACE: Duration = Duration::from_secs(2);

impl<R: Raft> Cluster<R> {
    /// Starts `server` from what it saved; it is not connected yet.
    ///
    /// # Panics
    ///
    /// If it runs.
    pub(super) fn start_server(&self, server: ServerId) {
        let (incarnation, persister) = {
            let mut servers = self.0.servers.lock();
            let this = &mut servers[server.0];
            assert!(this.live.is_none(), "{server} runs already");
            this.incarnations += 1;
            this.persister = Arc::new(this.persister.copy());
            (this.incarnations, Arc::clone(&this.persister))
        };
        let group = self.group_of(server, incarnation);
        let ends: Vec<Name> = self.servers().map(|to| Name::from(format!("{server}#{incarnation}->{to}"))).collect();
        let peers = self.servers().zip(&ends).map(|(to, name)| {
            let end = self.0.network.make_end(name.clone());
            self.0.network.connect(name.clone(), server_name(to));
            end
        });
        let peers = peers.collect();
        self.begin_service(server, incarnation, &persister);
        let (tx, rx) = channel::bounded(1);
        let stop = applier::Stop::new(tx.clone());
        let raft = Arc::new(group.enter(|| (self.0.make)(peers, server, persister, tx)));
        let service = applier::Service { server, incarnation, raft: Arc::downgrade(&raft), group: group.clone() };
        self.spawn_applier(service, rx, &stop);
        let rpc_server = group.enter(|| raft.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with));
        self.0.network.add_server(server_name(server), rpc_server);
        let live = Live { raft, group, ends, applier: stop };
        self.0.servers.lock()[server.0].live = Some(live);
    }

    /// The service of a new incarnation forgets what it had applied, up to what is in the snapshot that was saved.
    fn begin_service(&self, server: ServerId, incarnation: u32, persister: &Persister) {
        let mut applied = self.0.applied.lock();
        applied.restarted(server, incarnation);
        let saved = persister.read_snapshot();
        if self.0.snapshots && !saved.is_empty() {
            let snapshot = Snapshot::decode(&saved)
                .unwrap_or_else(|wrong| Violation::safety(format!("{server} had saved what is no snapshot: {wrong}")));
            applied.restore(server, &snapshot).unwrap_or_else(|sentence| Violation::safety(sentence));
        }
    }

    /// Starts a crashed server again and connects it.
    pub fn restart(&self, server: ServerId) {
        record::emit(EventKind::Fault(Fault::Restart(vec![server])));
        self.start_server(server);
        self.connect(server);
    }

    /// Crashes `server`; it can be [restarted](Cluster::restart). Does nothing if it does not run.
    pub fn crash(&self, server: ServerId) {
        self.disconnect(server);
        // From here on it can neither be heard nor acknowledge anything.
        self.0.network.delete_server(server_name(server));
        let Some(live) = ({
            let mut servers = self.0.servers.lock();
            let this = &mut servers[server.0];
            this.persister = Arc::new(this.persister.copy());
            this.live.take()
        }) else {
            return;
        };
        record::emit(EventKind::Fault(Fault::Crash(vec![server])));
        self.bury(live);
    }

    /// Crashes `server` and starts it again at once.
    pub fn reboot(&self, server: ServerId) {
        self.crash(server);
        self.restart(server);
    }

    /// Whether `server` runs.
    pub fn is_running(&self, server: ServerId) -> bool {
        self.0.servers.lock()[server.0].live.is_some()
    }

    /// Stops an incarnation that is off the network already, and sees to it that its threads end.
    fn bury(&self, live: Live<R>) {
        for end in &live.ends {
            self.0.network.delete_end(end.clone());
        }
        live.applier.stop();
        live.raft.kill();
        let group = live.group.clone();
        let deadline = Instant::now() + KILL_GRACE;
        let shared = Arc::clone(&self.0);
        thread::spawn(format!("watch-{}", group.name()), move || {
            let mut over = shared.over.lock();
            while !*over && !shared.over_changed.wait_until(&mut over, deadline).timed_out() {}
            drop(over);
            wait_for_end(&group, deadline);
        });
    }

    /// Ends the scenario: kills every server and takes the network down. Returns when all their threads have ended.
    ///
    /// Panics if a thread survives `kill` by 2 s.
    pub fn shut_down(&self) {
        let running: Vec<_> = {
            let mut servers = self.0.servers.lock();
            servers.iter_mut().filter_map(|server| server.live.take()).collect()
        };
        let groups: Vec<Group> = running.iter().map(|live| live.group.clone()).collect();
        for live in running {
            self.bury(live);
        }
        self.0.network.cleanup();
        *self.0.over.lock() = true;
        self.0.over_changed.notify_all();
        let deadline = Instant::now() + KILL_GRACE;
        groups.iter().for_each(|group| wait_for_end(group, deadline));
    }

    /// Stops everything without waiting for it, because the run has failed already.
    pub fn abandon(&self) {
        self.0.network.cleanup();
        let running: Vec<_> = {
            let mut servers = self.0.servers.lock();
            servers.iter_mut().filter_map(|server| server.live.take()).collect()
        };
        for live in running {
            live.applier.stop();
            live.raft.kill();
        }
        *self.0.over.lock() = true;
        self.0.over_changed.notify_all();
    }

    /// The group of one incarnation's threads; what they record belongs to the server.
    fn group_of(&self, server: ServerId, incarnation: u32) -> Group {
        let context = record::scope().map(|scope| Scope::new(&scope.recorder, Some(server)).into_context());
        Group::new(format!("{server}#{incarnation}"), context)
    }
}

/// Waits until `group` has no threads; ends the run if it has some at the deadline.
fn wait_for_end(group: &Group, deadline: Instant) {
    const LOOK: Duration = Duration::from_millis(5);
    loop {
        let left = group.threads();
        if left.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            let left: Vec<String> = left.iter().map(|thread| format!("\n    {thread}")).collect();
            Violation::safety(format!(
                "{} was killed, but 2 s later these of its threads were still alive:{}",
                group.name(),
                left.concat()
            ));
        }
        thread::sleep(LOOK);
    }
}

//! Starting and crashing servers, and the end of all of them.
//!
//! A crash is cooperative, as in the course: the network is cut, the storage is copied, `kill` is called, and the threads
//! of the dead incarnation have to end by themselves. What it saves after the copy is never read; its pending calls
//! return at once; a thread of it that is alive 2 s later fails the run.

use labrpc::{ClientEnd, Name};
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{Persister, ServerId};
use record::{EventKind, Fault, Scope};

use super::{HostedServer, ServerHosts, RunningServer, server_name};
use crate::diagnosis::Rule;
use crate::violation::Violation;

/// How long the threads of a killed server may take to end, on the run's clock.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// What there is of an incarnation before its server is built.
pub(crate) struct Incarnation {
    /// Whose it is.
    pub(crate) server: ServerId,
    /// Its number, from 1.
    pub(crate) number: u32,
    /// What those before it saved, and where it saves.
    pub(crate) persister: Arc<Persister>,
    /// Whose threads those are that it starts.
    pub(crate) group: Group,
    ends: Vec<Name>,
}

impl<S: HostedServer> ServerHosts<S> {
    /// Begins an incarnation of `server`, with what it saved, and with one end to each server, all of them closed.
    ///
    /// # Panics
    ///
    /// If it runs.
    pub(crate) fn begin_incarnation(&self, server: ServerId) -> (Incarnation, Vec<ClientEnd>) {
        let (number, persister) = {
            let mut slots = self.slots.lock();
            let slot = &mut slots[server.0];
            assert!(slot.running.is_none(), "{server} runs already");
            slot.incarnations += 1;
            slot.persister = Arc::new(slot.persister.copy());
            (slot.incarnations, Arc::clone(&slot.persister))
        };
        let group = group_of(server, number);
        let ends: Vec<Name> = self.servers().map(|to| Name::from(format!("{server}#{number}->{to}"))).collect();
        let peers = self.servers().zip(&ends).map(|(to, name)| {
            let end = self.network.make_end(name.clone());
            self.network.connect(name.clone(), server_name(to));
            end
        });
        let peers = peers.collect();
        (Incarnation { server, number, persister, group, ends }, peers)
    }

    /// Puts what was built for an incarnation into the network. It is not connected yet.
    pub(crate) fn attach(&self, incarnation: Incarnation, built: S) {
        let Incarnation { server, group, ends, .. } = incarnation;
        let rpc_server = group.enter(|| built.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with));
        self.network.add_server(server_name(server), rpc_server);
        self.slots.lock()[server.0].running = Some(RunningServer { server: Arc::new(built), group, ends });
    }

    /// Kills `server`, whose links are closed already; what it has saved stays. Does nothing if it does not run, or when all is
    /// [calm](crate::calm).
    pub(crate) fn crash(self: &Arc<Self>, server: ServerId) {
        if self.faults_ended() {
            return;
        }
        // From here on it can neither be heard nor acknowledge anything.
        self.network.delete_server(server_name(server));
        let Some(running) = ({
            let mut slots = self.slots.lock();
            let slot = &mut slots[server.0];
            slot.persister = Arc::new(slot.persister.copy());
            slot.running.take()
        }) else {
            return;
        };
        record::emit(EventKind::Fault(Fault::Crash(vec![server])));
        self.stop_incarnation(running);
    }

    /// Stops an incarnation that is off the network already, and sees to it that its threads end.
    fn stop_incarnation(self: &Arc<Self>, running: RunningServer<S>) {
        for end in &running.ends {
            self.network.delete_end(end.clone());
        }
        running.server.kill();
        let group = running.group.clone();
        let deadline = Instant::now() + KILL_GRACE;
        let hosts = Arc::clone(self);
        thread::spawn(format!("watch-{}", group.name()), move || {
            let mut scenario_over = hosts.scenario_over.lock();
            while !*scenario_over && !hosts.scenario_over_changed.wait_until(&mut scenario_over, deadline).timed_out() {}
            drop(scenario_over);
            wait_for_end(&group, deadline);
        });
    }

    /// Ends the scenario: kills every server and takes the network down. Returns when all their threads have ended.
    ///
    /// Panics if a thread survives `kill` by 2 s.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        let running = self.take_running();
        let groups: Vec<Group> = running.iter().map(|running| running.group.clone()).collect();
        for running in running {
            self.stop_incarnation(running);
        }
        self.network.cleanup();
        self.signal_scenario_over();
        let deadline = Instant::now() + KILL_GRACE;
        groups.iter().for_each(|group| wait_for_end(group, deadline));
    }

    /// Stops everything without waiting for it, because the run has failed already.
    ///
    /// The network stays, without servers: a call then takes its time to fail, and there threads of a failed run end. On a
    /// network that is down it would fail at once, and a client that never gives up would go round for ever.
    pub(crate) fn abandon(&self) {
        self.network.set_long_delays(false);
        for server in self.servers() {
            self.network.delete_server(server_name(server));
        }
        for running in self.take_running() {
            running.server.kill();
        }
        self.signal_scenario_over();
    }

    fn take_running(&self) -> Vec<RunningServer<S>> {
        let mut slots = self.slots.lock();
        slots.iter_mut().filter_map(|slot| slot.running.take()).collect()
    }

    fn signal_scenario_over(&self) {
        *self.scenario_over.lock() = true;
        self.scenario_over_changed.notify_all();
    }
}

/// The group of one incarnation's threads; what they record belongs to the server.
fn group_of(server: ServerId, incarnation: u32) -> Group {
    let context = record::scope().map(|scope| Scope::new(&scope.recorder, Some(server)).into_context());
    Group::new(format!("{server}#{incarnation}"), context)
}

/// Waits until `group` has no threads; ends the run if it has some at the deadline.
fn wait_for_end(group: &Group, deadline: Instant) {
    const POLL_INTERVAL: Duration = Duration::from_millis(5);
    loop {
        let left = group.threads();
        if left.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            let left: Vec<String> = left.iter().map(|thread| format!("\n    {thread}")).collect();
            Violation::safety(
                &[Rule::StopWhenKilled],
                format!(
                    "{} was killed, but 2 s later these of its threads were still alive:{}",
                    group.name(),
                    left.concat()
                ),
            );
        }
        thread::sleep(POLL_INTERVAL);
    }
}

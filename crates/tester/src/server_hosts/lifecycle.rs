//! Start, crash and shutdown of servers.
//!
//! A crash is cooperative, as in the course: the network is cut, the storage is copied, `kill` is called, and the
//! threads of the dead incarnation must end on their own. Its later saves are never read, and its pending calls return
//! immediately. If one of its threads is still alive 2 s later, the run fails.

use labrpc::{ClientEnd, Name};
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{Persister, ServerId};
use record::{EventKind, Fault, Scope};

use super::{HostedServer, RunningServer, ServerHosts, server_name};
use crate::violation::Violation;
use diagnosis::Rule;

/// Time that the threads of a killed server have to end, on the run's clock.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// The parts of an incarnation that exist before its server is built.
pub(crate) struct Incarnation {
    /// The server that it belongs to.
    pub(crate) server: ServerId,
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Storage with the saved state of earlier incarnations; this incarnation saves here too.
    pub(crate) persister: Arc<Persister>,
    /// Group of the threads that it starts.
    pub(crate) group: Group,
    ends: Vec<Name>,
}

impl<S: HostedServer> ServerHosts<S> {
    /// Begins an incarnation of `server` with its saved state. Returns it with one end to each server; all ends are
    /// closed.
    ///
    /// # Panics
    ///
    /// If the server is already running.
    pub(crate) fn begin_incarnation(&self, server: ServerId) -> (Incarnation, Vec<ClientEnd>) {
        let (number, persister) = {
            let mut slots = self.slots.lock();
            let slot = &mut slots[server.0];
            assert!(slot.running.is_none(), "{server} is already running");
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

    /// Adds the server of an incarnation to the network. It is not connected yet.
    pub(crate) fn attach(&self, incarnation: Incarnation, built: S) {
        let Incarnation { server, group, ends, .. } = incarnation;
        let rpc_server = group.enter(|| built.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with));
        self.network.add_server(server_name(server), rpc_server);
        self.slots.lock()[server.0].running = Some(RunningServer { server: Arc::new(built), group, ends });
    }

    /// Kills `server`, whose links are already closed; its saved state stays. Does nothing if it is not running, or
    /// after the [fault cutoff](crate::fault_cutoff).
    pub(crate) fn crash(self: &Arc<Self>, server: ServerId) {
        if self.faults_ended() {
            return;
        }
        // From here on it receives nothing and can acknowledge nothing.
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

    /// Stops an incarnation that is already off the network, and starts a watchdog that checks the end of its threads.
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
            while !*scenario_over && !hosts.scenario_over_changed.wait_until(&mut scenario_over, deadline).timed_out() {
            }
            drop(scenario_over);
            wait_for_end(&group, deadline);
        });
    }

    /// Ends the scenario: kills every server and shuts the network down. Returns when all their threads have ended.
    ///
    /// # Panics
    ///
    /// If a thread is still alive 2 s after `kill`.
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

    /// Stops everything without waiting, because the run has already failed.
    ///
    /// The network stays up, without servers: a call then takes some time to fail, and threads of a failed run end
    /// there. If the network were down, a call would fail immediately, and a client that never gives up would loop
    /// forever.
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

/// Creates the group of one incarnation's threads. Their events are recorded under the server, and a simulation
/// sometimes holds them.
fn group_of(server: ServerId, incarnation: u32) -> Group {
    let context = record::scope().map(|scope| Scope::new(&scope.recorder, Some(server)).into_context());
    Group::new(format!("{server}#{incarnation}"), context).lagging()
}

/// Waits until `group` has no threads; fails the run if some are left at the deadline.
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

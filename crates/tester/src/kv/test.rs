//! A running scenario of part 4: its cluster, its clients, its stages, and the history of its clients.

use std::fmt;
use std::mem;

use labstd::ThreadStatus;
use labstd::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant, run_elapsed, run_elapsed_nanos};
use linearizability::kv::Kind;
use raftapi::ServerId;
use record::{EventKind, Excerpt, OperationKind};

use super::cluster::{ClerkId, ErasedClerk, KvCluster};
use super::in_flight::{InFlightOperations, Operation, OperationSlot};
use crate::cluster::Metrics;
use crate::runner::TIME_LIMIT;
use crate::scenario::{ActiveStage, ClientHistory, Progress, Stage};
use crate::violation::Violation;
use diagnosis::Rule;

/// A running scenario. Clones are handles to the same scenario.
///
/// A check that does not hold fails the run by panicking with a [`Violation`], on any thread.
#[derive(Clone)]
pub struct KvTest(Arc<Inner>);

struct Inner {
    cluster: Arc<dyn KvCluster>,
    /// Number of clients that were created with a new number.
    clients: AtomicU32,
    /// Number of operations begun.
    operations_begun: AtomicU64,
    /// Number of operations answered.
    operations_answered: AtomicU64,
    progress: Progress,
    operations: Mutex<OperationLog>,
    /// Whether the scenario is over, and the condition variable of the thread that waits for this.
    scenario_over: Mutex<bool>,
    scenario_over_changed: Condvar,
}

/// Operations of the clients.
#[derive(Default)]
struct OperationLog {
    in_flight: InFlightOperations,
    /// Operations of the clients that write into the history.
    history: ClientHistory,
}

impl KvTest {
    /// Starts a scenario on `cluster` with the stage `title`; `progress` tracks its stages. The run fails if an
    /// operation has no answer after `operation_timeout`, if one is given.
    pub fn new(
        cluster: Arc<dyn KvCluster>,
        progress: Progress,
        title: &str,
        operation_timeout: Option<Duration>,
    ) -> KvTest {
        let test = KvTest(Arc::new(Inner {
            cluster,
            clients: AtomicU32::new(0),
            operations_begun: AtomicU64::new(0),
            operations_answered: AtomicU64::new(0),
            progress,
            operations: Mutex::default(),
            scenario_over: Mutex::new(false),
            scenario_over_changed: Condvar::new(),
        }));
        test.begin_stage(title);
        let watched = test.clone();
        thread::spawn("watch-operations", move || watched.watch(operation_timeout));
        test
    }

    /// Returns the servers.
    pub fn cluster(&self) -> &dyn KvCluster {
        &*self.0.cluster
    }

    /// Returns all servers, in order.
    pub fn servers(&self) -> Vec<ServerId> {
        (0..self.0.cluster.len()).map(ServerId).collect()
    }

    /// Returns all servers except `server`, in order around the circle.
    pub fn others(&self, server: ServerId) -> Vec<ServerId> {
        let servers = self.0.cluster.len();
        (1..servers).map(|steps| ServerId((server.0 + steps) % servers)).collect()
    }

    /// Heals everything: all servers can communicate.
    pub fn connect_all(&self) {
        self.0.cluster.partition(&[&self.servers()]);
    }

    /// Returns the leader; waits until there is one. Fails the run after 5 s without a leader.
    pub fn leader(&self) -> ServerId {
        const LIMIT: Duration = Duration::from_secs(5);
        const POLL_INTERVAL: Duration = Duration::from_millis(10);
        let started = Instant::now();
        loop {
            if let Some((_, leader)) = self.0.cluster.leader() {
                return leader;
            }
            if started.elapsed() > LIMIT {
                let (servers, seconds) = (self.0.cluster.len(), LIMIT.as_secs());
                let text = format!("none of the {servers} servers has reported for {seconds} s that it leads");
                Violation::limit(&[Rule::CampaignOnTimeout, Rule::GrantResetsTimer], text);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sleeps on the run's clock.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    /// Creates a client with its own number that can reach the servers in `to`.
    pub fn clerk(&self, to: &[ServerId]) -> Clerk {
        let client = self.0.clients.fetch_add(1, Relaxed);
        self.client(client, to, false)
    }

    /// Creates a new clerk of the client `client` that can reach all servers. Its operations go into the history.
    pub fn logged_clerk(&self, client: u32) -> Clerk {
        self.client(client, &self.servers(), true)
    }

    fn client(&self, client: u32, to: &[ServerId], logged: bool) -> Clerk {
        let (id, handle) = self.0.cluster.clerk(to);
        Clerk { test: self.clone(), id, client, logged, slot: None, handle }
    }

    /// Begins a stage, with counters at zero. If another stage has begun and not ended, it is discarded.
    pub fn begin_stage(&self, title: &str) {
        let cluster = &self.0.cluster;
        self.0.progress.0.lock().active = Some(ActiveStage {
            title: title.to_string(),
            at: Instant::now(),
            rpcs: cluster.rpcs(),
            bytes: cluster.bytes(),
            operations: self.0.operations_answered.load(Relaxed),
        });
    }

    /// Ends the current stage, if there is one.
    pub fn end_stage(&self) {
        let cluster = &self.0.cluster;
        let mut stages = self.0.progress.0.lock();
        let Some(ActiveStage { title, at, rpcs, bytes, operations }) = stages.active.take() else { return };
        let metrics = Metrics {
            elapsed: at.elapsed(),
            servers: cluster.len(),
            rpcs: cluster.rpcs() - rpcs,
            bytes: cluster.bytes() - bytes,
            commands: self.0.operations_answered.load(Relaxed) - operations,
        };
        stages.finished.push(Stage { title, metrics });
    }

    /// Ends the scenario and its current stage, and returns all stages.
    pub fn finish(&self) -> Vec<Stage> {
        self.end_stage();
        *self.0.scenario_over.lock() = true;
        self.0.scenario_over_changed.notify_all();
        self.0.progress.0.lock().finished.clone()
    }

    /// Watches unanswered operations until the scenario is over. An operation may take `operation_timeout`; shortly
    /// before the run's time limit, it may take only 5 s. (The time limit of the run itself knows threads, but no
    /// operations.)
    fn watch(&self, operation_timeout: Option<Duration>) {
        const POLL_INTERVAL: Duration = Duration::from_millis(500);
        const BEFORE_TIME_LIMIT: Duration = Duration::from_secs(1);
        const TIMEOUT_AT_END: Duration = Duration::from_secs(5);
        let mut scenario_over = self.0.scenario_over.lock();
        while !*scenario_over {
            self.0.scenario_over_changed.wait_for(&mut scenario_over, POLL_INTERVAL);
            let end_of_run = (run_elapsed() + BEFORE_TIME_LIMIT > TIME_LIMIT).then_some(TIMEOUT_AT_END);
            let Some(operation_timeout) = end_of_run.or(operation_timeout) else { continue };
            let oldest = self.0.operations.lock().in_flight.oldest().cloned();
            if let Some(Operation { client, what, key, started_at, .. }) = oldest
                && started_at.elapsed() > operation_timeout
            {
                let seconds = started_at.elapsed().as_secs();
                let likely = [
                    Rule::AnswerDuplicates,
                    Rule::AnswerWaitingClients,
                    Rule::DetectLostLeadership,
                    Rule::TryAnotherServer,
                ];
                let text = format!(
                    "client {client} has waited for {seconds} s for the answer to its {what} of key '{key}'{}",
                    thread_table(&thread::statuses())
                );
                Violation::limit(&likely, text);
            }
        }
    }

    /// Takes the history of the clients made by [`logged_clerk`](KvTest::logged_clerk).
    pub fn take_history(&self) -> ClientHistory {
        mem::take(&mut self.0.operations.lock().history)
    }

    /// Fails the run if a server has saved more than eight times the permitted Raft state, as in the course.
    pub fn check_log_size(&self, max_raft_state: usize) {
        let (bytes, most) = (self.0.cluster.log_size(), 8 * max_raft_state);
        if bytes > most {
            Violation::limit(
                &[Rule::SnapshotWhenLarge, Rule::CompactLog],
                format!(
                    "a server has {bytes} bytes of Raft state saved, more than {most}: logs were not trimmed; a \
                     service must take a snapshot when the state comes near {max_raft_state} bytes, and its Raft must \
                     then remove the covered entries from the log, even if an unreachable server has not acknowledged \
                     them"
                ),
            );
        }
    }

    /// Fails the run if a server has taken a snapshot although it must never take one.
    pub fn check_no_snapshot(&self) {
        let bytes = self.0.cluster.snapshot_size();
        if bytes > 0 {
            Violation::safety(
                &[Rule::NoUnrequestedSnapshot],
                format!(
                    "a server has a snapshot of {bytes} bytes saved, though it was made without a limit for its Raft \
                     state (maxraftstate is -1 in the course), and then must never take one"
                ),
            );
        }
    }
}

impl fmt::Debug for KvTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvTest").field("servers", &self.0.cluster.len()).finish_non_exhaustive()
    }
}

/// A client of the service. Each of its operations is counted and recorded.
pub struct Clerk {
    test: KvTest,
    id: ClerkId,
    client: u32,
    /// Whether its operations go into the history.
    logged: bool,
    /// Slot of its operations in the list of unanswered operations, after its first operation.
    slot: Option<OperationSlot>,
    handle: Box<dyn ErasedClerk>,
}

impl Clerk {
    /// Returns the number of the clerk in the cluster.
    pub fn id(&self) -> ClerkId {
        self.id
    }

    /// Returns the number of the client.
    pub fn client(&self) -> u32 {
        self.client
    }

    /// Returns the value of `key`; empty if there is none.
    pub fn get(&mut self, key: &str) -> String {
        self.perform(OperationKind::Get, key, "")
    }

    /// Replaces the value of `key`.
    pub fn put(&mut self, key: &str, value: &str) {
        self.perform(OperationKind::Put, key, value);
    }

    /// Appends `value` to the value of `key`.
    pub fn append(&mut self, key: &str, value: &str) {
        self.perform(OperationKind::Append, key, value);
    }

    fn perform(&mut self, what: OperationKind, key: &str, value: &str) -> String {
        let (client, Inner { operations_begun, operations_answered, operations, .. }) = (self.client, &*self.test.0);
        let operation = operations_begun.fetch_add(1, Relaxed);
        record::emit(EventKind::OperationBegun {
            operation,
            client,
            kind: what,
            key: key.to_string(),
            value: Excerpt::from(value),
        });
        let started_at = Instant::now();
        let slot = operations.lock().in_flight.begin(self.slot, (operation, client, what, key), started_at);
        self.slot = Some(slot);
        let call = run_elapsed_nanos();
        let mut result = String::new();
        let kind = match what {
            OperationKind::Get => {
                result = self.handle.get(key);
                Kind::Get
            }
            OperationKind::Put => {
                self.handle.put(key, value);
                Kind::Put
            }
            OperationKind::Append => {
                self.handle.append(key, value);
                Kind::Append
            }
        };
        let ret = run_elapsed_nanos();
        record::emit(EventKind::OperationEnded { operation, value: Excerpt::from(&*result) });
        operations_answered.fetch_add(1, Relaxed);
        let mut operations = operations.lock();
        operations.in_flight.end(slot);
        if self.logged {
            let value = if kind == Kind::Get { &result } else { value };
            operations.history.history.add(client, call, ret, kind, key, value);
            operations.history.numbers.push(operation);
        }
        drop(operations);
        result
    }
}

/// Formats the activity of each thread, one line per thread.
fn thread_table(threads: &[ThreadStatus]) -> String {
    let lines: String = threads.iter().map(|thread| format!("\n    {thread}")).collect();
    format!("\n  threads:{lines}")
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("id", &self.id).field("client", &self.client).finish_non_exhaustive()
    }
}

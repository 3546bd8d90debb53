//! A client with many writes in flight. It starts a write before the previous one is executed, and collects completed
//! writes later. So one thread can keep any number of operations in flight. Writes that are submitted while the servers
//! are busy are sent in one request.
//!
//! A pipeline consists of a few *lanes*, each a client with its own identity. A lane sends all its queued writes in one
//! request, and the next request after the reply. Without a reply it sends the same request, with the same numbers,
//! again. All writes of a key use the same lane, so they are executed in the order of submission. Writes of different
//! keys have no order.
//!
//! ```text
//! submitting thread     pipeline.put(..) ...           lane thread
//!                       number and encode the command
//!                       add it to the lane's queue -->  send the whole queue in one KvServer.WriteMany
//!                                                       the leader puts the writes into its log side by side; the
//!                                                       result of the last one shows that all were executed
//!                       pipeline.collect()  <---------  the ids of all these writes
//! ```

use std::fmt;
use std::hash::BuildHasher;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use raftapi::{Index, RaftExt, Started};
use rustc_hash::FxBuildHasher;

use crate::clerk::{call_with_retry, draw_client_id};
use crate::messages::{Command, Operation, OperationId, Reply, WriteManyArgs};
use crate::shared::Shared;
use crate::{handlers, proposals};

/// Number of lanes. With two, one lane prepares its next request while the other waits for a reply.
const LANES: usize = 2;

/// Identifies a submitted write of a pipeline: the first is 0, the next 1, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(pub u64);

/// A client of [`KvServer`](crate::KvServer)s with many writes in flight. Dropping it abandons the writes in flight.
pub struct Pipeline {
    lanes: Vec<Arc<Lane>>,
    completed: Arc<CompletedWrites>,
    capacity: usize,
    submitted: u64,
    collected: u64,
}

/// State that a lane's thread shares with the submitting threads.
struct Lane {
    client: u64,
    queue: Mutex<Queue>,
    /// Signalled when an idle lane has a write to send, or when the pipeline is dropped.
    wake_lane: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Sequence number of the last queued operation.
    last_seq: u64,
    /// The encoded writes that are not sent yet, in the order of their numbers.
    commands: Vec<Bytes>,
    /// The ids of these writes.
    ids: Vec<SubmissionId>,
    /// Whether the lane's thread waits for a write.
    idle: bool,
    closed: bool,
}

/// The executed writes that are not collected yet.
#[derive(Default)]
struct CompletedWrites {
    ids: Mutex<Vec<SubmissionId>>,
    not_empty: Condvar,
}

/// Adds the handler of several writes of one client, in the order of their numbers. The result of the last one stands
/// for all, because the log holds them in their order. It may wait, because a lane sends its next request only after
/// the reply.
pub(crate) fn add_handler<R: RaftExt>(service: Service, shared: &Arc<Shared<R>>) -> Service {
    let shared = Arc::clone(shared);
    service.method("WriteMany", move |WriteManyArgs { last, commands }: WriteManyArgs| {
        if commands.is_empty() || handlers::was_executed(&shared, last) {
            return Reply::Written;
        }
        handlers::wait(&shared, |recipient| {
            proposals::start(&shared, last, recipient, |raft| {
                let after_first = commands.len() as u64 - 1;
                let Started { index, term } = raft.start_many(commands)?;
                Some(Started { index: Index(index.0 + after_first), term })
            });
        })
    })
}

impl Pipeline {
    /// Builds a pipeline over one end per server, with at most `capacity` writes in flight.
    ///
    /// # Panics
    ///
    /// If there are no `servers`, or `capacity` is 0.
    pub fn make(servers: &[ClientEnd], capacity: usize) -> Pipeline {
        assert!(!servers.is_empty(), "a pipeline needs at least one server");
        assert!(capacity > 0, "a pipeline needs a capacity of at least one write");
        let completed = Arc::<CompletedWrites>::default();
        let lanes = (0..LANES).map(|number| {
            let client = draw_client_id(servers, number);
            let lane = Arc::new(Lane { client, queue: Mutex::default(), wake_lane: Condvar::new() });
            let (this, completed, servers) = (Arc::clone(&lane), Arc::clone(&completed), servers.to_vec());
            thread::spawn(format!("pipeline-lane-{number}"), move || this.run(&servers, &completed));
            lane
        });
        Pipeline { lanes: lanes.collect(), completed, capacity, submitted: 0, collected: 0 }
    }

    /// Submits a write that replaces the value of `key`. Blocks while the pipeline is full.
    pub fn put(&mut self, key: &str, value: &str) -> SubmissionId {
        self.submit(key, Operation::Put { key, value })
    }

    /// Submits a write that appends `value` to the value of `key`. Blocks while the pipeline is full.
    pub fn append(&mut self, key: &str, value: &str) -> SubmissionId {
        self.submit(key, Operation::Append { key, value })
    }

    /// Returns the number of writes that were submitted and not collected.
    pub fn in_flight(&self) -> usize {
        (self.submitted - self.collected) as usize
    }

    /// Returns the writes that completed since the last call, each once. Blocks until there is one, unless none is in
    /// flight.
    pub fn collect(&mut self) -> Vec<SubmissionId> {
        if self.in_flight() == 0 {
            return Vec::new();
        }
        let mut ids = self.completed.ids.lock();
        self.completed.not_empty.wait_while(&mut ids, |ids| ids.is_empty());
        let completed = std::mem::take(&mut *ids);
        self.collected += completed.len() as u64;
        completed
    }

    fn submit(&mut self, key: &str, operation: Operation<&str>) -> SubmissionId {
        self.wait_for_capacity();
        let submission = SubmissionId(self.submitted);
        self.submitted += 1;
        let lane = &self.lanes[FxBuildHasher.hash_one(key) as usize % LANES];
        let was_idle = {
            let mut queue = lane.queue.lock();
            queue.last_seq += 1;
            let id = OperationId { client: lane.client, seq: queue.last_seq };
            queue.commands.push(labgob::encode(&Command { id, operation }));
            queue.ids.push(submission);
            std::mem::take(&mut queue.idle)
        };
        if was_idle {
            lane.wake_lane.notify_one();
        }
        submission
    }

    fn wait_for_capacity(&self) {
        if self.in_flight() < self.capacity {
            return;
        }
        let mut ids = self.completed.ids.lock();
        let full = |ids: &mut Vec<SubmissionId>| self.in_flight() - ids.len() >= self.capacity;
        self.completed.not_empty.wait_while(&mut ids, full);
    }
}

impl Lane {
    /// Body of a lane's thread.
    fn run(&self, servers: &[ClientEnd], completed: &CompletedWrites) {
        let mut leader = 0;
        while let Some((request, ids)) = self.next_request() {
            let closed = || self.queue.lock().closed;
            let Some(reply) = call_with_retry(servers, &mut leader, "KvServer.WriteMany", &request, closed) else {
                return;
            };
            assert_eq!(reply, Reply::Written, "unexpected reply to writes");
            completed.ids.lock().extend(ids);
            completed.not_empty.notify_one();
        }
    }

    /// Waits for queued writes and takes all of them. Returns `None` when the pipeline is dropped.
    fn next_request(&self) -> Option<(WriteManyArgs, Vec<SubmissionId>)> {
        let mut queue = self.queue.lock();
        while queue.commands.is_empty() && !queue.closed {
            queue.idle = true;
            self.wake_lane.wait(&mut queue);
        }
        if queue.closed {
            return None;
        }
        let last = OperationId { client: self.client, seq: queue.last_seq };
        let commands = std::mem::take(&mut queue.commands);
        Some((WriteManyArgs { last, commands }, std::mem::take(&mut queue.ids)))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.queue.lock().closed = true;
            lane.wake_lane.notify_one();
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

//! A client that does not wait for one write before it begins the next: it submits many and collects what is done. One
//! thread can so keep as many operations under way as it likes, and what was submitted while the servers were busy goes to
//! them together.
//!
//! A pipeline is a few *lanes*, each a client with an identity of its own. A lane sends all that it has been given in one
//! request, the next when that is answered, and the same again (with the same numbers) if there is no answer. The writes of a
//! key share a lane, so they are executed in the order in which they were submitted; those of different keys need not be.
//!
//! ```text
//! submitting thread     pipeline.put(..) ...           lane thread
//!                       a number, an encoded command
//!                       into the lane's queue  ----->  all that is in it, in one KvServer.WriteMany
//!                                                      the leader puts them into its log side by side; the last one's
//!                                                      result says that all were executed
//!                       pipeline.collect()  <--------  the tickets of all
//! ```

use std::fmt;
use std::hash::BuildHasher;

use bytes::Bytes;
use labrpc::ClientEnd;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use rustc_hash::FxBuildHasher;

use crate::clerk::{ask, draw_client_id};
use crate::messages::{Command, Operation, OperationId, Reply, WriteManyArgs};

/// While one lane waits for its answer, another one's request is prepared.
const LANES: usize = 2;

/// Names a submitted write: the first is 0, the next 1, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A client of [`KvServer`](crate::KvServer)s with many writes under way. Dropping it gives up those that are.
pub struct Pipeline {
    lanes: Vec<Arc<Lane>>,
    done: Arc<Done>,
    capacity: usize,
    submitted: u64,
    collected: u64,
}

/// What a lane's thread shares with those who submit.
struct Lane {
    client: u64,
    queue: Mutex<Queue>,
    /// Signalled when there is something for an idle lane, or when the pipeline is dropped.
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    /// The last operation that was given a number.
    last_seq: u64,
    /// What was not sent yet, in the order of the numbers.
    commands: Vec<Bytes>,
    tickets: Vec<Ticket>,
    /// Whether the lane's thread waits for something to do.
    idle: bool,
    closed: bool,
}

/// What was executed and not collected yet.
#[derive(Default)]
struct Done {
    tickets: Mutex<Vec<Ticket>>,
    more: Condvar,
}

impl Pipeline {
    /// A pipeline over one end a server, with room for so many writes under way.
    ///
    /// # Panics
    ///
    /// If there are no `servers`, or no room.
    pub fn make(servers: &[ClientEnd], capacity: usize) -> Pipeline {
        assert!(!servers.is_empty(), "a pipeline needs a server to ask");
        assert!(capacity > 0, "a pipeline needs room for a write");
        let done = Arc::<Done>::default();
        let lanes = (0..LANES).map(|number| {
            let client = draw_client_id(servers, number);
            let lane = Arc::new(Lane { client, queue: Mutex::default(), filled: Condvar::new() });
            let (mine, done, servers) = (Arc::clone(&lane), Arc::clone(&done), servers.to_vec());
            thread::spawn(format!("pipeline-lane-{number}"), move || mine.work(&servers, &done));
            lane
        });
        Pipeline { lanes: lanes.collect(), done, capacity, submitted: 0, collected: 0 }
    }

    /// Submits a write that replaces the value of `key`. Waits while the pipeline is full of writes that are not done.
    pub fn put(&mut self, key: &str, value: &str) -> Ticket {
        self.submit(key, Operation::Put { key, value })
    }

    /// Submits a write that adds `value` at the end of the value of `key`. Waits while the pipeline is full of writes that are
    /// not done.
    pub fn append(&mut self, key: &str, value: &str) -> Ticket {
        self.submit(key, Operation::Append { key, value })
    }

    /// How many writes were submitted and not collected.
    pub fn in_flight(&self) -> usize {
        (self.submitted - self.collected) as usize
    }

    /// The writes that were done since the last call, each once. Waits until there is one, unless none is in flight.
    pub fn collect(&mut self) -> Vec<Ticket> {
        if self.in_flight() == 0 {
            return Vec::new();
        }
        let mut tickets = self.done.tickets.lock();
        self.done.more.wait_while(&mut tickets, |tickets| tickets.is_empty());
        let done = std::mem::take(&mut *tickets);
        self.collected += done.len() as u64;
        done
    }

    fn submit(&mut self, key: &str, operation: Operation<&str>) -> Ticket {
        self.wait_for_room();
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        let lane = &self.lanes[FxBuildHasher.hash_one(key) as usize % LANES];
        let was_idle = {
            let mut queue = lane.queue.lock();
            queue.last_seq += 1;
            let id = OperationId { client: lane.client, seq: queue.last_seq };
            queue.commands.push(labgob::encode(&Command { id, operation }));
            queue.tickets.push(ticket);
            std::mem::take(&mut queue.idle)
        };
        if was_idle {
            lane.filled.notify_one();
        }
        ticket
    }

    fn wait_for_room(&self) {
        if self.in_flight() < self.capacity {
            return;
        }
        let mut tickets = self.done.tickets.lock();
        let full = |tickets: &mut Vec<Ticket>| self.in_flight() - tickets.len() >= self.capacity;
        self.done.more.wait_while(&mut tickets, full);
    }
}

impl Lane {
    /// The life of a lane's thread.
    fn work(&self, servers: &[ClientEnd], done: &Done) {
        let mut leader = 0;
        while let Some((request, tickets)) = self.next_request() {
            let given_up = || self.queue.lock().closed;
            let Some(reply) = ask(servers, &mut leader, "KvServer.WriteMany", &request, given_up) else { return };
            assert_eq!(reply, Reply::Written, "writes were answered with something else");
            done.tickets.lock().extend(tickets);
            done.more.notify_one();
        }
    }

    /// Waits for something to send, and takes all of it; `None` at the end.
    fn next_request(&self) -> Option<(WriteManyArgs, Vec<Ticket>)> {
        let mut queue = self.queue.lock();
        while queue.commands.is_empty() && !queue.closed {
            queue.idle = true;
            self.filled.wait(&mut queue);
        }
        if queue.closed {
            return None;
        }
        let last = OperationId { client: self.client, seq: queue.last_seq };
        let commands = std::mem::take(&mut queue.commands);
        Some((WriteManyArgs { last, commands }, std::mem::take(&mut queue.tickets)))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.queue.lock().closed = true;
            lane.filled.notify_one();
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

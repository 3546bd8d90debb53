//! The client: it finds the leader, and asks until it has a definite answer.

use std::fmt;

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::{self, Duration};
use raftapi::KvClerk;
use serde::Serialize;

use crate::messages::{Command, GetArgs, Operation, OperationId, Reply, WriteArgs};

/// How long a clerk rests after it has asked all servers in vain: there is no leader, and to find one takes an election.
const REST: Duration = Duration::from_millis(10);

/// Client ids are below this, as in the lab: random ones, so that no two clients have the same.
const CLIENT_IDS: u64 = 1 << 62;

/// A client of [`KvServer`](crate::KvServer)s. Calls return when there is a definite answer, however long that takes.
pub struct Clerk {
    servers: Vec<ClientEnd>,
    /// The place in `servers` of the one that answered last.
    leader: usize,
    /// The operation that is under way, or the last one if none is.
    last: OperationId,
}

impl KvClerk for Clerk {
    /// As [`KvClerk::make`].
    ///
    /// # Panics
    ///
    /// If there are no `servers`.
    fn make(servers: Vec<ClientEnd>) -> Clerk {
        assert!(!servers.is_empty(), "a clerk needs a server to ask");
        Clerk { leader: 0, last: OperationId { client: draw_client_id(&servers, 0), seq: 0 }, servers }
    }

    fn get(&mut self, key: &str) -> String {
        let args = GetArgs { id: self.next_id(), key: key.to_string() };
        match self.ask("KvServer.Get", &args) {
            Reply::Value(value) => value.into_string(),
            Reply::NoKey => String::new(),
            other => panic!("a Get was answered with {other:?}"),
        }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.write(Operation::Put { key: key.to_string(), value: value.to_string() });
    }

    fn append(&mut self, key: &str, value: &str) {
        self.write(Operation::Append { key: key.to_string(), value: value.to_string() });
    }
}

impl Clerk {
    fn write(&mut self, operation: Operation) {
        let id = self.next_id();
        let reply = self.ask("KvServer.Write", &WriteArgs(Command { id, operation }));
        assert_eq!(reply, Reply::Written, "a write was answered with something else");
    }

    /// The identity of the next operation; called only when the one before has its answer.
    fn next_id(&mut self) -> OperationId {
        self.last.seq += 1;
        self.last
    }

    fn ask<Args: Serialize + 'static>(&mut self, method: &str, args: &Args) -> Reply {
        ask(&self.servers, &mut self.leader, method, args, || false).expect("a clerk never gives up")
    }
}

/// Asks one server after the other, beginning with the `leader`, which is the one that answered last. A call that fails says
/// nothing about whether the operation was executed; nor does `WrongLeader`. Either way the same operation is sent again.
/// `None` if the client has `given_up` meanwhile.
pub(crate) fn ask<Args: Serialize + 'static>(
    servers: &[ClientEnd],
    leader: &mut usize,
    method: &str,
    args: &Args,
    given_up: impl Fn() -> bool,
) -> Option<Reply> {
    let mut in_vain = 0;
    loop {
        match servers[*leader].call::<Args, Reply>(method, args) {
            Some(Reply::WrongLeader) | None => {}
            Some(reply) => return Some(reply),
        }
        *leader = (*leader + 1) % servers.len();
        in_vain += 1;
        if in_vain % servers.len() == 0 {
            thread::sleep(REST);
        }
        if given_up() {
            return None;
        }
    }
}

/// A random number from the run's own generator, so that a simulation repeats itself. The names of the ends tell a client
/// from all others, and its `number` from those over the same ends; the time tells it from earlier ones, should names be used
/// again.
pub(crate) fn draw_client_id(servers: &[ClientEnd], number: usize) -> u64 {
    let names: Vec<String> = servers.iter().map(|end| end.name().to_string()).collect();
    let stream = format!("clerk/{}/{}/{number}", names.join(","), time::run_elapsed_nanos());
    rng::stream(&stream).random_range(0..CLIENT_IDS)
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("last", &self.last).finish_non_exhaustive()
    }
}

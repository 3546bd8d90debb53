//! The client: it finds the leader, and retries until it has a definite reply.

use std::fmt;

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::{self, Duration};
use raftapi::KvClerk;
use serde::Serialize;

use crate::messages::{Command, GetArgs, Operation, OperationId, Reply, WriteArgs};

/// Pause of a clerk after all servers have failed to answer. There is no leader then, and an election takes longer than
/// this.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Upper bound of client ids, as in the lab. Ids are random and the range is large, so that no two clients have the
/// same.
const CLIENT_ID_LIMIT: u64 = 1 << 62;

/// A client of [`KvServer`](crate::KvServer)s. Each call returns when it has a definite reply, however long that takes.
pub struct Clerk {
    servers: Vec<ClientEnd>,
    /// Position in `servers` of the server that answered last.
    leader: usize,
    /// The operation in flight, or the last one if none is in flight.
    last: OperationId,
}

impl KvClerk for Clerk {
    /// As [`KvClerk::make`].
    ///
    /// # Panics
    ///
    /// If there are no `servers`.
    fn make(servers: Vec<ClientEnd>) -> Clerk {
        assert!(!servers.is_empty(), "a clerk needs at least one server");
        Clerk { leader: 0, last: OperationId { client: draw_client_id(&servers, 0), seq: 0 }, servers }
    }

    fn get(&mut self, key: &str) -> String {
        let args = GetArgs { id: self.next_id(), key: key.to_string() };
        match self.call("KvServer.Get", &args) {
            Reply::Value(value) => value.into_string(),
            Reply::NoKey => String::new(),
            other => panic!("unexpected reply to a Get: {other:?}"),
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
        let reply = self.call("KvServer.Write", &WriteArgs(Command { id, operation }));
        assert_eq!(reply, Reply::Written, "unexpected reply to a write");
    }

    /// Returns the identity of the next operation. The previous operation must have its reply.
    fn next_id(&mut self) -> OperationId {
        self.last.seq += 1;
        self.last
    }

    fn call<Args: Serialize + 'static>(&mut self, method: &str, args: &Args) -> Reply {
        call_with_retry(&self.servers, &mut self.leader, method, args, || false).expect("a clerk never gives up")
    }
}

/// Calls one server after the other, starting with `leader`, the server that answered last, until one of them executes
/// the operation. After a failed call or `WrongLeader` it is unknown whether the operation was executed. In both cases
/// the same operation is sent again. Returns `None` if `canceled` returns true after a failed attempt.
pub(crate) fn call_with_retry<Args: Serialize + 'static>(
    servers: &[ClientEnd],
    leader: &mut usize,
    method: &str,
    args: &Args,
    canceled: impl Fn() -> bool,
) -> Option<Reply> {
    let mut failures = 0;
    loop {
        match servers[*leader].call::<Args, Reply>(method, args) {
            Some(Reply::WrongLeader) | None => {}
            Some(reply) => return Some(reply),
        }
        *leader = (*leader + 1) % servers.len();
        failures += 1;
        if failures % servers.len() == 0 {
            thread::sleep(RETRY_PAUSE);
        }
        if canceled() {
            return None;
        }
    }
}

/// Draws a client id from the run's random generator, so that a simulation is repeatable. The name of the random stream
/// contains three things: the names of the ends, which differ from those of all other clients; `number`, which differs
/// among clients over the same ends; and the time, in case the same names are used again later.
pub(crate) fn draw_client_id(servers: &[ClientEnd], number: usize) -> u64 {
    let names: Vec<String> = servers.iter().map(|end| end.name().to_string()).collect();
    let stream = format!("clerk/{}/{}/{number}", names.join(","), time::run_elapsed_nanos());
    rng::stream(&stream).random_range(0..CLIENT_ID_LIMIT)
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("last", &self.last).finish_non_exhaustive()
    }
}

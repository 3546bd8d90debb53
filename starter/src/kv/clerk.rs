//! The client of the service: it retries until it has a definite reply.

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{KvClerk, unwritten};

use super::messages::{Operation, Reply, Request};

/// A client of the service. It has one operation in flight at a time.
pub struct Clerk {
    /// One network end per server. The order does not say which server is which.
    servers: Vec<ClientEnd>,
    /// Position in `servers` of the server that replied last; it is probably still the leader.
    leader: usize,
    /// This clerk's id; no other clerk has the same.
    client: u64,
    /// Number of the last operation.
    number: u64,
}

impl KvClerk for Clerk {
    /// Given. Draws the clerk's id from a random stream. Two streams of one name give the same numbers, so the stream
    /// is named after the clerk's own end.
    fn make(servers: Vec<ClientEnd>) -> Clerk {
        let client = rng::stream(&format!("clerk/{}", servers[0].name())).random_range(0..1 << 62);
        Clerk { servers, leader: 0, client, number: 0 }
    }

    fn get(&mut self, key: &str) -> String {
        self.call_with_retry(Operation::Get { key: key.to_string() })
    }

    fn put(&mut self, key: &str, value: &str) {
        self.call_with_retry(Operation::Put { key: key.to_string(), value: value.to_string() });
    }

    fn append(&mut self, key: &str, value: &str) {
        self.call_with_retry(Operation::Append { key: key.to_string(), value: value.to_string() });
    }
}

impl Clerk {
    /// Part 4A. Retries one operation until a server has executed it, and returns the value (empty for Put and Append).
    ///
    /// Section 8: "clients assign unique serial numbers to every command". The number belongs to the operation, not to
    /// the attempt. Increase it once here, and send the same request with each attempt.
    ///
    /// - Call `self.servers[i].call("KvServer.Ask", &request)`, starting with `leader`. It returns `None` if the
    ///   request or the reply was lost, so the operation may have been executed or not. Then try the next server, as
    ///   after `WrongLeader`.
    /// - Remember the server that replied. When all servers have failed, sleep for about 10 ms: they are electing a
    ///   leader.
    /// - Never give up.
    fn call_with_retry(&mut self, operation: Operation) -> String {
        unwritten(
            "Clerk::call_with_retry: call one server after the other, with one number for all attempts, until one has \
             executed the operation",
            "section 8: \"clients assign unique serial numbers to every command\"",
        )
    }
}

//! The client of the service: it asks until it has a definite answer.

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{KvClerk, unwritten};

use super::messages::{Operation, Reply, Request};

/// A client of the service. It asks for one thing at a time.
pub struct Clerk {
    /// One end to each server, in an order that says nothing about which is which.
    servers: Vec<ClientEnd>,
    /// Which of them answered last; probably it still leads.
    leader: usize,
    /// This clerk's id, which no other clerk has.
    client: u64,
    /// How many operations were asked for.
    number: u64,
}

impl KvClerk for Clerk {
    /// Given. The stream of chance has a name, and two of one name give the same numbers, so it is named after the
    /// clerk's own end.
    fn make(servers: Vec<ClientEnd>) -> Clerk {
        let client = rng::stream(&format!("clerk/{}", servers[0].name())).random_range(0..1 << 62);
        Clerk { servers, leader: 0, client, number: 0 }
    }

    fn get(&mut self, key: &str) -> String {
        self.ask(Operation::Get { key: key.to_string() })
    }

    fn put(&mut self, key: &str, value: &str) {
        self.ask(Operation::Put { key: key.to_string(), value: value.to_string() });
    }

    fn append(&mut self, key: &str, value: &str) {
        self.ask(Operation::Append { key: key.to_string(), value: value.to_string() });
    }
}

impl Clerk {
    /// Part 4A. Asks for one operation until it is answered; returns the value, which is empty but for a Get.
    ///
    /// Section 8: "clients assign unique serial numbers to every command". The number belongs to the operation, not to
    /// the attempt: it goes up once here, and each attempt sends the same request.
    ///
    /// - `self.servers[i].call("KvServer.Ask", &request)`, beginning with `leader`, is `None` if the request or the
    ///   reply was lost: it may have been done, or not. Ask the next server, as after `WrongLeader`.
    /// - Remember who has answered. When all have been asked in vain, sleep for some 10 ms: they are electing a leader.
    /// - Never give up.
    fn ask(&mut self, operation: Operation) -> String {
        unwritten(
            "Clerk::ask: ask one server after the other, with one number for all attempts, until one has done it",
            "section 8: \"clients assign unique serial numbers to every command\"",
        )
    }
}

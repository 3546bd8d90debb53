//! The clerk: it asks one server after the other until one of them answers, and numbers what it asks for, so that the
//! servers know an operation that they have done already.

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::Duration;
use raftapi::KvClerk;

use super::messages::{Operation, Reply, Request};
use super::mistake::KvMistake;

/// The number of no [`KvMistake`].
pub const NO_MISTAKE: u8 = u8::MAX;

/// How long a clerk waits when no server has answered it: they elect a leader.
const PAUSE: Duration = Duration::from_millis(10);

/// A client of the service. It makes the mistake that has this number among the variants of [`KvMistake`], or none: its
/// maker has no other argument than the servers.
pub struct Clerk<const MISTAKE: u8 = NO_MISTAKE> {
    servers: Vec<ClientEnd>,
    /// Which of them has answered last; probably it still leads.
    leader: usize,
    client: u64,
    /// How many operations were asked for.
    number: u64,
}

impl<const MISTAKE: u8> KvClerk for Clerk<MISTAKE> {
    fn make(servers: Vec<ClientEnd>) -> Clerk<MISTAKE> {
        // A stream of chance has a name, and two of one name give the same numbers.
        let name =
            if makes::<MISTAKE>(KvMistake::SharesItsIdWithAllClerks) { "all" } else { servers[0].name().as_str() };
        let client = rng::stream(&format!("clerk/{name}")).random_range(0..1 << 62);
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

impl<const MISTAKE: u8> Clerk<MISTAKE> {
    /// Asks until it is answered.
    fn ask(&mut self, operation: Operation) -> String {
        let method = operation.method();
        self.number += 1;
        let mut request = Request { client: self.client, number: self.number, operation };
        for attempt in 1.. {
            match self.servers[self.leader].call(method, &request) {
                Some(Reply::Ok { value }) => return value,
                Some(Reply::ErrNoKey) => return String::new(),
                None if makes::<MISTAKE>(KvMistake::TakesALostReplyForDone) => return String::new(),
                Some(Reply::ErrWrongLeader) | None => {}
            }
            if !makes::<MISTAKE>(KvMistake::AsksTheSameServerForEver) {
                self.leader = (self.leader + 1) % self.servers.len();
            }
            if attempt % self.servers.len() == 0 {
                thread::sleep(PAUSE);
            }
            if makes::<MISTAKE>(KvMistake::NumbersEachAttempt) {
                self.number += 1;
                request.number = self.number;
            }
        }
        unreachable!("it does not give up")
    }
}

fn makes<const MISTAKE: u8>(mistake: KvMistake) -> bool {
    MISTAKE == mistake as u8
}

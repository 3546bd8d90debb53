//! The clerk: it tries one server after the other until one replies. It numbers its operations, so that the servers
//! recognize an operation that they have executed already.

use labrpc::ClientEnd;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::Duration;
use raftapi::KvClerk;

use super::messages::{Operation, Reply, Request};
use super::mistake::KvMistake;

/// The number that stands for no [`KvMistake`].
pub const NO_MISTAKE: u8 = u8::MAX;

/// Pause of a clerk after it has tried all servers in vain: they may be electing a leader.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// A client of the service. `MISTAKE` is the number of the variant of [`KvMistake`] that it makes, or [`NO_MISTAKE`].
/// It is a type parameter because the function that makes a clerk takes no argument but the servers.
pub struct Clerk<const MISTAKE: u8 = NO_MISTAKE> {
    servers: Vec<ClientEnd>,
    /// The position of the server that has replied last; it is probably still the leader.
    leader: usize,
    client: u64,
    /// The serial number of the last operation.
    serial: u64,
}

impl<const MISTAKE: u8> KvClerk for Clerk<MISTAKE> {
    fn make(servers: Vec<ClientEnd>) -> Clerk<MISTAKE> {
        // Two random streams of the same name give the same numbers.
        let name =
            if makes::<MISTAKE>(KvMistake::SharesItsIdWithOtherClerks) { "all" } else { servers[0].name().as_str() };
        let client = rng::stream(&format!("clerk/{name}")).random_range(0..1 << 62);
        Clerk { servers, leader: 0, client, serial: 0 }
    }

    fn get(&mut self, key: &str) -> String {
        self.call_until_answered(Operation::Get { key: key.to_string() })
    }

    fn put(&mut self, key: &str, value: &str) {
        self.call_until_answered(Operation::Put { key: key.to_string(), value: value.to_string() });
    }

    fn append(&mut self, key: &str, value: &str) {
        self.call_until_answered(Operation::Append { key: key.to_string(), value: value.to_string() });
    }
}

impl<const MISTAKE: u8> Clerk<MISTAKE> {
    /// Retries the operation until a server replies, and returns the value of the reply.
    fn call_until_answered(&mut self, operation: Operation) -> String {
        let method = operation.method();
        self.serial += 1;
        let mut request = Request { client: self.client, serial: self.serial, operation };
        for attempt in 1.. {
            match self.servers[self.leader].call(method, &request) {
                Some(Reply::Ok { value }) => return value,
                Some(Reply::ErrNoKey) => return String::new(),
                None if makes::<MISTAKE>(KvMistake::TreatsALostReplyAsSuccess) => return String::new(),
                Some(Reply::ErrWrongLeader) if makes::<MISTAKE>(KvMistake::TakesARefusalForAnAnswer) => {
                    return String::new();
                }
                Some(Reply::ErrWrongLeader) | None => {}
            }
            if !makes::<MISTAKE>(KvMistake::RetriesTheSameServerForEver) {
                self.leader = (self.leader + 1) % self.servers.len();
            }
            if attempt % self.servers.len() == 0 {
                thread::sleep(RETRY_PAUSE);
            }
            if makes::<MISTAKE>(KvMistake::NumbersEachAttempt) {
                self.serial += 1;
                request.serial = self.serial;
            }
        }
        unreachable!("a clerk retries for ever")
    }
}

fn makes<const MISTAKE: u8>(mistake: KvMistake) -> bool {
    MISTAKE == mistake as u8
}

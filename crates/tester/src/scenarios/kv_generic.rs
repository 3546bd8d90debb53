//! The generic test behind most of part 4: clients write and read on a cluster with faults.
//!
//! Each of the three iterations goes as follows. Clients work for 5 s; if there are partitions, a new one replaces the
//! old every second. Then everything is healed, or all servers crash and restart while clients are in their last
//! operation. Then the elements of each client are read and compared. The history is checked after the run.

use labstd::rng::{self, RngExt};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::thread;
use labstd::time::Duration;
use raftapi::ServerId;

use crate::cluster::ELECTION_TIMEOUT;
use crate::kv::appends::{self, element};
use crate::kv::{Clerk, KvTest};
use crate::violation::Violation;

/// Number of iterations.
const ITERATIONS: usize = 3;

/// Working time of the clients in each iteration.
const WORK: Duration = Duration::from_secs(5);

/// The mean pause of a client between two operations. Without it, a fast service would turn the test into a benchmark
/// and grow its values without bound; the course's clients need none, because its services are slower.
///
/// The pace decides how soon mistakes are found. `docs/performance.md` has the measurement by which this one was
/// chosen.
pub const PACE: Duration = Duration::from_millis(15);

/// Parameters of the generic test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenericTest {
    /// Number of clients.
    pub clients: u32,
    /// Number of servers.
    pub servers: usize,
    /// Whether the network loses messages.
    pub unreliable: bool,
    /// Whether all servers crash and restart after each iteration.
    pub crash: bool,
    /// Whether servers are partitioned while clients work.
    pub partitions: bool,
    /// Size in bytes of the saved Raft state at which a service should take a snapshot; `None` means never.
    pub max_raft_state: Option<usize>,
    /// Whether clients use each other's keys, and also call Put.
    pub random_keys: bool,
    /// The mean pause of a client between two operations. Each pause is drawn between 0 and twice the mean.
    pub pace: Duration,
}

impl GenericTest {
    /// Returns the title, as the course prints it.
    pub fn title(&self) -> String {
        let pieces = [
            (self.unreliable, "unreliable net, "),
            (self.crash, "restarts, "),
            (self.partitions, "partitions, "),
            (self.max_raft_state.is_some(), "snapshots, "),
            (self.random_keys, "random keys, "),
        ];
        let pieces = pieces.into_iter().filter(|(holds, _)| *holds).map(|(_, piece)| piece);
        pieces.collect::<String>() + if self.clients > 1 { "many clients" } else { "one client" }
    }

    /// Runs the test.
    pub fn run(&self, test: &KvTest) {
        let mut reader = test.logged_clerk(self.clients);
        for iteration in 0..ITERATIONS {
            let counts = self.work(test, iteration);
            for (client, count) in counts {
                let key = client.to_string();
                let value = reader.get(&key);
                if !self.random_keys {
                    expect(&value, client, count, "when all clients had ended");
                }
            }
            match self.max_raft_state {
                Some(max_raft_state) => test.check_log_size(max_raft_state),
                None => test.check_no_snapshot(),
            }
        }
    }

    /// Runs the clients with all faults, and ends them. Returns the number of elements that each client has written,
    /// lazily: the caller's work between two clients happens while the others may still be busy.
    fn work<'a>(&self, test: &'a KvTest, iteration: usize) -> impl Iterator<Item = (u32, u64)> + use<'a> {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..self.clients)
            .map(|number| {
                let (generic, stop, clerk) = (*self, Arc::clone(&stop), test.logged_clerk(number));
                let work = move || generic.client(clerk, number, iteration, &stop);
                (number, thread::spawn(format!("client-{number}"), work))
            })
            .collect();
        let repartitioner = self.partitions.then(|| {
            test.sleep(ELECTION_TIMEOUT);
            let (test, stop) = (test.clone(), Arc::clone(&stop));
            thread::spawn("repartitioner", move || repartition(&test, iteration, &stop))
        });
        test.sleep(WORK);
        stop.store(true, Relaxed);
        if let Some(repartitioner) = repartitioner {
            repartitioner.join().expect("a repartitioner that does not panic");
            test.connect_all();
            test.sleep(ELECTION_TIMEOUT);
        }
        if self.crash {
            test.servers().into_iter().for_each(|server| test.cluster().crash(server));
            test.sleep(ELECTION_TIMEOUT);
            test.servers().into_iter().for_each(|server| test.cluster().start(server));
            test.connect_all();
        }
        clients.into_iter().map(|(number, client)| (number, client.join().expect("a client that does not panic")))
    }

    /// Runs one client until `stop` is set, and returns the number of elements that it has written.
    fn client(&self, mut clerk: Clerk, number: u32, iteration: usize, stop: &AtomicBool) -> u64 {
        let mut rng = rng::stream(&format!("client-{number}#{iteration}"));
        let own_key = number.to_string();
        let mut written = 0;
        // All elements that the client has appended in this iteration.
        let mut last = String::new();
        if !self.random_keys {
            clerk.put(&own_key, "");
        }
        while !stop.load(Relaxed) {
            thread::sleep(self.pace.mul_f64(rng.random_range(0.0..2.0)));
            let other_key = self.random_keys.then(|| rng.random_range(0..self.clients).to_string());
            let key = other_key.as_ref().unwrap_or(&own_key);
            if rng.random_range(0..1000) < 500 {
                let new = element(number, written);
                clerk.append(key, &new);
                last.push_str(&new);
                written += 1;
            } else if self.random_keys && rng.random_range(0..1000) < 100 {
                clerk.put(key, &element(number, written));
                written += 1;
            } else {
                let value = clerk.get(key);
                if !self.random_keys && value != last {
                    expect(&value, number, written, "while it was working");
                }
            }
        }
        written
    }
}

/// Fails the run if `value`, of a key that only `client` writes, is not the client's first `count` elements.
fn expect(value: &str, client: u32, count: u64, when: &str) {
    if let Err(wrong) = appends::check(value, &[(client, count)]) {
        Violation::safety(
            wrong.likely(),
            format!(
                "client {client}, the only one to write key {client}, had appended {count} elements to it, but a Get \
                 {when} returned {} bytes: {}",
                value.len(),
                wrong.text
            ),
        );
    }
}

/// Assigns each server to one of two sides at random, about once a second, until `stop` is set.
fn repartition(test: &KvTest, iteration: usize, stop: &AtomicBool) {
    let mut rng = rng::stream(&format!("repartitioner#{iteration}"));
    while !stop.load(Relaxed) {
        let (one, other): (Vec<ServerId>, Vec<ServerId>) = test.servers().into_iter().partition(|_| rng.random());
        test.cluster().partition(&[&one, &other]);
        test.sleep(ELECTION_TIMEOUT + Duration::from_millis(rng.random_range(0..200)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_equal_those_of_the_course() {
        let many = GenericTest { clients: 5, servers: 5, ..GenericTest::default() };
        let title = |generic: GenericTest| generic.title();
        assert_eq!(title(GenericTest { clients: 1, ..many }), "one client");
        assert_eq!(title(many), "many clients");
        assert_eq!(title(GenericTest { clients: 2, ..many }), "many clients");
        let all = GenericTest {
            clients: 15,
            servers: 7,
            unreliable: true,
            crash: true,
            partitions: true,
            max_raft_state: Some(1000),
            random_keys: true,
            pace: PACE,
        };
        assert_eq!(title(all), "unreliable net, restarts, partitions, snapshots, random keys, many clients");
        assert_eq!(
            title(GenericTest { crash: true, max_raft_state: Some(1), ..many }),
            "restarts, snapshots, many clients"
        );
    }
}

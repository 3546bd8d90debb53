//! Reads without the log on whole servers, threads and network included. The tests check which server confirms a read,
//! how long it takes, what it costs, and that a read never misses an entry that any server had applied before it began.

use std::ops::Deref;

use bytes::Bytes;
use labrpc::{Direction, Verdict};
use labstd::Clock;
use labstd::channel;
use labstd::rng::{self, RngExt};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use labstd::testing::{simulate_seeds, under_both_clocks};
use labstd::thread::{self, JoinHandle};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Raft as _, RaftExt as _, Started};

use crate::servers::{Servers, eventually, wait_for};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);

/// Servers that can all reach each other at first. Their deliveries are only counted.
struct Cluster {
    servers: Servers<raft::Raft>,
    /// The highest index that any server has applied.
    applied: Arc<AtomicU64>,
}

impl Deref for Cluster {
    type Target = Servers<raft::Raft>;

    fn deref(&self) -> &Servers<raft::Raft> {
        &self.servers
    }
}

impl Cluster {
    fn new(count: usize) -> Cluster {
        let (servers, applied) = (Servers::<raft::Raft>::new(count), Arc::new(AtomicU64::new(0)));
        for me in servers.all() {
            let (deliveries, applied) = (servers.start_raft(me), Arc::clone(&applied));
            thread::spawn(format!("service-{me}"), move || {
                for message in &deliveries {
                    if let ApplyMsg::Command { index, .. } = message {
                        applied.fetch_max(index.0, SeqCst);
                    }
                }
            });
        }
        servers.heal();
        Cluster { servers, applied }
    }

    /// Waits for a leader that has committed an entry in its term and returns it.
    fn settled_leader(&self) -> usize {
        wait_for("a leader commits an entry", || {
            let leader = self.leader();
            let started = self.server(leader).start(Bytes::from("first"));
            // On an overloaded machine it may be deposed at any moment.
            thread::sleep(Duration::from_millis(20));
            let Started { index, term } = started?;
            let settled = self.applied.load(SeqCst) >= index.0 && self.server(leader).get_state() == (term, true);
            settled.then_some(leader)
        })
    }

    fn wait_until_applied(&self, index: Index) {
        eventually("the entry is applied", || self.applied.load(SeqCst) >= index.0);
    }

    /// Begins a read on another thread.
    fn read_on(&self, server: usize) -> JoinHandle<Option<Index>> {
        let raft = self.server(server);
        thread::spawn("reader", move || read_index(&raft))
    }
}

/// Waits for a read, which must end soon, and returns its result.
fn outcome(read: JoinHandle<Option<Index>>) -> Option<Index> {
    eventually("the read ends", || read.is_finished());
    read.join().expect("a read does not panic")
}

/// Asks for a read index and waits for it.
fn read_index(raft: &raft::Raft) -> Option<Index> {
    let (sender, outcome) = channel::bounded(1);
    raft.read_index_then(Box::new(move |index| {
        // The receiver waits for this, unless the run is over.
        let _ = sender.try_send(index);
    }));
    outcome.recv().ok().flatten()
}

#[test]
fn a_leader_has_a_read_index_after_a_commit_in_its_term() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(3);
        let leader = cluster.leader();
        assert_eq!(read_index(&cluster.server(leader)), None, "nothing of its term is committed");
        let started = cluster.server(leader).start(Bytes::from("a")).expect("it leads");
        cluster.wait_until_applied(started.index);
        assert_eq!(read_index(&cluster.server(leader)), Some(started.index));
        let follower = (leader + 1) % 3;
        assert_eq!(read_index(&cluster.server(follower)), None, "a follower does not know the commit index");
        cluster.shut_down();
    });
}

#[test]
fn a_single_server_confirms_reads_at_once() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::new(1);
        let leader = cluster.settled_leader();
        assert!(read_index(&cluster.server(leader)).is_some(), "a cluster of one server is a majority");
        assert_eq!(cluster.network.total_count(), 0, "it sends no message");
        cluster.shut_down();
    });
}

#[test]
fn concurrent_reads_share_heartbeats() {
    const READERS: usize = 20;
    const READS: usize = 50;
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(3);
        let leader = cluster.settled_leader();
        // Every message takes time: a heartbeat that completes inline is over before another read begins.
        cluster.network.intercept(|_| Verdict::Pass);
        let (before, begun) = (cluster.network.total_count(), Instant::now());
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let raft = cluster.server(leader);
                thread::spawn("reader", move || (0..READS).filter(|_| read_index(&raft).is_some()).count())
            })
            .collect();
        let confirmed: usize = readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).sum();
        let rpcs = cluster.network.total_count() - before;
        let heartbeats = 2 * (begun.elapsed().as_nanos() / HEARTBEAT_INTERVAL.as_nanos() + 1) as u64;
        assert_eq!(confirmed, READERS * READS, "no other server leads");
        assert!(rpcs <= (READERS * READS / 4) as u64 + heartbeats, "{rpcs} RPCs for {confirmed} reads");
        cluster.shut_down();
    });
}

#[test]
fn a_partitioned_leader_waits_until_it_is_deposed() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::new(3);
        let old = cluster.settled_leader();
        let others = cluster.others(old);
        cluster.partition(&[&others, &[old]]);
        let read = cluster.read_on(old);
        let new = cluster.leader_among(&others);
        if labstd::clock() == Clock::Simulated {
            let started = cluster.server(new).start(Bytes::from("b")).expect("it leads");
            cluster.wait_until_applied(started.index);
            assert!(!read.is_finished(), "it does not know that it is deposed");
        }
        cluster.heal();
        assert_eq!(outcome(read), None, "it learns that it is deposed");
        cluster.shut_down();
    });
}

#[test]
fn a_healed_leader_that_is_not_deposed_confirms_reads() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(3);
        let leader = cluster.settled_leader();
        cluster.partition(&[]);
        let read = cluster.read_on(leader);
        thread::sleep(Duration::from_millis(100));
        cluster.heal();
        // No election timer has fired, so the next heartbeat replaces the lost request.
        let healed = Instant::now();
        assert_eq!(outcome(read), Some(Index(1)));
        assert!(
            healed.elapsed() < 2 * HEARTBEAT_INTERVAL,
            "expected one heartbeat interval, not {:?}",
            healed.elapsed()
        );
        cluster.shut_down();
    });
}

#[test]
fn a_lost_confirmation_costs_one_heartbeat() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(3);
        let leader = cluster.settled_leader();
        // Until the followers know the commit index, other messages are in flight.
        thread::sleep(3 * HEARTBEAT_INTERVAL);
        let losing = Arc::new(AtomicBool::new(true));
        let lose = Arc::clone(&losing);
        let lost = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lost);
        cluster.network.intercept(move |message| {
            if lose.load(SeqCst) && message.direction == Direction::Reply {
                count.fetch_add(1, SeqCst);
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        let read = cluster.read_on(leader);
        let begun = Instant::now();
        while lost.load(SeqCst) < 2 {
            thread::sleep(Duration::from_micros(100));
        }
        losing.store(false, SeqCst);
        assert_eq!(outcome(read), Some(Index(1)));
        assert!(begun.elapsed() < HEARTBEAT_INTERVAL + Duration::from_millis(10), "{:?}", begun.elapsed());
        cluster.shut_down();
    });
}

#[test]
fn a_leader_asks_only_a_quorum_of_reliable_peers() {
    const READS: u64 = 50;
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(5);
        let leader = cluster.settled_leader();
        let read = || assert_eq!(read_index(&cluster.server(leader)), Some(Index(1)));
        let rpcs = || cluster.network.total_count();
        let before = rpcs();
        read();
        thread::sleep(Duration::from_millis(10));
        assert!(rpcs() - before >= 4, "all peers are asked while they have replied only a few times");
        // Heartbeats alone show that the peers reply.
        thread::sleep(20 * HEARTBEAT_INTERVAL);
        let (before, begun) = (rpcs(), Instant::now());
        (0..READS).for_each(|_| read());
        let heartbeats = 4 * (begun.elapsed().as_nanos() / HEARTBEAT_INTERVAL.as_nanos() + 1) as u64;
        let asked = rpcs() - before;
        assert!(asked >= 2 * READS, "{asked} RPCs are not enough for {READS} reads");
        assert!(asked <= 2 * READS + heartbeats, "{asked} RPCs for {READS} reads, and {heartbeats} heartbeats");
        cluster.shut_down();
    });
}

#[test]
fn an_unreachable_peer_delays_only_one_read() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::new(5);
        let leader = cluster.settled_leader();
        thread::sleep(20 * HEARTBEAT_INTERVAL);
        // These peers would be asked. A majority remains without them.
        let mut others = (0..5).filter(|&server| server != leader);
        let gone = [others.next(), others.next()].map(|server| server.expect("there are four"));
        let left: Vec<usize> = (0..5).filter(|server| !gone.contains(server)).collect();
        cluster.partition(&[&left, &gone]);
        let time_of_a_read = || {
            let begun = Instant::now();
            assert_eq!(read_index(&cluster.server(leader)), Some(Index(1)));
            begun.elapsed()
        };
        let first = time_of_a_read();
        assert!(
            first <= HEARTBEAT_INTERVAL + Duration::from_millis(10),
            "the other peers were asked only after {first:?}"
        );
        for _ in 0..100 {
            let later = time_of_a_read();
            assert!(later < Duration::from_millis(10), "{later:?} for a read that the reachable peers can confirm");
        }
        cluster.shut_down();
    });
}

#[test]
fn a_killed_server_ends_its_reads() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::new(3);
        let leader = cluster.settled_leader();
        cluster.partition(&[]);
        let reads: Vec<_> = (0..5).map(|_| cluster.read_on(leader)).collect();
        thread::sleep(Duration::from_millis(20));
        cluster.server(leader).kill();
        for read in reads {
            assert_eq!(outcome(read), None);
        }
        assert_eq!(read_index(&cluster.server(leader)), None, "a later read is not confirmed either");
        cluster.shut_down();
    });
}

/// Clients write and read on all servers while the network is partitioned again and again and loses messages. No read
/// gets an index below one that a server had applied when it began.
#[test]
fn a_read_never_misses_an_applied_entry() {
    const SERVERS: usize = 5;
    const READERS: usize = 10;
    let mut confirmed = 0;
    for seed in 1..=60 {
        confirmed += labstd::simulate(seed, || {
            let cluster = Cluster::new(SERVERS);
            cluster.network.set_reliable(false);
            let over = Arc::new(AtomicBool::new(false));
            let readers: Vec<_> = (0..READERS)
                .map(|reader| {
                    let raft = cluster.server(reader % SERVERS);
                    let (over, applied) = (Arc::clone(&over), Arc::clone(&cluster.applied));
                    thread::spawn(format!("reader-{reader}"), move || {
                        let mut confirmed = 0;
                        while !over.load(SeqCst) {
                            let _ = raft.start(Bytes::from("write"));
                            let floor = Index(applied.load(SeqCst));
                            if let Some(index) = read_index(&raft) {
                                assert!(index >= floor, "a read of {index} began when {floor} was applied");
                                confirmed += 1;
                            }
                            thread::sleep(Duration::from_millis(3));
                        }
                        confirmed
                    })
                })
                .collect();
            let mut rng = rng::stream("partitions");
            for _ in 0..15 {
                let (one, other): (Vec<usize>, Vec<usize>) = (0..SERVERS).partition(|_| rng.random_bool(0.5));
                cluster.partition(&[&one, &other]);
                thread::sleep(Duration::from_millis(rng.random_range(100..1000)));
            }
            over.store(true, SeqCst);
            cluster.heal();
            let confirmed: u64 = readers.into_iter().map(|reader| reader.join().expect("no reader panics")).sum();
            cluster.shut_down();
            confirmed
        });
    }
    assert!(confirmed > 10_000, "only {confirmed} reads were confirmed");
}

//! Tests of snapshots: their content, their size, when they are made, and how a server starts from one.

use crate::cluster::servers::eventually;
use crate::cluster::{Cluster, Reference};
use kvraft::messages::{Command, Operation, OperationId, Reply, WriteArgs};
use labrpc::ClientEnd;
use labstd::Run;
use labstd::testing::{simulate_seeds, under_both_clocks};
use raftapi::{KvClerk, KvService};
use record::{EventKind, Options, Recorder, Scope};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

/// The size of the Raft state at which the servers make snapshots.
const MAX_RAFT_STATE: usize = 1000;

fn append_to_k(end: &ClientEnd, seq: u64, value: &str) -> Option<Reply> {
    let operation = Operation::Append { key: "k".to_string(), value: value.to_string() };
    end.call("KvServer.Write", &WriteArgs(Command { id: OperationId { client: 7, seq }, operation }))
}

fn log_size(cluster: &Cluster<Reference>) -> usize {
    (0..cluster.len()).map(|server| cluster.persister(server).raft_state_size()).max().expect("there are servers")
}

#[test]
fn a_snapshot_of_one_key_and_one_client_is_small() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        for _ in 0..200 {
            clerk.put("x", "0");
            assert_eq!(clerk.get("x"), "0");
            clerk.put("x", "1");
            assert_eq!(clerk.get("x"), "1");
        }
        assert!(log_size(&cluster) <= 8 * MAX_RAFT_STATE, "the log has {} bytes", log_size(&cluster));
        let sizes: Vec<usize> = (0..3).map(|server| cluster.persister(server).snapshot_size()).collect();
        assert!(sizes.iter().all(|&size| size <= 40), "the snapshots have {sizes:?} bytes");
        assert!(sizes.iter().any(|&size| size > 0), "some snapshots were made");
        cluster.shut_down();
    });
}

#[test]
fn no_snapshot_is_made_without_a_size_limit() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        (0..200).for_each(|n| clerk.append("k", &n.to_string()));
        assert!((0..3).all(|server| cluster.persister(server).snapshot_size() == 0));
        cluster.shut_down();
    });
}

#[test]
fn restarted_servers_have_their_map_and_duplicate_table() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let write_somewhere = |seq, value: &str| {
            let ends = cluster.client(&cluster.all()).0;
            eventually("a server executes the write", || {
                ends.iter().any(|end| append_to_k(end, seq, value) == Some(Reply::Written))
            });
        };
        write_somewhere(1, "first");
        // Write until no log contains the client's entry any more.
        (0..100).for_each(|n| clerk.put("other", &format!("something {n}")));
        eventually("every server has a snapshot", || {
            (0..3).all(|server| cluster.persister(server).snapshot_size() > 0)
        });

        (0..3).for_each(|server| cluster.crash(server));
        (0..3).for_each(|server| cluster.start(server));
        cluster.heal();
        write_somewhere(1, "a duplicate");
        assert_eq!(clerk.get("k"), "first", "an operation from before the restart is not executed again");
        assert_eq!(clerk.get("other"), "something 99");
        write_somewhere(2, ", second");
        assert_eq!(clerk.get("k"), "first, second");
        cluster.shut_down();
    });
}

/// The course's scenario: a server that was cut off is sent a snapshot, and is needed for the majority at once.
#[test]
fn a_server_that_was_cut_off_catches_up_by_a_snapshot() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        clerk.put("a", "A");
        cluster.partition(&[&[0, 1], &[2]]);
        let mut near = cluster.clerk(&[0, 1]);
        (0..50).for_each(|n| near.put(&n.to_string(), &n.to_string()));
        near.put("b", "B");
        assert!(log_size(&cluster) <= 8 * MAX_RAFT_STATE);

        cluster.partition(&[&[0, 2], &[1]]);
        let mut far = cluster.clerk(&[0, 2]);
        far.put("c", "C");
        assert_eq!((far.get("a"), far.get("b"), far.get("c")), ("A".into(), "B".into(), "C".into()));
        assert_eq!((far.get("1"), far.get("49")), ("1".to_string(), "49".to_string()));
        cluster.heal();
        clerk.put("e", "E");
        assert_eq!((clerk.get("c"), clerk.get("e"), clerk.get("1")), ("C".into(), "E".into(), "1".into()));
        cluster.shut_down();
    });
}

/// Runs a test body in the simulation with ten seeds, and counts the snapshots that the servers make in each run.
fn count_snapshots(body: impl Fn() + Send + Copy + 'static) -> Vec<usize> {
    let count = |seed| {
        let recorder = Recorder::new(Options::default());
        let context = Scope::new(&recorder, None).into_context();
        Run::simulated(seed).context(context).execute(body).result.unwrap_or_else(|failure| panic!("{failure}"));
        recorder.events().filter(|event| matches!(event.kind, EventKind::SnapshotTaken { .. })).count()
    };
    (1..=10).map(count).collect()
}

#[test]
fn the_number_of_snapshots_fits_the_size_limit() {
    const WRITES: usize = 1000;
    let counts = count_snapshots(|| {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        for _ in 0..WRITES {
            clerk.append("k", "ten bytes.");
            assert!(log_size(&cluster) <= 2 * MAX_RAFT_STATE, "the log has {} bytes", log_size(&cluster));
        }
        cluster.shut_down();
    });
    // An entry has 24 bytes of command and a few bytes of Raft's, and there are three servers.
    let (fewest, most) = (3 * WRITES / 50, 3 * WRITES / 20);
    assert!(counts.iter().all(|count| (fewest..=most).contains(count)), "{counts:?} snapshots");
}

/// A hundred entries that are committed at once keep the log above its limit while they are applied. A snapshot for
/// each of them would make a server with large values far too slow.
#[test]
#[cfg_attr(not(feature = "fast"), ignore = "it tests a fast path")]
fn a_long_batch_does_not_cause_a_snapshot_per_command() {
    const BATCH: usize = 100;
    let counts = count_snapshots(|| {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        cluster.clerk_of_all().put("k", "");
        let (leader, _) = cluster.cut_off_leader();
        let requests: Vec<_> = (0..BATCH)
            .map(|n| {
                let end = cluster.end(leader);
                let id = OperationId { client: n as u64, seq: 1 };
                let operation = Operation::Append { key: "k".to_string(), value: "twenty bytes or so..".to_string() };
                let args = WriteArgs(Command { id, operation });
                labstd::thread::spawn("client", move || end.call::<_, Reply>("KvServer.Write", &args))
            })
            .collect();
        eventually("all requests are in the leader's log", || cluster.server(leader).waiting_requests() == BATCH);
        cluster.heal();
        eventually("all requests are answered", || requests.iter().all(|request| request.is_finished()));
        cluster.shut_down();
    });
    // Entries that are committed at once are applied at once, and then a server makes one snapshot. There are three
    // servers; the two followers may be stopped before they learn that the entries are committed.
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?} snapshots");
}

/// A leader that is cut off cannot apply the entries it accepts, so a snapshot would not shorten its log.
#[test]
fn a_log_that_cannot_be_shortened_causes_no_snapshots() {
    const FILLER: &str = "something to make the log longer";
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        (0..100).for_each(|n| clerk.put("k", &n.to_string()));
        let (leader, _) = cluster.cut_off_leader();
        let before = cluster.persister(leader).read_snapshot();
        for n in 0..100 {
            let end = cluster.end(leader);
            labstd::thread::spawn("client", move || append_to_k(&end, n + 1, FILLER));
        }
        eventually("the log is long", || cluster.persister(leader).raft_state_size() > 3 * MAX_RAFT_STATE);
        assert_eq!(cluster.persister(leader).read_snapshot(), before);
        cluster.heal();
        clerk.put("k", "done");
        eventually("the log is short again", || cluster.persister(leader).raft_state_size() < 2 * MAX_RAFT_STATE);
        // An Append of one of the clients may arrive after the Put.
        assert_eq!(clerk.get("k").replace(FILLER, ""), "done");
        cluster.shut_down();
    });
}

#[test]
fn a_value_of_15_kilobytes_survives_snapshots_and_restarts() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(MAX_RAFT_STATE));
        let mut clerk = cluster.clerk_of_all();
        let mut expected = String::new();
        for n in 0..600 {
            let part = format!("<{n} is the number of this part>");
            clerk.append("k", &part);
            expected.push_str(&part);
        }
        assert!(expected.len() > 15_000);
        assert_eq!(clerk.get("k"), expected);
        assert!(log_size(&cluster) <= 2 * MAX_RAFT_STATE);
        (0..3).for_each(|server| cluster.crash(server));
        (0..3).for_each(|server| cluster.start(server));
        cluster.heal();
        assert_eq!(clerk.get("k"), expected);
        cluster.shut_down();
    });
}

#[test]
#[should_panic = "S0 cannot decode its saved snapshot"]
fn a_server_refuses_to_start_with_a_damaged_snapshot() {
    let persister = labstd::sync::Arc::new(raftapi::Persister::new());
    persister.save(Vec::new(), bytes::Bytes::from_static(b"\xff\xff"));
    let end = labrpc::Network::new().make_end("0 to 0");
    Reference::make(vec![end], raftapi::ServerId(0), persister, None);
}

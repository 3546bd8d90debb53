//! Tests of duplicate requests. Each operation is executed once, however often its request arrives, and every request
//! is answered with the result of its own operation. The tests build the requests themselves, because a clerk never
//! sends such requests on purpose.

use crate::cluster::servers::eventually;
use crate::cluster::{Cluster, PlainRaft, PlainService, Reference};
use kvraft::messages::{Command, GetArgs, Operation, OperationId, Reply, Value, WriteArgs};
use labrpc::{ClientEnd, Direction, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use labstd::testing::{simulate_seeds, under_both_clocks};
use labstd::thread::{self, JoinHandle};
use labstd::time::Duration;
use raftapi::{KvClerk, KvService, RaftExt};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

/// Client id of the tests' own requests. Clerks draw random ids, so none of them has this one.
const CLIENT: u64 = 7;

fn append(seq: u64, value: &str) -> WriteArgs {
    let operation = Operation::Append { key: "k".to_string(), value: value.to_string() };
    WriteArgs(Command { id: OperationId { client: CLIENT, seq }, operation })
}

fn write(end: &ClientEnd, args: &WriteArgs) -> Option<Reply> {
    end.call("KvServer.Write", args)
}

/// Sends a write on a thread of its own.
fn spawn_write(end: &ClientEnd, args: WriteArgs) -> JoinHandle<Option<Reply>> {
    let end = end.clone();
    thread::spawn("writer", move || write(&end, &args))
}

fn spawn_get(end: &ClientEnd, seq: u64) -> JoinHandle<Option<Reply>> {
    let end = end.clone();
    let args = GetArgs { id: OperationId { client: CLIENT, seq }, key: "k".to_string() };
    thread::spawn("reader", move || end.call("KvServer.Get", &args))
}

fn wait_for_reply(request: JoinHandle<Option<Reply>>) -> Option<Reply> {
    eventually("the request is answered", || request.is_finished());
    request.join().expect("a request does not panic")
}

/// Waits until `count` requests wait at a server.
fn await_waiting_requests<R: RaftExt>(cluster: &Cluster<kvraft::KvServer<R>>, server: usize, count: usize) {
    eventually("the requests are waiting", || cluster.server(server).waiting_requests() == count);
}

#[test]
fn a_request_that_arrives_twice_is_executed_once() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let leader = cluster.leader();
        let end = cluster.end(leader);
        // Cut off all servers, so that neither entry is committed before both are in the log.
        cluster.partition(&[]);
        let (first, second) = (spawn_write(&end, append(1, "x")), spawn_write(&end, append(1, "x")));
        await_waiting_requests(&cluster, leader, 2);
        cluster.heal();
        assert_eq!(wait_for_reply(first), Some(Reply::Written));
        assert_eq!(wait_for_reply(second), Some(Reply::Written));
        assert_eq!(clerk.get("k"), "x");
        assert_eq!(cluster.server(leader).waiting_requests(), 0);
        cluster.shut_down();
    });
}

#[test]
fn late_and_repeated_requests_are_answered_and_not_executed() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let ends = cluster.client(&cluster.all()).0;
        let write_somewhere = |args: &WriteArgs| {
            eventually("a server executes the write", || {
                ends.iter().any(|end| write(end, args) == Some(Reply::Written))
            });
        };
        write_somewhere(&append(1, "a"));
        write_somewhere(&append(2, "b"));
        write_somewhere(&append(2, "b"));
        write_somewhere(&append(1, "a"));
        write_somewhere(&append(2, "something else under the same number"));
        assert_eq!(clerk.get("k"), "ab");
        cluster.shut_down();
    });
}

/// An applied write is committed, so even a server that is cut off may confirm it.
#[test]
fn a_server_that_is_cut_off_confirms_its_applied_writes() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let leader = cluster.leader();
        let end = cluster.end(leader);
        assert_eq!(write(&end, &append(1, "x")), Some(Reply::Written));
        cluster.partition(&[]);
        let entries = cluster.persister(leader).raft_state_size();
        assert_eq!(write(&end, &append(1, "x")), Some(Reply::Written));
        assert_eq!(cluster.persister(leader).raft_state_size(), entries, "the duplicate did not go through the log");
        cluster.shut_down();
    });
}

#[test]
fn an_operation_whose_reply_is_lost_is_executed_once() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let lost = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lost);
        cluster.network.intercept(move |message| {
            // Drop the first three replies that confirm a write.
            let confirms_write = message.method == "KvServer.Write"
                && message.direction == Direction::Reply
                && labgob::decode::<Reply>(message.bytes).expect("a reply") == Reply::Written;
            if confirms_write && count.fetch_add(1, SeqCst) < 3 { Verdict::Drop } else { Verdict::Pass }
        });
        clerk.append("k", "x");
        assert_eq!(lost.load(SeqCst), 4, "three replies were lost, and one arrived");
        assert_eq!(clerk.get("k"), "x");
        cluster.shut_down();
    });
}

/// The old leader's entry and the new leader's entry have the same index. A request that waits for one of them must not
/// get the result of the other. No other entry follows in this cluster, so it is the watcher that refuses the request.
fn two_entries_at_the_same_index<R: RaftExt>() {
    let cluster = Cluster::<kvraft::KvServer<R>>::new(3, None);
    let mut clerk = cluster.clerk_of_all();
    clerk.put("k", "first");
    let (old, others) = cluster.cut_off_leader();
    let end = cluster.end(old);
    let put = spawn_write(&end, append(1, "lost"));
    await_waiting_requests(&cluster, old, 1);

    let mut majority = cluster.clerk(&others);
    majority.put("k", "second");
    let read = spawn_get(&end, 2);
    thread::sleep(Duration::from_secs(1));
    assert!(!put.is_finished() && !read.is_finished(), "a leader that is cut off answers no request");

    cluster.heal();
    assert_eq!(wait_for_reply(put), Some(Reply::WrongLeader));
    assert_eq!(wait_for_reply(read), Some(Reply::WrongLeader));
    assert_eq!(cluster.server(old).waiting_requests(), 0);
    assert_eq!(clerk.get("k"), "second", "the lost write is not executed");
    cluster.shut_down();
}

#[test]
fn no_request_gets_the_result_of_another_operation() {
    under_both_clocks(SEEDS, two_entries_at_the_same_index::<raft::Raft>);
    under_both_clocks(SEEDS, two_entries_at_the_same_index::<PlainRaft>);
}

/// A deposed leader's entry is in its successor's log, and the successor commits it. So the operation is executed. The
/// waiting request may be confirmed or refused, and a retry changes nothing.
#[test]
fn an_entry_that_a_successor_commits_is_executed_once() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let leader = cluster.leader();
        let end = cluster.end(leader);
        // The followers get the entry, but their replies are lost. Then the leader is cut off.
        cluster.network.intercept(|message| match message.direction {
            Direction::Reply if message.method == "Raft.AppendEntries" => Verdict::Drop,
            _ => Verdict::Pass,
        });
        let request = spawn_write(&end, append(1, "x"));
        await_waiting_requests(&cluster, leader, 1);
        thread::sleep(Duration::from_millis(20));
        cluster.network.stop_intercepting();
        let others = cluster.others(leader);
        cluster.partition(&[&others, &[leader]]);
        assert_eq!(cluster.clerk(&others).get("k"), "x", "a read commits the entries before it");
        cluster.heal();
        let reply = wait_for_reply(request);
        assert!(matches!(reply, Some(Reply::Written | Reply::WrongLeader)), "{reply:?}");
        let retry = cluster.end(cluster.leader());
        assert_eq!(write(&retry, &append(1, "x")), Some(Reply::Written));
        assert_eq!(cluster.clerk_of_all().get("k"), "x");
        cluster.shut_down();
    });
}

#[test]
fn waiting_requests_are_refused_when_their_server_is_killed() {
    fn check<S: KvService>() {
        let cluster = Cluster::<S>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let (leader, _) = cluster.cut_off_leader();
        let service = cluster.server(leader);
        let end = cluster.end(leader);
        let requests: Vec<_> =
            (1..=5).flat_map(|seq| [spawn_write(&end, append(seq, "x")), spawn_get(&end, seq)]).collect();
        thread::sleep(Duration::from_millis(50));
        // The network still carries the replies.
        service.kill();
        for request in requests {
            assert_eq!(wait_for_reply(request), Some(Reply::WrongLeader));
        }
        cluster.shut_down();
    }
    under_both_clocks(SEEDS, check::<Reference>);
    under_both_clocks(SEEDS, check::<PlainService>);
}

#[test]
fn a_follower_refuses_every_request() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "v");
        let leader = cluster.leader();
        for server in cluster.others(leader) {
            let end = cluster.end(server);
            assert_eq!(wait_for_reply(spawn_get(&end, 1)), Some(Reply::WrongLeader));
            assert_eq!(write(&end, &append(1, "x")), Some(Reply::WrongLeader));
            assert_eq!(cluster.server(server).waiting_requests(), 0);
        }
        let end = cluster.end(leader);
        assert_eq!(wait_for_reply(spawn_get(&end, 1)), Some(Reply::Value(Value::new("v".to_string()))));
        cluster.shut_down();
    });
}

//! Each operation is executed once, however often its request arrives, and every request is answered with the result of
//! its own operation. Requests are made by hand here, for a clerk would never send such ones by intention.

mod cluster;

use cluster::{Cluster, Plain, Reference, eventually, simulated, under_both_clocks, without};
use kvraft::messages::{Command, GetArgs, Operation, OperationId, Reply, Value, WriteArgs};
use labrpc::{ClientEnd, Direction, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use labstd::thread::{self, JoinHandle};
use labstd::time::Duration;
use raftapi::{KvClerk, KvService, Raft};

/// A client that is none of the clerks'.
const CLIENT: u64 = 7;

fn append(seq: u64, value: &str) -> WriteArgs {
    let operation = Operation::Append { key: "k".to_string(), value: value.to_string() };
    WriteArgs(Command { id: OperationId { client: CLIENT, seq }, operation })
}

fn write(end: &ClientEnd, args: &WriteArgs) -> Option<Reply> {
    end.call("KvServer.Write", args)
}

/// Sends a request and lets it wait.
fn write_later(end: &ClientEnd, args: WriteArgs) -> JoinHandle<Option<Reply>> {
    let end = end.clone();
    thread::spawn("writer", move || write(&end, &args))
}

fn get_later(end: &ClientEnd, seq: u64) -> JoinHandle<Option<Reply>> {
    let end = end.clone();
    let args = GetArgs { id: OperationId { client: CLIENT, seq }, key: "k".to_string() };
    thread::spawn("reader", move || end.call("KvServer.Get", &args))
}

fn outcome(request: JoinHandle<Option<Reply>>) -> Option<Reply> {
    eventually("the request is answered", || request.is_finished());
    request.join().expect("a request does not panic")
}

/// Waits until so many requests wait at a server.
fn wait_for_waiting<R: Raft>(cluster: &Cluster<kvraft::KvServer<R>>, server: usize, count: usize) {
    eventually("the requests wait", || cluster.server(server).waiting() == count);
}

#[test]
fn a_request_that_arrives_twice_is_executed_once_and_answered_twice() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let leader = cluster.leader();
        let end = cluster.end("client", leader);
        // Neither can be committed before both are in the log.
        cluster.partition(&[]);
        let (first, second) = (write_later(&end, append(1, "x")), write_later(&end, append(1, "x")));
        wait_for_waiting(&cluster, leader, 2);
        cluster.heal();
        assert_eq!(outcome(first), Some(Reply::Written));
        assert_eq!(outcome(second), Some(Reply::Written));
        assert_eq!(clerk.get("k"), "x");
        assert_eq!(cluster.server(leader).waiting(), 0);
        cluster.shut_down();
    });
}

#[test]
fn requests_that_come_late_or_again_are_answered_and_not_executed() {
    under_both_clocks(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let ends: Vec<ClientEnd> = (0..3).map(|server| cluster.end(&format!("client{server}"), server)).collect();
        let write_somewhere = |args: &WriteArgs| {
            eventually("some server takes it", || ends.iter().any(|end| write(end, args) == Some(Reply::Written)));
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

/// What is applied has happened, whoever says so.
#[test]
fn a_server_that_is_cut_off_confirms_what_it_has_applied() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let leader = cluster.leader();
        let end = cluster.end("client", leader);
        assert_eq!(write(&end, &append(1, "x")), Some(Reply::Written));
        cluster.partition(&[]);
        let entries = cluster.persister(leader).raft_state_size();
        assert_eq!(write(&end, &append(1, "x")), Some(Reply::Written));
        assert_eq!(cluster.persister(leader).raft_state_size(), entries, "it did not go through the log");
        cluster.shut_down();
    });
}

#[test]
fn a_clerk_whose_reply_is_lost_has_its_operation_executed_once() {
    under_both_clocks(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("k", "");
        let lost = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lost);
        cluster.network.intercept(move |message| {
            // Of the replies that say that a write is done the first three are lost.
            let done = message.method == "KvServer.Write"
                && message.direction == Direction::Reply
                && labgob::decode::<Reply>(message.bytes).expect("a reply") == Reply::Written;
            if done && count.fetch_add(1, SeqCst) < 3 { Verdict::Drop } else { Verdict::Pass }
        });
        clerk.append("k", "x");
        assert_eq!(lost.load(SeqCst), 4, "three replies were lost, and one arrived");
        assert_eq!(clerk.get("k"), "x");
        cluster.shut_down();
    });
}

/// The old leader's entry and the new leader's have the same index. Whoever waited for the one must not be told the result
/// of the other; that it is told anything at all, in a cluster where nothing else happens, is the watcher's work.
fn entry_of_another_at_the_same_index<R: Raft>() {
    let cluster = Cluster::<kvraft::KvServer<R>>::new(3, None);
    let mut clerk = cluster.clerk_of_all();
    clerk.put("k", "first");
    let (old, others) = cluster.cut_off_leader();
    let end = cluster.end("client", old);
    let put = write_later(&end, append(1, "lost"));
    wait_for_waiting(&cluster, old, 1);

    let mut majority = cluster.clerk(&others);
    majority.put("k", "second");
    let read = get_later(&end, 2);
    thread::sleep(Duration::from_secs(1));
    assert!(!put.is_finished() && !read.is_finished(), "a leader that is cut off answers nobody");

    cluster.heal();
    assert_eq!(outcome(put), Some(Reply::WrongLeader));
    assert_eq!(outcome(read), Some(Reply::WrongLeader));
    assert_eq!(cluster.server(old).waiting(), 0);
    assert_eq!(clerk.get("k"), "second", "what was lost is not executed");
    cluster.shut_down();
}

#[test]
fn nobody_is_answered_with_the_result_of_another_operation() {
    under_both_clocks(entry_of_another_at_the_same_index::<raft::Raft>);
    under_both_clocks(entry_of_another_at_the_same_index::<cluster::PlainRaft>);
}

/// The deposed leader finds the entry that it had begun in the log of its successor, which commits it: the operation was
/// executed, its waiter may be told so or not, and the clerk that asks again changes nothing.
#[test]
fn an_entry_that_a_successor_commits_is_executed_once() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let leader = cluster.leader();
        let end = cluster.end("client", leader);
        // The followers get the entry, but their answers are lost; then the leader is cut off.
        cluster.network.intercept(|message| match message.direction {
            Direction::Reply if message.method == "Raft.AppendEntries" => Verdict::Drop,
            _ => Verdict::Pass,
        });
        let request = write_later(&end, append(1, "x"));
        wait_for_waiting(&cluster, leader, 1);
        thread::sleep(Duration::from_millis(20));
        cluster.network.stop_intercepting();
        let others = without(leader, 3);
        cluster.partition(&[&others, &[leader]]);
        assert_eq!(cluster.clerk(&others).get("k"), "x", "a read commits what was there before it");
        cluster.heal();
        let told = outcome(request);
        assert!(matches!(told, Some(Reply::Written | Reply::WrongLeader)), "{told:?}");
        let again = cluster.end("again", cluster.leader());
        assert_eq!(write(&again, &append(1, "x")), Some(Reply::Written));
        assert_eq!(cluster.clerk_of_all().get("k"), "x");
        cluster.shut_down();
    });
}

#[test]
fn those_who_wait_are_answered_when_their_server_is_killed() {
    fn story<S: KvService>() {
        let cluster = Cluster::<S>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let (leader, _) = cluster.cut_off_leader();
        let service = cluster.server(leader);
        let end = cluster.end("client", leader);
        let requests: Vec<_> =
            (1..=5).flat_map(|seq| [write_later(&end, append(seq, "x")), get_later(&end, seq)]).collect();
        thread::sleep(Duration::from_millis(50));
        // The network still carries the answers.
        service.kill();
        for request in requests {
            assert_eq!(outcome(request), Some(Reply::WrongLeader));
        }
        cluster.shut_down();
    }
    under_both_clocks(story::<Reference>);
    under_both_clocks(story::<Plain>);
}

#[test]
fn a_server_that_does_not_lead_says_so() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "v");
        let leader = cluster.leader();
        for server in without(leader, 3) {
            let end = cluster.end(&format!("to {server}"), server);
            assert_eq!(outcome(get_later(&end, 1)), Some(Reply::WrongLeader));
            assert_eq!(write(&end, &append(1, "x")), Some(Reply::WrongLeader));
            assert_eq!(cluster.server(server).waiting(), 0);
        }
        let end = cluster.end("leader", leader);
        assert_eq!(outcome(get_later(&end, 1)), Some(Reply::Value(Value::new("v".to_string()))));
        cluster.shut_down();
    });
}

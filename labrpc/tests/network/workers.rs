//! The threads of calls and handlers: their groups and the network's own pool. Also the messages of wrong calls.

use labrpc::{Network, Server, Service};
use labstd::channel;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Duration;

use crate::harness::{end, end_to, ms, network_with, slack, until_handled};

labstd::under_both_clocks!(
    seeds 1..=8;
    handlers_run_in_the_group_of_their_server,
    only_blocking_handlers_run_on_pooled_threads,
    an_asynchronous_call_runs_in_the_group_of_its_caller,
    an_idle_worker_is_reused,
    a_slow_handler_does_not_delay_others,
    workers_end_at_cleanup_or_after_their_present_call,
    workers_end_with_the_last_handle,
    a_server_that_owns_an_end_is_dropped_with_its_network,
);

fn group() -> String {
    Group::current().expect("in a run every thread has a group").name().to_string()
}

fn group_service() -> Service {
    Service::new("S")
        .nonblocking_method("Here", |(): ()| group())
        .method("Elsewhere", |(): ()| group())
        .method("Spawned", |(): ()| thread::spawn("by a handler", group).join().expect("no panic"))
}

fn handlers_run_in_the_group_of_their_server() {
    let network = Network::new();
    let server = Group::new("S7", None).enter(|| Server::new().with(group_service()));
    network.add_server("server", server);
    let end = end(&network, "c");
    for method in ["S.Here", "S.Elsewhere", "S.Spawned"] {
        assert_eq!(end.call::<(), String>(method, &()).as_deref(), Some("S7"));
        assert_eq!(group(), "main", "the caller is in its own group again");
    }
}

fn only_blocking_handlers_run_on_pooled_threads() {
    let service = Service::new("S")
        .nonblocking_method("Here", |(): ()| thread::name())
        .method("Elsewhere", |(): ()| thread::name());
    let network = network_with(service);
    let end = end(&network, "c");
    assert_eq!(end.call::<(), String>("S.Here", &()), Some(thread::name()));
    assert_eq!(end.call::<(), String>("S.Elsewhere", &()).as_deref(), Some("rpc-worker-1"));
}

fn an_asynchronous_call_runs_in_the_group_of_its_caller() {
    let network = network_with(Service::new("S").nonblocking_method("Double", |n: u64| 2 * n));
    let end = end(&network, "c");
    let (sender, replies) = channel::bounded(1);
    Group::new("S3", None).enter(|| {
        end.call_async("S.Double", &21u64, move |reply: Option<u64>| {
            sender.send((reply, group(), thread::name())).expect("the test waits");
        });
    });
    assert_eq!(replies.recv(), Ok((Some(42), "S3".to_string(), "rpc-worker-1".to_string())));
}

/// Returns the number of threads in the network's own group.
fn workers(network: &Network) -> usize {
    network.group().threads().len()
}

/// Waits until the group has `count` threads. Fails after 100 looks.
#[track_caller]
fn until_workers(group: &Group, count: usize) {
    for _ in 0..100 {
        if group.threads().len() == count {
            return;
        }
        thread::sleep(ms(1) + slack() / 100);
    }
    panic!("not {count} workers: {:?}", group.threads());
}

/// Waits until the group has `count` threads, all of them idle. Fails after 100 looks.
#[track_caller]
fn until_idle(group: &Group, count: usize) {
    for _ in 0..100 {
        let workers = group.threads();
        let idle =
            workers.iter().filter(|worker| worker.activity.starts_with("in Receiver::recv at labrpc/src/pool.rs"));
        if workers.len() == count && idle.count() == count {
            return;
        }
        thread::sleep(ms(1) + slack() / 100);
    }
    panic!("not {count} idle workers: {:?}", group.threads());
}

fn an_idle_worker_is_reused() {
    let network = network_with(Service::new("S").method("Name", |(): ()| thread::name()));
    let end = end(&network, "c");
    let mut names: Vec<_> = (0..50)
        .map(|_| {
            let name: Option<String> = end.call("S.Name", &());
            until_idle(network.group(), 1);
            name
        })
        .collect();
    names.dedup();
    assert_eq!(names, [Some("rpc-worker-1".to_string())]);
}

/// The handlers end in the opposite order of the calls: each waits until the reply to the next call has come.
fn a_slow_handler_does_not_delay_others() {
    const CALLS: u64 = 10;
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let waiting = Arc::clone(&turn);
    let network = network_with(Service::new("S").method("WaitForTurn", move |number: u64| {
        let (turn, changed) = &*waiting;
        changed.wait_while(&mut turn.lock(), |turn| *turn != number);
    }));
    let end = end(&network, "c");
    let (sender, replies) = channel::unbounded();
    for number in (1..=CALLS).rev() {
        let (sender, turn) = (sender.clone(), Arc::clone(&turn));
        let on_reply = move |reply: Option<()>| {
            reply.expect("the network is reliable");
            sender.send(number).expect("the test waits");
            *turn.0.lock() = number + 1;
            turn.1.notify_all();
        };
        end.call_async("S.WaitForTurn", &number, on_reply);
    }
    drop(sender);
    until_handled(&network, CALLS);
    *turn.0.lock() = 1;
    turn.1.notify_all();
    let order: Vec<u64> = replies.iter().collect();
    assert_eq!(order, (1..=CALLS).collect::<Vec<_>>());
    // The calls and the handlers take ten workers each.
    until_workers(network.group(), 20);
}

fn workers_end_at_cleanup_or_after_their_present_call() {
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    let network = network_with(Service::new("S").method("Sleep", move |time: u64| {
        thread::sleep(ms(time));
        counted.fetch_add(1, SeqCst);
    }));
    let end = end(&network, "c");
    let group = network.group().clone();
    for time in [1u64, 1, 1, 1000] {
        end.call_async("S.Sleep", &time, |_: Option<()>| ());
    }
    while done.load(SeqCst) < 3 {
        thread::sleep(ms(1));
    }
    until_handled(&network, 4);
    network.cleanup();
    // No worker is idle. Two still serve the slow call, one in the group of the server, one in that of the caller.
    until_workers(&group, 0);
    thread::sleep(ms(1000) + slack());
    assert_eq!(done.load(SeqCst), 4);
    assert_eq!(workers(&network), 0);
    let ours = Group::current().expect("in a run").threads();
    assert!(ours.iter().all(|thread| !thread.name.starts_with("rpc-worker")), "{ours:?}");
}

fn workers_end_with_the_last_handle() {
    let network = network_with(Service::new("S").method("Nothing", |(): ()| ()));
    let end = end(&network, "c");
    assert_eq!(end.call::<(), ()>("S.Nothing", &()), Some(()));
    let group = network.group().clone();
    until_workers(&group, 1);
    drop(network.clone());
    until_workers(&group, 1);
    drop(network);
    until_workers(&group, 0);
}

fn a_server_that_owns_an_end_is_dropped_with_its_network() {
    let network = Network::new();
    let alive = Arc::new(());
    let (end, token) = (end_to(&network, "c", "server"), Arc::clone(&alive));
    let service = Service::new("S").nonblocking_method("Nothing", {
        let end = end.clone();
        move |(): ()| _ = (&token, end.name())
    });
    network.add_server("server", Server::new().with(service));
    assert_eq!(end.call::<(), ()>("S.Nothing", &()), Some(()));
    assert_eq!(Arc::strong_count(&alive), 2);
    drop((end, network));
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// Returns the message of the panic with which `body`, which misuses the network, ends its run.
#[track_caller]
fn panic_of<T>(body: impl FnOnce(&Network) -> T + Send + 'static) -> String {
    let body = move || {
        let service = |name| Service::new(name).nonblocking_method("Do", |n: u64| n).method("Dare", |(): ()| ());
        let network = Network::new();
        network.add_server("server", Server::new().with(service("Raft")).with(service("KvServer")));
        body(&network);
    };
    match labstd::Run::simulated(1).time_limit(Duration::from_secs(60)).execute(body).result {
        Err(labstd::Failure::Panic(panicked)) => {
            assert_eq!(panicked.thread, "main", "the caller panics");
            panicked.message
        }
        other => panic!("the run should have panicked: {other:?}"),
    }
}

#[test]
fn a_wrong_call_panics_with_the_alternatives() {
    let call = |method: &'static str| panic_of(move |network| end(network, "c").call::<u64, u64>(method, &1));
    assert_eq!(
        call("Raft"),
        "'Raft' is not the name of a method: it must be Service.Method, such as Raft.AppendEntries"
    );
    let unconnected = panic_of(|network| network.make_end("c").call::<u64, u64>("Raft", &1));
    assert_eq!(unconnected, call("Raft"));
    assert_eq!(call("Rift.Do"), "server server has no service Rift (wanted Rift.Do); it has KvServer and Raft");
    assert_eq!(call("Raft.Done"), "service Raft of server server has no method Done; it has Dare and Do");
    assert_eq!(call("Raft.Dare"), "Raft.Dare of server server is () -> (), but was called as u64 -> u64");
    let other_reply = panic_of(|network| end(network, "c").call::<u64, i64>("KvServer.Do", &1));
    assert_eq!(other_reply, "KvServer.Do of server server is u64 -> u64, but was called as u64 -> i64");
}

#[test]
fn misuse_of_the_network_panics() {
    let twice = panic_of(|network| (network.make_end("c"), network.make_end("c")));
    assert_eq!(twice, "there is an end c already");
    assert_eq!(panic_of(|network| network.delete_end("c")), "there is no end c");
    assert_eq!(panic_of(|network| network.enable("c", true)), "there is no end c");
    assert_eq!(panic_of(|network| network.connect("c", "server")), "there is no end c");
    let count = panic_of(|network| network.count(5));
    assert_eq!(count, "there is no server 5 whose requests could be counted; the servers are: server");
    let service = || Service::new("Raft");
    let method = panic_of(move |_| drop(service().method("Do", |(): ()| ()).nonblocking_method("Do", |(): ()| ())));
    assert_eq!(method, "service Raft has two methods Do");
    assert_eq!(
        panic_of(move |_| drop(Server::new().with(service()).with(service()))),
        "the server has two services Raft"
    );
}

#[test]
fn a_panic_in_a_handler_fails_the_run_with_its_message() {
    for clock in [labstd::Clock::Simulated, labstd::Clock::Threads] {
        let outcome = labstd::Run::new(clock, 1).execute(|| {
            let network =
                network_with(Service::new("S").method("Panic", |(): ()| -> () { panic!("the handler's words") }));
            end(&network, "c").call::<(), ()>("S.Panic", &())
        });
        match outcome.result {
            Err(labstd::Failure::Panic(panicked)) => assert_eq!(panicked.message, "the handler's words"),
            other => panic!("{clock:?}: {other:?}"),
        }
    }
}

#[test]
fn the_network_works_outside_any_run() {
    let network = network_with(Service::new("S").method("Double", |n: u64| 2 * n));
    assert_eq!(end(&network, "c").call("S.Double", &4u64), Some(8u64));
    network.cleanup();
}

//! The unit tests of the course's labrpc, with their numbers (spec of the course's labrpc: unit tests), each under both
//! clocks.

use labrpc::{ClientEnd, Network, Server, Service};
use labstd::channel::{self, RecvTimeoutError};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::harness::{end_to, ms, slack};

labstd::under_both_clocks!(
    seeds 1..=8;
    basic,
    types,
    disconnect,
    counts,
    bytes,
    concurrent_many,
    unreliable,
    concurrent_one,
    regression_1,
    killed,
    long_delay_race,
    benchmark,
);

/// The state of the course's JunkServer: two logs, which its handlers share under one lock.
#[derive(Default)]
struct Junk {
    log1: Vec<String>,
    log2: Vec<i32>,
}

#[derive(Serialize, Deserialize)]
struct JunkArgs {
    x: i32,
}

#[derive(Serialize, Deserialize)]
struct JunkReply {
    x: String,
}

fn junk() -> (Arc<Mutex<Junk>>, Server) {
    let junk = Arc::new(Mutex::new(Junk::default()));
    let [one, two, three, six, seven] = std::array::from_fn(|_| Arc::clone(&junk));
    let service = Service::new("JunkServer")
        .method("Handler1", move |args: String| {
            let mut junk = one.lock();
            let number: i32 = args.parse().expect("a number");
            junk.log1.push(args);
            number
        })
        .nonblocking_method("Handler2", move |args: i32| {
            two.lock().log2.push(args);
            format!("handler2-{args}")
        })
        .method("Handler3", move |args: i32| {
            let _held = three.lock();
            thread::sleep(Duration::from_secs(20));
            -args
        })
        .nonblocking_method("Handler4", |_: Box<JunkArgs>| JunkReply { x: "pointer".to_string() })
        .nonblocking_method("Handler5", |_: JunkArgs| JunkReply { x: "no pointer".to_string() })
        .method("Handler6", move |args: String| {
            let _held = six.lock();
            args.len()
        })
        .method("Handler7", move |args: usize| {
            let _held = seven.lock();
            "y".repeat(args)
        });
    (junk, Server::new().with(service))
}

fn handler1(end: &ClientEnd, args: &str) -> Option<i32> {
    end.call("JunkServer.Handler1", &args.to_string())
}

fn handler2(end: &ClientEnd, args: i32) -> Option<String> {
    end.call("JunkServer.Handler2", &args)
}

/// Makes the network of most of these tests, whose one server has this name.
fn network(server: impl Into<labrpc::Name>) -> (Network, Arc<Mutex<Junk>>) {
    let network = Network::new();
    let (junk, made) = junk();
    network.add_server(server, made);
    (network, junk)
}

fn basic() {
    let (network, _) = network("server99");
    let end = end_to(&network, "end1-99", "server99");
    assert_eq!(handler2(&end, 111).as_deref(), Some("handler2-111"));
    assert_eq!(handler1(&end, "9099"), Some(9099));
}

fn types() {
    let (network, _) = network("server99");
    let end = end_to(&network, "end1-99", "server99");
    let reply: JunkReply = end.call("JunkServer.Handler4", &Box::new(JunkArgs { x: 1 })).expect("a reply");
    assert_eq!(reply.x, "pointer");
    let reply: JunkReply = end.call("JunkServer.Handler5", &JunkArgs { x: 1 }).expect("a reply");
    assert_eq!(reply.x, "no pointer");
}

fn disconnect() {
    let (network, _) = network("server99");
    let end = network.make_end("end1-99");
    network.connect("end1-99", "server99");
    assert_eq!(handler2(&end, 111), None);
    network.enable("end1-99", true);
    assert_eq!(handler1(&end, "9099"), Some(9099));
}

fn counts() {
    let (network, _) = network(99);
    let end = end_to(&network, "end1-99", 99);
    for i in 0..17 {
        assert_eq!(handler2(&end, i), Some(format!("handler2-{i}")));
    }
    assert_eq!(network.count(99), 17);
    assert_eq!(network.total_count(), 17);
}

fn bytes() {
    let (network, _) = network(99);
    let end = end_to(&network, "end1-99", 99);
    let sent = "x".repeat(71 * 2 * 2);
    for _ in 0..17 {
        assert_eq!(end.call::<String, usize>("JunkServer.Handler6", &sent), Some(284));
    }
    let first = network.total_bytes();
    assert!((4828..=6000).contains(&first), "17 calls with 284 letters took {first} bytes");
    for _ in 0..17 {
        assert_eq!(end.call::<usize, String>("JunkServer.Handler7", &107).map(|reply| reply.len()), Some(107));
    }
    let second = network.total_bytes() - first;
    assert!((1800..=2500).contains(&second), "17 replies of 107 letters took {second} bytes");
}

fn concurrent_many() {
    let (network, _) = network(1000);
    let clients: Vec<_> = (0..20)
        .map(|i| {
            let network = network.clone();
            thread::spawn(format!("client {i}"), move || {
                let end = end_to(&network, i, 1000);
                for j in 0..10 {
                    let args = i * 100 + j;
                    assert_eq!(handler2(&end, args), Some(format!("handler2-{args}")));
                }
                10
            })
        })
        .collect();
    let completed: u64 = clients.into_iter().map(|client| client.join().expect("all replies are right")).sum();
    assert_eq!(completed, 200);
    assert_eq!(network.count(1000), 200);
}

fn unreliable() {
    let (network, _) = network(1000);
    network.set_reliable(false);
    let clients: Vec<_> = (0..300)
        .map(|i| {
            let network = network.clone();
            thread::spawn(format!("client {i}"), move || {
                let end = end_to(&network, i, 1000);
                let reply = handler2(&end, i * 100);
                assert!(reply.is_none() || reply == Some(format!("handler2-{}", i * 100)), "{reply:?}");
                u64::from(reply.is_some())
            })
        })
        .collect();
    let successes: u64 = clients.into_iter().map(|client| client.join().expect("no reply is wrong")).sum();
    assert!(successes > 0 && successes < 300, "{successes} of 300 calls succeeded on an unreliable network");
}

fn concurrent_one() {
    let (network, junk) = network(1000);
    let end = end_to(&network, "c", 1000);
    let callers: Vec<_> = (0..20)
        .map(|i| {
            let end = end.clone();
            thread::spawn(format!("caller {i}"), move || {
                assert_eq!(handler2(&end, 100 + i), Some(format!("handler2-{}", 100 + i)));
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().expect("all replies are right"));
    assert_eq!(junk.lock().log2.len(), 20);
    assert_eq!(network.count(1000), 20);
}

/// Calls that began while the end was disabled delay no later call, and never reach the server.
fn regression_1() {
    let (network, junk) = network(1000);
    let end = end_to(&network, "c", 1000);
    network.enable("c", false);
    let callers: Vec<_> = (0..20)
        .map(|i| {
            let end = end.clone();
            thread::spawn(format!("caller {i}"), move || handler2(&end, 100 + i))
        })
        .collect();
    thread::sleep(ms(100));
    while network.total_count() < 20 {
        // On a busy machine, some calls have not begun yet.
        thread::sleep(ms(10));
    }

    let begun = Instant::now();
    network.enable("c", true);
    assert_eq!(handler2(&end, 99).as_deref(), Some("handler2-99"));
    let took = begun.elapsed();
    assert!(took <= ms(30) + slack(), "the call on the enabled end took {took:?}");

    for caller in callers {
        assert_eq!(caller.join().expect("no panic"), None);
    }
    assert_eq!(junk.lock().log2, [99]);
    assert_eq!(network.count(1000), 1);
}

fn killed() {
    let (network, _) = network("server99");
    let end = end_to(&network, "end1-99", "server99");
    let (done, result) = channel::bounded(1);
    thread::spawn("caller", move || {
        let _ = done.send(end.call::<i32, i32>("JunkServer.Handler3", &99));
    });
    thread::sleep(ms(1000));
    assert_eq!(result.recv_timeout(ms(100)), Err(RecvTimeoutError::Timeout), "the handler sleeps for 20 s");
    network.delete_server("server99");
    assert_eq!(
        result.recv_timeout(ms(101) + slack()),
        Ok(None),
        "the call fails within one poll after the server is gone"
    );
}

fn long_delay_race() {
    let (network, _) = network("server99");
    let end = end_to(&network, "end1-99", "server99");
    assert_eq!(handler1(&end, "9099"), Some(9099));
    network.set_long_delays(true);
    network.delete_server("server99");
    let (done, result) = channel::bounded(1);
    thread::spawn("caller", move || {
        let _ = done.send(handler1(&end, "9099"));
    });
    network.set_long_delays(true);
    let _ = result.recv_timeout(ms(200));
    network.set_long_delays(true);
    assert!(network.is_long_delays());
    network.delete_end("end1-99");
}

fn benchmark() {
    const CALLS: u32 = 5_000;
    let (network, _) = network("server99");
    let end = end_to(&network, "end1-99", "server99");
    let begun = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(handler2(&end, 111).as_deref(), Some("handler2-111"));
    }
    println!("{CALLS} calls took {:?}", begun.elapsed());
}

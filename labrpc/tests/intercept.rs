//! A test's hand on single messages: hold, drop, delay, reorder, one request or one reply.

use labrpc::{ClientEnd, Direction, Held, Network, Service, Verdict};
use labstd::channel::{self, Receiver};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};

mod both;
use both::{end, ms, network_with, slack, under_both_clocks};

under_both_clocks!(
    an_interceptor_sees_each_message,
    a_dropped_request_is_not_handled,
    a_dropped_reply_was_handled,
    a_delayed_message_takes_longer,
    a_held_request_waits_for_its_release,
    held_messages_can_be_dropped,
    two_held_requests_can_be_reordered,
    a_held_reply_is_delivered_although_its_server_is_gone,
    what_is_held_fails_at_cleanup,
    what_is_held_fails_with_its_end,
    the_network_is_itself_again_without_an_interceptor,
);

/// A network whose server writes down what it is asked.
fn noting() -> (Network, Arc<Mutex<Vec<u64>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    let network = network_with(Service::new("S").nonblocking_method("Note", move |n: u64| {
        noted.lock().push(n);
        n + 1000
    }));
    (network, notes)
}

/// Calls `Note` from a thread of its own; what arrives is the reply.
fn note_elsewhere(end: &ClientEnd, n: u64) -> Receiver<Option<u64>> {
    let (sender, receiver) = channel::bounded(1);
    end.call_async("S.Note", &n, move |reply| sender.send(reply).expect("the test waits"));
    receiver
}

/// Waits until this many messages are held.
fn until_held(network: &Network, count: usize) -> Vec<Held> {
    while network.held().len() < count {
        thread::sleep(ms(1));
    }
    network.held()
}

fn hold(network: &Network, direction: Direction) {
    network.intercept(move |message| if message.direction == direction { Verdict::Hold } else { Verdict::Pass });
}

fn an_interceptor_sees_each_message() {
    let (network, _) = noting();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    network.intercept(move |message| {
        let number: u64 = message.decode().expect("both ways a number");
        let (end, server) = (message.end.to_string(), message.server.to_string());
        list.lock().push((message.call, message.direction, end, server, message.method.to_string(), number));
        Verdict::Pass
    });
    let end = end(&network, "c");
    assert_eq!(end.call("S.Note", &5u64), Some(1005u64));
    let expected = |direction, number| (1, direction, "c".into(), "server".into(), "S.Note".into(), number);
    assert_eq!(*seen.lock(), [expected(Direction::Request, 5), expected(Direction::Reply, 1005)]);

    network.enable("c", false);
    assert_eq!(end.call::<u64, u64>("S.Note", &6), None);
    assert_eq!(seen.lock().len(), 2, "what finds nobody is not shown");
}

fn a_dropped_request_is_not_handled() {
    let (network, notes) = noting();
    network.intercept(|message| match message.decode::<u64>() {
        Ok(2) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let end = end(&network, "c");
    let replies: Vec<Option<u64>> = (1..=3u64).map(|n| end.call("S.Note", &n)).collect();
    assert_eq!(replies, [Some(1001), None, Some(1003)]);
    assert_eq!(*notes.lock(), [1, 3]);
    assert_eq!((network.count("server"), network.total_count()), (2, 3));
}

fn a_dropped_reply_was_handled() {
    let (network, notes) = noting();
    network.intercept(|message| if message.direction == Direction::Reply { Verdict::Drop } else { Verdict::Pass });
    let end = end(&network, "c");
    assert_eq!(end.call::<u64, u64>("S.Note", &7), None);
    assert_eq!(*notes.lock(), [7]);
    assert_eq!(network.total_bytes(), 1, "a reply that is lost is not counted");
}

fn a_delayed_message_takes_longer() {
    let (network, _) = noting();
    network.intercept(|message| match message.direction {
        Direction::Request => Verdict::Delay(ms(300)),
        Direction::Reply => Verdict::Delay(ms(200)),
    });
    let end = end(&network, "c");
    let begun = Instant::now();
    assert_eq!(end.call("S.Note", &1u64), Some(1001u64));
    let took = begun.elapsed();
    assert!(took >= ms(500) && took <= ms(502) + slack(), "it took {took:?}");
}

fn a_held_request_waits_for_its_release() {
    let (network, notes) = noting();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let reply = note_elsewhere(&end, 8);
    let held = until_held(&network, 1).remove(0);
    assert_eq!(held.message().decode(), Ok(8u64));
    assert!(reply.recv_timeout(Duration::from_millis(500)).is_err(), "it is held");
    assert!(notes.lock().is_empty());
    assert!(held.clone().release());
    assert_eq!(reply.recv(), Ok(Some(1008)));
    assert!(!held.clone().release() && !held.drop(), "it is no longer held");
    assert!(network.held().is_empty());
}

fn held_messages_can_be_dropped() {
    let (network, notes) = noting();
    let end = end(&network, "c");
    for direction in [Direction::Request, Direction::Reply] {
        hold(&network, direction);
        let reply = note_elsewhere(&end, 8);
        assert!(until_held(&network, 1).remove(0).drop());
        assert_eq!(reply.recv(), Ok(None));
    }
    assert_eq!(*notes.lock(), [8], "the request of the second call was handled");
}

fn two_held_requests_can_be_reordered() {
    let (network, notes) = noting();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let first = note_elsewhere(&end, 1);
    until_held(&network, 1);
    let second = note_elsewhere(&end, 2);
    let held = until_held(&network, 2);
    let calls: Vec<u64> = held.iter().map(|held| held.message().call).collect();
    assert_eq!(calls, [1, 2], "listed in the order in which they came");
    for (held, reply) in held.into_iter().rev().zip([second, first]) {
        held.release();
        assert!(reply.recv().is_ok_and(|reply| reply.is_some()));
    }
    assert_eq!(*notes.lock(), [2, 1]);
}

fn a_held_reply_is_delivered_although_its_server_is_gone() {
    let (network, _) = noting();
    hold(&network, Direction::Reply);
    let end = end(&network, "c");
    let reply = note_elsewhere(&end, 1);
    let held = until_held(&network, 1).remove(0);
    network.delete_server("server");
    held.release();
    assert_eq!(reply.recv(), Ok(Some(1001)));
}

fn what_is_held_fails_at_cleanup() {
    let (network, _) = noting();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let replies: Vec<_> = (0..3).map(|n| note_elsewhere(&end, n)).collect();
    until_held(&network, 3);
    network.cleanup();
    assert!(replies.iter().all(|reply| reply.recv() == Ok(None)));
    assert!(network.held().is_empty());
}

fn what_is_held_fails_with_its_end() {
    let (network, _) = noting();
    hold(&network, Direction::Request);
    let (gone, stays) = (end(&network, "gone"), end(&network, "stays"));
    let (lost, kept) = (note_elsewhere(&gone, 1), note_elsewhere(&stays, 2));
    until_held(&network, 2);
    network.delete_end("gone");
    assert_eq!(lost.recv(), Ok(None));
    let held = network.held();
    assert_eq!(held.len(), 1);
    held.into_iter().for_each(|held| assert!(held.release()));
    assert_eq!(kept.recv(), Ok(Some(1002)));
}

fn the_network_is_itself_again_without_an_interceptor() {
    let (network, _) = noting();
    network.intercept(|_| Verdict::Drop);
    let end = end(&network, "c");
    assert_eq!(end.call::<u64, u64>("S.Note", &1), None);
    network.stop_intercepting();
    assert_eq!(end.call::<u64, u64>("S.Note", &1), Some(1001));
}

//! Interception of single messages: a test holds, drops, delays or reorders one request or one reply.

use labrpc::{ClientEnd, Direction, Held, Network, Service, Verdict};
use labstd::channel::{self, Receiver};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::harness::{end, ms, network_with, slack};

labstd::under_both_clocks!(
    seeds 1..=8;
    an_interceptor_sees_each_message,
    a_dropped_request_is_not_handled,
    a_dropped_reply_was_handled,
    a_delayed_message_takes_longer,
    a_held_request_waits_for_its_release,
    held_messages_can_be_dropped,
    two_held_requests_can_be_reordered,
    a_released_reply_arrives_although_its_server_is_gone,
    held_messages_fail_at_cleanup,
    held_messages_fail_when_their_end_is_deleted,
    messages_pass_after_the_interceptor_is_removed,
);

/// Makes a network whose server notes the arguments of each request.
fn noting_network() -> (Network, Arc<Mutex<Vec<u64>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    let network = network_with(Service::new("S").nonblocking_method("Note", move |n: u64| {
        noted.lock().push(n);
        n + 1000
    }));
    (network, notes)
}

/// Calls `Note` asynchronously. The channel receives the reply.
fn call_note_async(end: &ClientEnd, n: u64) -> Receiver<Option<u64>> {
    let (sender, receiver) = channel::bounded(1);
    end.call_async("S.Note", &n, move |reply| sender.send(reply).expect("the test waits"));
    receiver
}

/// Waits until `count` messages are held. Returns them.
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
    let (network, _) = noting_network();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    network.intercept(move |message| {
        let number: u64 = message.decode().expect("request and reply are numbers");
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
    assert_eq!(seen.lock().len(), 2, "a message without a server is not shown");
}

fn a_dropped_request_is_not_handled() {
    let (network, notes) = noting_network();
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
    let (network, notes) = noting_network();
    network.intercept(|message| if message.direction == Direction::Reply { Verdict::Drop } else { Verdict::Pass });
    let end = end(&network, "c");
    assert_eq!(end.call::<u64, u64>("S.Note", &7), None);
    assert_eq!(*notes.lock(), [7]);
    assert_eq!(network.total_bytes(), 1, "a reply that is lost is not counted");
}

fn a_delayed_message_takes_longer() {
    let (network, _) = noting_network();
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
    let (network, notes) = noting_network();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let reply = call_note_async(&end, 8);
    let held = until_held(&network, 1).remove(0);
    assert_eq!(held.message().decode(), Ok(8u64));
    assert!(reply.recv_timeout(Duration::from_millis(500)).is_err(), "the message is held");
    assert!(notes.lock().is_empty());
    assert!(held.clone().release());
    assert_eq!(reply.recv(), Ok(Some(1008)));
    assert!(!held.clone().release() && !held.drop(), "the message is no longer held");
    assert!(network.held().is_empty());
}

fn held_messages_can_be_dropped() {
    let (network, notes) = noting_network();
    let end = end(&network, "c");
    for direction in [Direction::Request, Direction::Reply] {
        hold(&network, direction);
        let reply = call_note_async(&end, 8);
        assert!(until_held(&network, 1).remove(0).drop());
        assert_eq!(reply.recv(), Ok(None));
    }
    assert_eq!(*notes.lock(), [8], "the request of the second call was handled");
}

fn two_held_requests_can_be_reordered() {
    let (network, notes) = noting_network();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let first = call_note_async(&end, 1);
    until_held(&network, 1);
    let second = call_note_async(&end, 2);
    let held = until_held(&network, 2);
    let calls: Vec<u64> = held.iter().map(|held| held.message().call).collect();
    assert_eq!(calls, [1, 2], "held messages are listed in the order of their arrival");
    for (held, reply) in held.into_iter().rev().zip([second, first]) {
        held.release();
        assert!(reply.recv().is_ok_and(|reply| reply.is_some()));
    }
    assert_eq!(*notes.lock(), [2, 1]);
}

fn a_released_reply_arrives_although_its_server_is_gone() {
    let (network, _) = noting_network();
    hold(&network, Direction::Reply);
    let end = end(&network, "c");
    let reply = call_note_async(&end, 1);
    let held = until_held(&network, 1).remove(0);
    network.delete_server("server");
    held.release();
    assert_eq!(reply.recv(), Ok(Some(1001)));
}

fn held_messages_fail_at_cleanup() {
    let (network, _) = noting_network();
    hold(&network, Direction::Request);
    let end = end(&network, "c");
    let replies: Vec<_> = (0..3).map(|n| call_note_async(&end, n)).collect();
    until_held(&network, 3);
    network.cleanup();
    assert!(replies.iter().all(|reply| reply.recv() == Ok(None)));
    assert!(network.held().is_empty());
}

fn held_messages_fail_when_their_end_is_deleted() {
    let (network, _) = noting_network();
    hold(&network, Direction::Request);
    let (gone, stays) = (end(&network, "gone"), end(&network, "stays"));
    let (lost, kept) = (call_note_async(&gone, 1), call_note_async(&stays, 2));
    until_held(&network, 2);
    network.delete_end("gone");
    assert_eq!(lost.recv(), Ok(None));
    let held = network.held();
    assert_eq!(held.len(), 1);
    held.into_iter().for_each(|held| assert!(held.release()));
    assert_eq!(kept.recv(), Ok(Some(1002)));
}

fn messages_pass_after_the_interceptor_is_removed() {
    let (network, _) = noting_network();
    network.intercept(|_| Verdict::Drop);
    let end = end(&network, "c");
    assert_eq!(end.call::<u64, u64>("S.Note", &1), None);
    network.stop_intercepting();
    assert_eq!(end.call::<u64, u64>("S.Note", &1), Some(1001));
}

//! Abandoned calls and removed servers: when each call returns, which handlers still run, and that a superseded server
//! never replies.

use labrpc::{ClientEnd, Network, Server, Service};
use labstd::channel::{self, Receiver};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::harness::{end, ms, network_with, slack, until_handled};

labstd::under_both_clocks!(
    seeds 1..=8;
    deleting_an_end_ends_a_call_that_waits_for_seven_seconds,
    deleting_an_end_ends_a_call_in_a_blocked_handler,
    every_request_that_reached_the_server_is_handled,
    deleting_an_end_ends_a_call_whose_reply_is_delayed,
    a_call_on_a_deleted_end_returns_at_once_and_is_not_counted,
    an_end_may_be_made_again,
    an_in_flight_request_arrives_after_its_caller_has_gone,
    a_replaced_server_does_not_reply,
    disabling_an_end_ends_a_call_in_a_blocked_handler,
    reconnecting_an_end_does_not_end_its_call,
    calls_after_cleanup_return_at_once,
    an_in_flight_call_survives_cleanup,
    calls_on_a_dropped_network_return_at_once,
);

const LONG: Duration = Duration::from_secs(3);

/// A service whose `Sleep` sleeps for the given milliseconds and then counts.
fn sleep_service() -> (Service, Arc<AtomicU64>) {
    let done = Arc::new(AtomicU64::new(0));
    let counts = [Arc::clone(&done), Arc::clone(&done)];
    let [slow, quick] = counts;
    let service = Service::new("S")
        .method("Sleep", move |time: u64| {
            thread::sleep(ms(time));
            slow.fetch_add(1, SeqCst);
            time
        })
        .nonblocking_method("Count", move |(): ()| quick.fetch_add(1, SeqCst));
    (service, done)
}

/// Calls `Sleep` on a new thread. The channel receives the reply and the duration of the call.
fn call_sleep_on_new_thread(end: &ClientEnd, time: u64) -> Receiver<(Option<u64>, Duration)> {
    let (sender, receiver) = channel::bounded(1);
    let end = end.clone();
    thread::spawn("caller", move || {
        let begun = Instant::now();
        let reply = end.call("S.Sleep", &time);
        let _ = sender.send((reply, begun.elapsed()));
    });
    receiver
}

/// Asserts that a call has failed, and that it took at most `by`.
fn assert_lost_by(result: &Receiver<(Option<u64>, Duration)>, by: Duration) {
    let (reply, took) = result.recv().expect("the caller lives");
    assert_eq!(reply, None);
    assert!(took <= by + slack(), "the call took {took:?}");
}

fn deleting_an_end_ends_a_call_that_waits_for_seven_seconds() {
    let network = Network::new();
    network.set_long_delays(true);
    let end = end(&network, "c");
    let results: Vec<_> = (0..50).map(|_| call_sleep_on_new_thread(&end, 0)).collect();
    thread::sleep(ms(10));
    network.delete_end("c");
    results.iter().for_each(|result| assert_lost_by(result, ms(10)));
}

fn deleting_an_end_ends_a_call_in_a_blocked_handler() {
    let (service, done) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = call_sleep_on_new_thread(&end, 3000);
    until_handled(&network, 1);
    network.delete_end("c");
    assert_lost_by(&result, ms(2));
    assert_eq!(done.load(SeqCst), 0);
    thread::sleep(LONG + slack() + ms(1));
    assert_eq!(done.load(SeqCst), 1, "the handler runs to its end");
}

/// The handler must also run if the end is deleted after the request's arrival and before its caller begins to wait.
fn every_request_that_reached_the_server_is_handled() {
    const CALLS: u64 = 200;
    let (service, done) = sleep_service();
    let network = network_with(service);
    for call in 0..CALLS {
        let name = format!("c{call}");
        let _result = call_sleep_on_new_thread(&end(&network, &name), 0);
        while network.count("server") == call {
            match labstd::clock() {
                labstd::Clock::Threads => thread::yield_now(),
                labstd::Clock::Simulated => thread::sleep(Duration::from_micros(10)),
            }
        }
        network.delete_end(&name);
    }
    thread::sleep(slack());
    assert_eq!(done.load(SeqCst), CALLS);
}

fn deleting_an_end_ends_a_call_whose_reply_is_delayed() {
    let (service, done) = sleep_service();
    let network = network_with(service);
    network.set_long_reordering(true);
    let end = end(&network, "c");
    let results: Vec<_> = (0..20).map(|_| call_sleep_on_new_thread(&end, 0)).collect();
    while done.load(SeqCst) < 20 {
        thread::sleep(ms(1));
    }
    thread::sleep(ms(2));
    network.delete_end("c");
    let replies: Vec<_> = results.iter().map(|result| result.recv().expect("the caller lives")).collect();
    assert!(replies.iter().any(|(reply, _)| reply.is_none()), "none of twenty replies was delayed");
    let slowest = replies.iter().map(|(_, took)| *took).max().expect("there are some");
    assert!(slowest < ms(200) + slack(), "a call waited for {slowest:?} after its end was deleted");
}

fn a_call_on_a_deleted_end_returns_at_once_and_is_not_counted() {
    let network = Network::new();
    network.set_long_delays(true);
    let end = end(&network, "c");
    network.delete_end("c");
    let begun = Instant::now();
    assert_eq!(end.call::<u64, u64>("S.Sleep", &1), None);
    assert!(begun.elapsed() <= slack());
    assert_eq!(network.total_count(), 0);
}

fn an_end_may_be_made_again() {
    let (service, _) = sleep_service();
    let network = network_with(service);
    let old = end(&network, "c");
    network.delete_end("c");
    let new = end(&network, "c");
    assert_eq!(old.call::<u64, u64>("S.Sleep", &1), None);
    assert_eq!(new.call::<u64, u64>("S.Sleep", &1), Some(1));
}

fn an_in_flight_request_arrives_after_its_caller_has_gone() {
    let (service, done) = sleep_service();
    let network = network_with(service);
    let delay = ms(500) + slack();
    network.intercept(move |_| labrpc::Verdict::Delay(delay));
    let end = end(&network, "c");
    let (sender, result) = channel::bounded(1);
    thread::spawn("caller", {
        let end = end.clone();
        move || sender.send(end.call::<(), u64>("S.Count", &()))
    });
    while network.total_count() == 0 {
        thread::sleep(ms(1));
    }
    network.delete_end("c");
    assert_eq!(result.recv_timeout(slack() + ms(1)), Ok(None));
    assert_eq!(done.load(SeqCst), 0);
    thread::sleep(delay + ms(2) + slack());
    assert_eq!(done.load(SeqCst), 1);
    assert_eq!(network.count("server"), 1);
}

/// The reason is in the course's labrpc: a client must not see the success of an update that is stored nowhere but in
/// the superseded server's Persister.
fn a_replaced_server_does_not_reply() {
    let (opened, gate) = channel::bounded::<()>(1);
    let network = network_with(Service::new("S").method("Sleep", move |time: u64| {
        gate.recv().expect("the test opens the gate");
        time
    }));
    let end = end(&network, "c");
    let result = call_sleep_on_new_thread(&end, 0);
    until_handled(&network, 1);
    // The handler returns before the next poll. The check after the handler notices the replacement.
    network.add_server("server", Server::new().with(sleep_service().0));
    opened.send(()).expect("the handler waits");
    assert_lost_by(&result, ms(5));
    assert_eq!(network.count("server"), 0, "a new server counts from 0");

    let result = call_sleep_on_new_thread(&end, 2950);
    until_handled(&network, 1);
    thread::sleep(ms(120));
    network.delete_server("server");
    assert_lost_by(&result, ms(202));
}

fn disabling_an_end_ends_a_call_in_a_blocked_handler() {
    let (service, _) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = call_sleep_on_new_thread(&end, 3000);
    until_handled(&network, 1);
    network.enable("c", false);
    assert_lost_by(&result, ms(102));
}

/// Runs in a simulation only: on threads, the disconnection may take long enough to be noticed.
#[test]
fn a_short_disconnection_does_not_end_a_call() {
    labstd::simulate(1, || {
        let network = network_with(sleep_service().0);
        let end = end(&network, "c");
        let result = call_sleep_on_new_thread(&end, 90);
        until_handled(&network, 1);
        network.enable("c", false);
        thread::sleep(ms(50));
        network.enable("c", true);
        assert_eq!(result.recv().expect("the caller lives").0, Some(90));
    });
}

fn reconnecting_an_end_does_not_end_its_call() {
    let (service, _) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = call_sleep_on_new_thread(&end, 250);
    until_handled(&network, 1);
    network.connect("c", "nowhere");
    assert_eq!(result.recv().expect("the caller lives").0, Some(250));
}

fn calls_after_cleanup_return_at_once() {
    let (service, done) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    network.cleanup();
    let begun = Instant::now();
    assert_eq!(end.call::<u64, u64>("S.Sleep", &0), None);
    assert!(begun.elapsed() <= slack());
    let (sender, replies) = channel::bounded(1);
    end.call_async("S.Sleep", &0u64, move |reply: Option<u64>| sender.send(reply).expect("the test waits"));
    assert_eq!(replies.recv(), Ok(None));
    assert_eq!((network.total_count(), done.load(SeqCst)), (0, 0));
}

fn an_in_flight_call_survives_cleanup() {
    let (service, _) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = call_sleep_on_new_thread(&end, 250);
    until_handled(&network, 1);
    network.cleanup();
    assert_eq!(result.recv().expect("the caller lives").0, Some(250));
}

fn calls_on_a_dropped_network_return_at_once() {
    let (service, _) = sleep_service();
    let network = network_with(service);
    let end = end(&network, "c");
    drop(network);
    assert_eq!(end.call::<u64, u64>("S.Sleep", &0), None);
}

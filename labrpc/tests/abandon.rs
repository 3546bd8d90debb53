//! Calls that nobody waits for any more, and servers that are gone: who returns when, what still runs, and that a
//! superseded server never answers.

use labrpc::{ClientEnd, Network, Server, Service};
use labstd::channel::{self, Receiver};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::thread;
use labstd::time::{Duration, Instant};

mod both;
use both::{end, ms, network_with, slack, under_both_clocks, until_handled};

under_both_clocks!(
    a_deleted_end_frees_a_call_that_waits_for_seven_seconds,
    a_deleted_end_frees_a_call_in_a_blocked_handler,
    every_request_that_reached_the_server_is_handled,
    a_deleted_end_frees_a_call_whose_reply_is_held_back,
    a_call_on_a_deleted_end_returns_at_once_and_is_not_counted,
    an_end_may_be_made_again,
    a_request_on_its_way_arrives_although_its_caller_is_gone,
    a_replaced_server_does_not_answer,
    a_disabled_end_gives_a_blocked_handler_up,
    a_new_connection_does_not_disturb_a_call,
    after_cleanup_calls_return_at_once,
    a_call_under_way_survives_cleanup,
    without_a_network_calls_return_at_once,
);

const LONG: Duration = Duration::from_secs(3);

/// A service whose `Sleep` sleeps for the given milliseconds and then counts.
fn sleeper() -> (Service, Arc<AtomicU64>) {
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

/// Calls `Sleep` from a thread of its own; what arrives is the reply and how long it took.
fn sleep_elsewhere(end: &ClientEnd, time: u64) -> Receiver<(Option<u64>, Duration)> {
    let (sender, receiver) = channel::bounded(1);
    let end = end.clone();
    thread::spawn("caller", move || {
        let begun = Instant::now();
        let reply = end.call("S.Sleep", &time);
        let _ = sender.send((reply, begun.elapsed()));
    });
    receiver
}

/// Asserts that a call begun at `begun` has failed by `by` after that.
fn assert_lost_by(result: &Receiver<(Option<u64>, Duration)>, by: Duration) {
    let (reply, took) = result.recv().expect("the caller lives");
    assert_eq!(reply, None);
    assert!(took <= by + slack(), "the call took {took:?}");
}

fn a_deleted_end_frees_a_call_that_waits_for_seven_seconds() {
    let network = Network::new();
    network.set_long_delays(true);
    let end = end(&network, "c");
    let results: Vec<_> = (0..50).map(|_| sleep_elsewhere(&end, 0)).collect();
    thread::sleep(ms(10));
    network.delete_end("c");
    results.iter().for_each(|result| assert_lost_by(result, ms(10)));
}

fn a_deleted_end_frees_a_call_in_a_blocked_handler() {
    let (service, done) = sleeper();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = sleep_elsewhere(&end, 3000);
    until_handled(&network, 1);
    network.delete_end("c");
    assert_lost_by(&result, ms(2));
    assert_eq!(done.load(SeqCst), 0);
    thread::sleep(LONG + slack());
    assert_eq!(done.load(SeqCst), 1, "the handler runs to its end");
}

/// Also if the end is deleted between the request's arrival and the moment at which its caller would begin to wait.
fn every_request_that_reached_the_server_is_handled() {
    const CALLS: u64 = 200;
    let (service, done) = sleeper();
    let network = network_with(service);
    for call in 0..CALLS {
        let name = format!("c{call}");
        let _result = sleep_elsewhere(&end(&network, &name), 0);
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

fn a_deleted_end_frees_a_call_whose_reply_is_held_back() {
    let (service, done) = sleeper();
    let network = network_with(service);
    network.set_long_reordering(true);
    let end = end(&network, "c");
    let results: Vec<_> = (0..20).map(|_| sleep_elsewhere(&end, 0)).collect();
    while done.load(SeqCst) < 20 {
        thread::sleep(ms(1));
    }
    thread::sleep(ms(2));
    network.delete_end("c");
    let replies: Vec<_> = results.iter().map(|result| result.recv().expect("the caller lives")).collect();
    assert!(replies.iter().any(|(reply, _)| reply.is_none()), "twenty replies and none was held back");
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
    let (service, _) = sleeper();
    let network = network_with(service);
    let old = end(&network, "c");
    network.delete_end("c");
    let new = end(&network, "c");
    assert_eq!(old.call::<u64, u64>("S.Sleep", &1), None);
    assert_eq!(new.call::<u64, u64>("S.Sleep", &1), Some(1));
}

fn a_request_on_its_way_arrives_although_its_caller_is_gone() {
    let (service, done) = sleeper();
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
fn a_replaced_server_does_not_answer() {
    let (opened, gate) = channel::bounded::<()>(1);
    let network = network_with(Service::new("S").method("Sleep", move |time: u64| {
        gate.recv().expect("the test opens the gate");
        time
    }));
    let end = end(&network, "c");
    let result = sleep_elsewhere(&end, 0);
    until_handled(&network, 1);
    // The handler returns before the next look: the test after it finds out.
    network.add_server("server", Server::new().with(sleeper().0));
    opened.send(()).expect("the handler waits");
    assert_lost_by(&result, ms(5));
    assert_eq!(network.count("server"), 0, "a new server counts from 0");

    let result = sleep_elsewhere(&end, 2950);
    until_handled(&network, 1);
    thread::sleep(ms(120));
    network.delete_server("server");
    assert_lost_by(&result, ms(202));
}

fn a_disabled_end_gives_a_blocked_handler_up() {
    let (service, _) = sleeper();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = sleep_elsewhere(&end, 3000);
    until_handled(&network, 1);
    network.enable("c", false);
    assert_lost_by(&result, ms(102));
}

/// Simulated only: on threads, the disconnection may take long enough to be noticed.
#[test]
fn a_short_disconnection_goes_unnoticed() {
    labstd::simulate(1, || {
        let network = network_with(sleeper().0);
        let end = end(&network, "c");
        let result = sleep_elsewhere(&end, 90);
        until_handled(&network, 1);
        network.enable("c", false);
        thread::sleep(ms(50));
        network.enable("c", true);
        assert_eq!(result.recv().expect("the caller lives").0, Some(90));
    });
}

fn a_new_connection_does_not_disturb_a_call() {
    let (service, _) = sleeper();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = sleep_elsewhere(&end, 250);
    until_handled(&network, 1);
    network.connect("c", "nowhere");
    assert_eq!(result.recv().expect("the caller lives").0, Some(250));
}

fn after_cleanup_calls_return_at_once() {
    let (service, done) = sleeper();
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

fn a_call_under_way_survives_cleanup() {
    let (service, _) = sleeper();
    let network = network_with(service);
    let end = end(&network, "c");
    let result = sleep_elsewhere(&end, 250);
    until_handled(&network, 1);
    network.cleanup();
    assert_eq!(result.recv().expect("the caller lives").0, Some(250));
}

fn without_a_network_calls_return_at_once() {
    let (service, _) = sleeper();
    let network = network_with(service);
    let end = end(&network, "c");
    drop(network);
    assert_eq!(end.call::<u64, u64>("S.Sleep", &0), None);
}

//! Answers that come after the handler's end, and inline calls.

use std::task::Poll;

use labrpc::{Answer, Name, Network, Server, Service, Verdict};
use labstd::channel;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Instant;
use labstd::{Clock, clock};

use crate::harness::{end, ms, network_with, slack, until_handled};

labstd::under_both_clocks!(
    seeds 1..=8;
    an_answer_given_at_once_is_the_reply,
    another_thread_may_give_an_answer_later,
    a_call_whose_answer_is_dropped_fails,
    removing_a_server_ends_the_wait_for_its_answer,
    deleting_an_end_ends_the_wait_for_an_answer,
    a_late_answer_is_discarded,
    deferred_handlers_run_on_the_caller_in_the_servers_group,
    a_call_on_a_reliable_network_is_inline_on_threads,
    a_call_that_may_take_time_is_never_inline,
    an_inline_call_is_counted_like_any_other,
    an_inline_call_fails_if_its_server_is_replaced_meanwhile,
);

/// The requests that a server has not answered yet, with their answers.
type Owed = Arc<Mutex<Vec<(u64, Answer<u64>)>>>;

/// A service whose `Ask` defers every answer.
fn deferring_service() -> (Service, Owed) {
    let owed = Owed::default();
    let later = Arc::clone(&owed);
    let service = Service::new("S").deferred_method("Ask", move |n: u64, answer| later.lock().push((n, answer)));
    (service, owed)
}

/// Calls `Ask` on a new thread and a new end.
fn ask(network: &Network, name: impl Into<Name>, n: u64) -> thread::JoinHandle<Option<u64>> {
    let end = end(network, name);
    thread::spawn("caller", move || end.call("S.Ask", &n))
}

fn an_answer_given_at_once_is_the_reply() {
    let service = Service::new("S").deferred_method("Double", |n: u64, answer: Answer<u64>| answer.give(&(2 * n)));
    let network = network_with(service);
    assert_eq!(end(&network, "c").call::<u64, u64>("S.Double", &21), Some(42));
}

fn another_thread_may_give_an_answer_later() {
    let (service, owed) = deferring_service();
    let network = network_with(service);
    let callers: Vec<_> = (0..5u64).map(|n| ask(&network, n, n)).collect();
    until_handled(&network, 5);
    // Longer than the interval at which the caller checks that the server still exists.
    thread::sleep(ms(250));
    std::mem::take(&mut *owed.lock()).into_iter().for_each(|(n, answer)| answer.give(&(10 * n)));
    let replies: Vec<_> = callers.into_iter().map(|caller| caller.join().expect("no panic")).collect();
    assert_eq!(replies, [Some(0), Some(10), Some(20), Some(30), Some(40)]);
}

fn a_call_whose_answer_is_dropped_fails() {
    let service = Service::new("S").deferred_method("Forget", |(): (), answer: Answer<u64>| drop(answer));
    let network = network_with(service);
    let begun = Instant::now();
    assert_eq!(end(&network, "c").call::<(), u64>("S.Forget", &()), None);
    assert!(begun.elapsed() <= ms(2) + slack(), "the call fails at once, because its answer was dropped");
}

fn removing_a_server_ends_the_wait_for_its_answer() {
    let (service, _owed) = deferring_service();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    let begun = Instant::now();
    network.delete_server("server");
    assert_eq!(caller.join().expect("no panic"), None);
    assert!(begun.elapsed() <= ms(100) + slack(), "the caller polls every 100 ms");
}

fn deleting_an_end_ends_the_wait_for_an_answer() {
    let (service, _owed) = deferring_service();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    let begun = Instant::now();
    network.delete_end("c");
    assert_eq!(caller.join().expect("no panic"), None);
    assert!(begun.elapsed() <= slack(), "the call ends at once");
}

fn a_late_answer_is_discarded() {
    let (service, owed) = deferring_service();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    network.delete_end("c");
    assert_eq!(caller.join().expect("no panic"), None);
    std::mem::take(&mut *owed.lock()).into_iter().for_each(|(n, answer)| answer.give(&n));
}

fn deferred_handlers_run_on_the_caller_in_the_servers_group() {
    let service = Service::new("S").deferred_method("Where", |(): (), answer: Answer<(String, String)>| {
        let group = Group::current().expect("in a run every thread has a group").name().to_string();
        answer.give(&(thread::name(), group));
    });
    let network = Network::new();
    let server = Group::new("S7", None).enter(|| Server::new().with(service));
    network.add_server("server", server);
    let thread_and_group = end(&network, "c").call::<(), (String, String)>("S.Where", &());
    assert_eq!(thread_and_group, Some((thread::name(), "S7".to_string())));
}

/// Calls `method`, and waits if that takes time. Returns the reply, and whether the call was inline.
fn inline_or_wait(network: &Network, name: &str, method: &'static str, n: u64) -> (Option<u64>, bool) {
    let (sender, replies) = channel::bounded(1);
    let on_reply = move |reply: Option<u64>| sender.send(reply).expect("the test waits");
    match end(network, name).call_inline(method, &n, on_reply) {
        Poll::Ready(reply) => {
            assert!(replies.recv().is_err(), "the callback was dropped, and not called");
            (reply, true)
        }
        Poll::Pending => (replies.recv().expect("the callback is called"), false),
    }
}

fn double() -> Service {
    Service::new("S").nonblocking_method("Double", |n: u64| 2 * n)
}

fn a_call_on_a_reliable_network_is_inline_on_threads() {
    let network = network_with(double());
    let (reply, inline) = inline_or_wait(&network, "c", "S.Double", 21);
    assert_eq!(reply, Some(42));
    // In a simulation the seed decides.
    assert!(inline || clock() == Clock::Simulated);
}

fn a_call_that_may_take_time_is_never_inline() {
    let blocking = Service::new("S").method("Double", |n: u64| 2 * n);
    assert_eq!(inline_or_wait(&network_with(blocking), "c", "S.Double", 21), (Some(42), false));
    let deferred = Service::new("S").deferred_method("Double", |n: u64, answer| answer.give(&(2 * n)));
    assert_eq!(inline_or_wait(&network_with(deferred), "c", "S.Double", 21), (Some(42), false));

    let empty = Network::new();
    assert_eq!(inline_or_wait(&empty, "c", "S.Double", 21), (None, false));
    let unreliable = network_with(double());
    unreliable.set_reliable(false);
    assert!(!inline_or_wait(&unreliable, "c", "S.Double", 21).1);
    let reordering = network_with(double());
    reordering.set_long_reordering(true);
    assert!(!inline_or_wait(&reordering, "c", "S.Double", 21).1);
    let intercepted = network_with(double());
    intercepted.intercept(|_| Verdict::Pass);
    assert_eq!(inline_or_wait(&intercepted, "c", "S.Double", 21), (Some(42), false));
}

fn an_inline_call_is_counted_like_any_other() {
    let network = network_with(double());
    end(&network, "a").call::<u64, u64>("S.Double", &1);
    let of_one = (network.total_count(), network.total_bytes(), network.count("server"));
    let _ = inline_or_wait(&network, "b", "S.Double", 1);
    let of_two = (network.total_count(), network.total_bytes(), network.count("server"));
    assert_eq!(of_two, (2 * of_one.0, 2 * of_one.1, 2 * of_one.2));
}

fn an_inline_call_fails_if_its_server_is_replaced_meanwhile() {
    let network = Network::new();
    let handled = Arc::new(AtomicU64::new(0));
    let (replaced, count) = (network.clone(), Arc::clone(&handled));
    let service = Service::new("S").nonblocking_method("Double", move |n: u64| {
        count.fetch_add(1, SeqCst);
        replaced.add_server("server", Server::new().with(double()));
        2 * n
    });
    network.add_server("server", Server::new().with(service));
    assert_eq!(inline_or_wait(&network, "c", "S.Double", 21).0, None, "only a superseded server has handled the call");
    assert_eq!(handled.load(SeqCst), 1);
}

/// Makes `calls` calls in a simulation with this seed. Returns how many of them completed inline.
fn inline_calls(seed: u64, calls: usize) -> usize {
    labstd::simulate(seed, move || {
        let network = network_with(double());
        let end = end(&network, "c");
        let is_inline = |_: &usize| {
            let before = labstd::time::run_elapsed_nanos();
            let inline = end.call_inline("S.Double", &21u64, |_: Option<u64>| {}).is_ready();
            assert!(!inline || labstd::time::run_elapsed_nanos() == before, "an inline call takes no time");
            inline
        };
        (0..calls).filter(is_inline).count()
    })
}

#[test]
fn each_seed_lets_its_own_share_of_calls_complete_inline() {
    const CALLS: usize = 1000;
    let shares: Vec<usize> = (1..=80).map(|seed| inline_calls(seed, CALLS)).collect();
    let without = shares.iter().filter(|&&inline| inline == 0).count();
    assert!((10..=32).contains(&without), "one of four seeds has no inline calls: {shares:?}");
    assert!(shares.iter().all(|&inline| inline < CALLS * 94 / 100), "at least a tenth takes time: {shares:?}");
    let (few, many) = (CALLS * 3 / 10, CALLS * 6 / 10);
    assert!(shares.iter().any(|&inline| 0 < inline && inline < few), "some seeds have few: {shares:?}");
    assert!(shares.iter().any(|&inline| inline > many), "some seeds have many: {shares:?}");
    assert_eq!(inline_calls(7, CALLS), shares[6], "the seed decides");
}

#[test]
fn plain_calls_of_a_share_take_no_time_either() {
    let instant = |seed| {
        labstd::simulate(seed, || {
            let network = network_with(double());
            let end = end(&network, "c");
            (0..200)
                .filter(|_| {
                    let before = labstd::time::run_elapsed_nanos();
                    assert_eq!(end.call::<u64, u64>("S.Double", &21), Some(42));
                    labstd::time::run_elapsed_nanos() == before
                })
                .count()
        })
    };
    let shares: Vec<usize> = (1..=20).map(instant).collect();
    assert!(shares.contains(&0) && shares.iter().any(|&calls| calls > 20), "{shares:?}");
}

//! Answers that come later than the handler's end, and calls that take no time.

use labrpc::{Answer, Name, Network, Prompt, Server, Service, Verdict};
use labstd::channel;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Instant;
use labstd::{Clock, clock};

mod both;
use both::{end, ms, network_with, slack, under_both_clocks, until_handled};

under_both_clocks!(
    an_answer_that_is_given_at_once_is_the_reply,
    an_answer_may_be_given_later_by_another_thread,
    a_call_whose_answer_is_dropped_fails,
    nobody_waits_for_the_answer_of_a_server_that_is_gone,
    a_deleted_end_frees_a_call_that_waits_for_its_answer,
    a_late_answer_reaches_nobody,
    a_deferred_handler_runs_on_the_callers_thread_in_the_servers_group,
    a_call_to_which_nothing_can_happen_is_made_at_once_on_threads,
    a_call_that_may_wait_is_never_made_at_once,
    a_prompt_call_is_counted_as_any_other,
    a_prompt_call_to_a_server_that_was_replaced_meanwhile_fails,
);

/// The answers that a server owes.
type Owed = Arc<Mutex<Vec<(u64, Answer<u64>)>>>;

/// A service whose `Ask` answers nothing by itself.
fn debtor() -> (Service, Owed) {
    let owed = Owed::default();
    let later = Arc::clone(&owed);
    let service = Service::new("S").deferred_method("Ask", move |n: u64, answer| later.lock().push((n, answer)));
    (service, owed)
}

/// Calls `Ask` from a thread of its own, on a new end.
fn ask(network: &Network, name: impl Into<Name>, n: u64) -> thread::JoinHandle<Option<u64>> {
    let end = end(network, name);
    thread::spawn("caller", move || end.call("S.Ask", &n))
}

fn an_answer_that_is_given_at_once_is_the_reply() {
    let service = Service::new("S").deferred_method("Double", |n: u64, answer: Answer<u64>| answer.give(&(2 * n)));
    let network = network_with(service);
    assert_eq!(end(&network, "c").call::<u64, u64>("S.Double", &21), Some(42));
}

fn an_answer_may_be_given_later_by_another_thread() {
    let (service, owed) = debtor();
    let network = network_with(service);
    let callers: Vec<_> = (0..5u64).map(|n| ask(&network, n, n)).collect();
    until_handled(&network, 5);
    // Longer than it takes to look whether the server is still there.
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
    assert!(begun.elapsed() <= ms(2) + slack(), "at once: nobody is left who could answer");
}

fn nobody_waits_for_the_answer_of_a_server_that_is_gone() {
    let (service, _owed) = debtor();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    let begun = Instant::now();
    network.delete_server("server");
    assert_eq!(caller.join().expect("no panic"), None);
    assert!(begun.elapsed() <= ms(100) + slack(), "it looks every 100 ms");
}

fn a_deleted_end_frees_a_call_that_waits_for_its_answer() {
    let (service, _owed) = debtor();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    let begun = Instant::now();
    network.delete_end("c");
    assert_eq!(caller.join().expect("no panic"), None);
    assert!(begun.elapsed() <= slack(), "at once");
}

fn a_late_answer_reaches_nobody() {
    let (service, owed) = debtor();
    let network = network_with(service);
    let caller = ask(&network, "c", 1);
    until_handled(&network, 1);
    network.delete_end("c");
    assert_eq!(caller.join().expect("no panic"), None);
    std::mem::take(&mut *owed.lock()).into_iter().for_each(|(n, answer)| answer.give(&n));
}

fn a_deferred_handler_runs_on_the_callers_thread_in_the_servers_group() {
    let service = Service::new("S").deferred_method("Where", |(): (), answer: Answer<(String, String)>| {
        let group = Group::current().expect("in a run every thread has a group").name().to_string();
        answer.give(&(thread::name(), group));
    });
    let network = Network::new();
    let server = Group::new("S7", None).enter(|| Server::new().with(service));
    network.add_server("server", server);
    let place = end(&network, "c").call::<(), (String, String)>("S.Where", &());
    assert_eq!(place, Some((thread::name(), "S7".to_string())));
}

/// Calls `method`, and waits if that takes time; returns the reply, and whether it was there at once.
fn promptly(network: &Network, name: &str, method: &'static str, n: u64) -> (Option<u64>, bool) {
    let (sender, replies) = channel::bounded(1);
    let on_reply = move |reply: Option<u64>| sender.send(reply).expect("the test waits");
    match end(network, name).call_promptly(method, &n, on_reply) {
        Prompt::Done(reply) => {
            assert!(replies.recv().is_err(), "the callback was dropped, and not called");
            (reply, true)
        }
        Prompt::UnderWay => (replies.recv().expect("the callback is called"), false),
    }
}

fn double() -> Service {
    Service::new("S").nonblocking_method("Double", |n: u64| 2 * n)
}

fn a_call_to_which_nothing_can_happen_is_made_at_once_on_threads() {
    let network = network_with(double());
    // In a simulation each message takes time.
    assert_eq!(promptly(&network, "c", "S.Double", 21), (Some(42), clock() == Clock::Threads));
}

fn a_call_that_may_wait_is_never_made_at_once() {
    let blocking = Service::new("S").method("Double", |n: u64| 2 * n);
    assert_eq!(promptly(&network_with(blocking), "c", "S.Double", 21), (Some(42), false));
    let deferred = Service::new("S").deferred_method("Double", |n: u64, answer| answer.give(&(2 * n)));
    assert_eq!(promptly(&network_with(deferred), "c", "S.Double", 21), (Some(42), false));

    let nobody = Network::new();
    assert_eq!(promptly(&nobody, "c", "S.Double", 21), (None, false));
    let unreliable = network_with(double());
    unreliable.set_reliable(false);
    assert!(!promptly(&unreliable, "c", "S.Double", 21).1);
    let reordering = network_with(double());
    reordering.set_long_reordering(true);
    assert!(!promptly(&reordering, "c", "S.Double", 21).1);
    let intercepted = network_with(double());
    intercepted.intercept(|_| Verdict::Pass);
    assert_eq!(promptly(&intercepted, "c", "S.Double", 21), (Some(42), false));
}

fn a_prompt_call_is_counted_as_any_other() {
    let network = network_with(double());
    end(&network, "a").call::<u64, u64>("S.Double", &1);
    let of_one = (network.total_count(), network.total_bytes(), network.count("server"));
    let _ = promptly(&network, "b", "S.Double", 1);
    let of_two = (network.total_count(), network.total_bytes(), network.count("server"));
    assert_eq!(of_two, (2 * of_one.0, 2 * of_one.1, 2 * of_one.2));
}

fn a_prompt_call_to_a_server_that_was_replaced_meanwhile_fails() {
    let network = Network::new();
    let handled = Arc::new(AtomicU64::new(0));
    let (replaced, count) = (network.clone(), Arc::clone(&handled));
    let service = Service::new("S").nonblocking_method("Double", move |n: u64| {
        count.fetch_add(1, SeqCst);
        replaced.add_server("server", Server::new().with(double()));
        2 * n
    });
    network.add_server("server", Server::new().with(service));
    assert_eq!(promptly(&network, "c", "S.Double", 21).0, None, "only a superseded server has seen it");
    assert_eq!(handled.load(SeqCst), 1);
}

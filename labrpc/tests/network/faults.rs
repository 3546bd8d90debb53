//! The faults of an unreliable network, measured over many simulated calls against the course's numbers (spec of the
//! course's labrpc: constants and life of a call). A seed must repeat them. Bounds on shares and means are four
//! standard deviations of the specified distribution. Because the seeds are fixed, a test either always passes or
//! never.

use labrpc::{ClientEnd, Network, Service};
use labstd::simulate;
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicU64, Ordering::SeqCst};
use labstd::thread;
use labstd::time::{Duration, Instant};

use crate::harness::{end, ms, network_with};

/// The observed outcome of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Observed {
    handled: bool,
    answered: bool,
    took: Duration,
}

/// Makes `calls` calls, one after the other, on a network that `prepare` configures.
fn measure(seed: u64, calls: usize, prepare: impl FnOnce(&Network) + Send + 'static) -> Vec<Observed> {
    simulate(seed, move || {
        let handled = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&handled);
        let network = network_with(Service::new("S").nonblocking_method("Count", move |(): ()| {
            counted.fetch_add(1, SeqCst);
        }));
        let end = end(&network, "c");
        prepare(&network);
        (0..calls).map(|_| one_call(&end, &handled)).collect()
    })
}

fn one_call(end: &ClientEnd, handled: &AtomicU64) -> Observed {
    let (before, begun) = (handled.load(SeqCst), Instant::now());
    let answered = end.call::<(), ()>("S.Count", &()).is_some();
    Observed { handled: handled.load(SeqCst) > before, answered, took: begun.elapsed() }
}

/// Asserts that `count` of `total` fits an event of this probability, within four standard deviations.
#[track_caller]
fn assert_share(count: usize, total: usize, probability: f64) {
    let share = count as f64 / total as f64;
    let bound = 4.0 * (probability * (1.0 - probability) / total as f64).sqrt();
    assert!((share - probability).abs() < bound, "{count} of {total} is {share:.4}, not {probability:.4} ± {bound:.4}");
}

/// Asserts that the mean of `times` is `mean`, within four standard deviations of the mean. All are in milliseconds.
#[track_caller]
fn assert_mean(times: &[Duration], mean: f64, deviation: f64) {
    let found = times.iter().map(Duration::as_secs_f64).sum::<f64>() * 1000.0 / times.len() as f64;
    let bound = 4.0 * deviation / (times.len() as f64).sqrt();
    assert!((found - mean).abs() < bound, "the mean of {} is {found:.3} ms, not {mean} ± {bound:.3}", times.len());
}

/// Returns the standard deviation of a uniform distribution.
fn uniform_deviation(from: f64, to: f64) -> f64 {
    (to - from) / 12f64.sqrt()
}

fn times(observed: &[Observed], wanted: impl Fn(&Observed) -> bool) -> Vec<Duration> {
    observed.iter().filter(|call| wanted(call)).map(|call| call.took).collect()
}

/// Returns the distinct values of `times` in milliseconds, sorted. Each time must be a whole number of milliseconds.
fn whole_ms(times: &[Duration]) -> Vec<u128> {
    assert!(times.iter().all(|time| time.subsec_nanos() % 1_000_000 == 0), "delays are whole milliseconds");
    let mut found: Vec<_> = times.iter().map(Duration::as_millis).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn on_a_reliable_network_a_call_takes_two_hops_or_no_time() {
    let observed = measure(1, 10_000, |_| {});
    assert!(observed.iter().all(|call| call.handled && call.answered));
    // The others complete inline: they take no time at all.
    let took = times(&observed, |call| !call.took.is_zero());
    assert!(took.len() > 1000, "at least a tenth of the calls travels");
    assert!(took.iter().all(|took| (Duration::from_micros(400)..ms(2)).contains(took)));
    assert_mean(&took, 1.2, uniform_deviation(0.2, 1.0) * 2f64.sqrt());
}

#[test]
fn an_unreliable_network_loses_and_delays() {
    const CALLS: usize = 40_000;
    let observed = measure(2, CALLS, |network| network.set_reliable(false));
    let lost_requests = times(&observed, |call| !call.handled);
    let lost_replies = times(&observed, |call| call.handled && !call.answered);
    let successes = times(&observed, |call| call.answered);
    assert!(observed.iter().all(|call| call.handled || !call.answered));
    assert_share(lost_requests.len(), CALLS, 0.1);
    assert_share(lost_replies.len(), CALLS - lost_requests.len(), 0.1);
    assert_share(successes.len(), CALLS, 0.81);

    // A call with a lost request ends after its delay, 0 to 26 ms. One with a lost reply takes a hop more, a success
    // two.
    assert_eq!(whole_ms(&lost_requests), (0..=26).collect::<Vec<_>>());
    let delay = uniform_deviation(-0.5, 26.5);
    assert_mean(&lost_requests, 13.0, delay);
    assert_mean(&lost_replies, 13.6, delay);
    assert_mean(&successes, 14.2, delay);
    assert!(successes.iter().all(|took| (Duration::from_micros(400)..ms(28)).contains(took)));
    assert!(lost_replies.iter().all(|took| (Duration::from_micros(200)..ms(27)).contains(took)));
}

#[test]
fn an_unreachable_call_fails_within_100_ms() {
    let disabled = measure(3, 5_000, |network| network.enable("c", false));
    let deleted = measure(4, 5_000, |network| network.delete_server("server"));
    let unknown = measure(5, 5_000, |network| network.connect("c", "nobody"));
    for observed in [disabled, deleted, unknown] {
        let took = times(&observed, |call| !call.handled && !call.answered);
        assert_eq!(took.len(), observed.len());
        assert_eq!(whole_ms(&took), (0..=99).collect::<Vec<_>>());
        assert_mean(&took, 49.5, uniform_deviation(-0.5, 99.5));
    }
}

#[test]
fn an_unreachable_call_with_long_delays_fails_within_7_s() {
    let observed = measure(6, 40_000, |network| {
        network.set_long_delays(true);
        network.enable("c", false);
    });
    let took = times(&observed, |call| !call.handled && !call.answered);
    assert_eq!(took.len(), observed.len());
    let found = whole_ms(&took);
    assert!(found.first() < Some(&3) && found.last() > Some(&6996) && found.last() < Some(&7000), "{found:?}");
    assert_mean(&took, 3499.5, uniform_deviation(-0.5, 6999.5));
}

#[test]
fn long_reordering_delays_two_in_three_replies() {
    const CALLS: usize = 40_000;
    let observed = measure(7, CALLS, |network| network.set_long_reordering(true));
    assert!(observed.iter().all(|call| call.handled && call.answered));
    let undelayed = times(&observed, |call| call.took < ms(2));
    let mut delayed = times(&observed, |call| call.took >= ms(2));
    assert_share(delayed.len(), CALLS, 2.0 / 3.0);
    assert_mean(&undelayed, 1.2, uniform_deviation(0.2, 1.0) * 2f64.sqrt());

    delayed.sort_unstable();
    let (first, last) = (delayed[0], delayed[delayed.len() - 1]);
    assert!(first >= ms(200) && first < ms(202), "the first came after {first:?}");
    assert!(last > ms(2100) && last < ms(2202), "the last came after {last:?}");
    // d = 200 + U{0..U{0..1999}} has mean 699.75 and standard deviation 441; two hops of 0.6 ms on top.
    assert_mean(&delayed, 699.75 + 1.2, 441.0);
    let median = delayed[delayed.len() / 2].as_secs_f64() * 1000.0;
    assert!((median - 574.2).abs() < 15.0, "the median is {median}");
}

#[test]
fn reordering_does_not_change_the_share_of_successes() {
    const CALLS: usize = 20_000;
    let observed = measure(8, CALLS, |network| {
        network.set_reliable(false);
        network.set_long_reordering(true);
    });
    assert_share(times(&observed, |call| call.answered).len(), CALLS, 0.81);
    assert_share(times(&observed, |call| call.answered && call.took > ms(30)).len(), CALLS, 0.54);
    assert!(times(&observed, |call| !call.answered).iter().all(|took| *took < ms(28)));
}

/// A reply, and the time of its arrival.
type TimedReply = (Option<u64>, Duration);

/// Runs ten concurrent callers, each on its own end. Returns their replies and the hash of the schedule.
fn ten_callers(seed: u64) -> (Vec<Vec<TimedReply>>, u64) {
    let outcome = labstd::Run::simulated(seed).execute(|| {
        let network = network_with(Service::new("S").method("Double", |n: u64| {
            thread::sleep(ms(n % 7));
            2 * n
        }));
        network.set_reliable(false);
        network.set_long_reordering(true);
        let callers = (0..10u64).map(|caller| {
            let end = end(&network, caller);
            thread::spawn(format!("caller {caller}"), move || {
                let call = |n: u64| (end.call("S.Double", &n), labstd::time::run_elapsed());
                (0..50).map(call).collect::<Vec<_>>()
            })
        });
        callers.collect::<Vec<_>>().into_iter().map(|caller| caller.join().expect("no panic")).collect()
    });
    (outcome.result.expect("the run passes"), outcome.stats.schedule_hash)
}

#[test]
fn a_seed_repeats_every_call() {
    for seed in 1..=10 {
        assert_eq!(ten_callers(seed), ten_callers(seed));
    }
    assert_ne!(ten_callers(1), ten_callers(2));
}

#[test]
fn calls_on_one_end_do_not_change_the_faults_of_another() {
    let with_calls_on_the_other = |others: usize| {
        simulate(9, move || {
            let network = network_with(Service::new("S").nonblocking_method("Count", |(): ()| ()));
            network.set_reliable(false);
            let (one, other) = (end(&network, "one"), end(&network, "other"));
            let handled = AtomicU64::new(0);
            let one_of_two = |_| {
                (0..others).for_each(|_| _ = other.call::<(), ()>("S.Count", &()));
                one_call(&one, &handled)
            };
            (0..200).map(one_of_two).collect::<Vec<_>>()
        })
    };
    assert_eq!(with_calls_on_the_other(0), with_calls_on_the_other(3));
}

#[test]
fn a_reliable_phase_does_not_change_later_faults() {
    let with_a_phase = |reliable: bool| {
        simulate(10, move || {
            let network = network_with(Service::new("S").nonblocking_method("Count", |(): ()| ()));
            let end = end(&network, "c");
            let handled = AtomicU64::new(0);
            network.set_reliable(reliable);
            (0..100).for_each(|_| _ = one_call(&end, &handled));
            network.set_reliable(false);
            (0..100).map(|_| one_call(&end, &handled)).collect::<Vec<_>>()
        })
    };
    assert_eq!(with_a_phase(true), with_a_phase(false));
}

#[test]
fn a_calm_network_has_no_faults_and_keeps_its_draws() {
    const CALLS: usize = 2000;
    let calm_from = ms(20_000);
    let run = |calm: bool| {
        measure(9, CALLS, move |network| {
            network.set_reliable(false);
            network.set_long_reordering(true);
            if calm {
                network.calm_from(calm_from);
                assert!(!network.is_calm());
            }
        })
    };
    let (all, calm) = (run(false), run(true));
    let since_begin = |observed: &[Observed]| {
        let mut now = Duration::ZERO;
        let mut begun = |took| {
            now += took;
            now - took
        };
        observed.iter().map(|call| (begun(call.took), *call)).collect::<Vec<_>>()
    };
    let (all, calm) = (since_begin(&all), since_begin(&calm));
    // Up to that moment it is the same run. Calls that began before it keep their faults.
    let same = calm.iter().take_while(|(begun, _)| *begun < calm_from).count();
    assert!(same > 10 && same < CALLS / 2, "{same} calls before the moment");
    assert_eq!(calm[..same], all[..same]);
    // After it nothing goes wrong, and a call takes its two hops or completes inline.
    assert!(calm[same..].iter().all(|(_, call)| call.handled && call.answered && call.took < ms(2)));
    assert!(all[same..].iter().any(|(_, call)| !call.answered));
    // The draws stay the same: the hops of a call are equal, and its other delays are whole milliseconds.
    let travelled = calm[same..].iter().filter(|(_, call)| !call.took.is_zero()).count();
    assert!(travelled > CALLS / 20, "{travelled} calls travelled");
    let pairs = all[same..].iter().zip(&calm[same..]);
    let answered = pairs.filter(|((_, with), (_, without))| with.answered && !without.took.is_zero());
    let more: Vec<Duration> = answered.map(|((_, with), (_, without))| with.took - without.took).collect();
    assert!(more.len() > CALLS / 40 && whole_ms(&more).len() > 20);
}

#[test]
fn an_unreachable_call_on_a_calm_network_fails_soon() {
    let took = simulate(3, || {
        let network = network_with(Service::new("S").nonblocking_method("Nothing", |(): ()| ()));
        let end = end(&network, "c");
        network.enable("c", false);
        network.set_long_delays(true);
        network.calm_from(Duration::ZERO);
        assert!(network.is_calm() && network.is_long_delays(), "the setting itself is unchanged");
        let begun = Instant::now();
        (0..100).for_each(|_| assert_eq!(end.call::<(), ()>("S.Nothing", &()), None));
        begun.elapsed()
    });
    assert!(took < ms(100 * 100), "{took:?} for 100 calls");
}

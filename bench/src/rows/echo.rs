//! The cost of a call over `labrpc`: a small struct there and back, on a reliable network, in a run on threads.

use labrpc::{ClientEnd, Network, Server, Service};
use labstd::thread;
use labstd::time::{Duration, Instant};
use labstd::{Outcome, Run};
use record::{Recorder, Scope};
use serde::{Deserialize, Serialize};

use crate::cpu;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const ECHO_1: Row = Row {
    name: "echo-1",
    what: "labrpc, an integer and 16 bytes each way, 1 caller, a call",
    against: "Go: 25.7 us; 43.8 us",
    targets: &[
        Target { label: "one core", unit: Unit::Seconds, must: 4e-6, goal: 0.3e-6 },
        Target { label: "two cores", unit: Unit::Seconds, must: 10e-6, goal: 0.5e-6 },
    ],
    slow: false,
    measure: echo_1,
};

pub(super) const ECHO_16: Row = Row {
    name: "echo-16",
    what: "the same, 16 callers, two cores",
    against: "Go: 42.8 k/s",
    targets: &[Target { label: "", unit: Unit::EachSecond, must: 220e3, goal: 1.7e6 }],
    slow: false,
    measure: echo_16,
};

/// Duration of each measurement.
const MEASURED: Duration = Duration::from_millis(500);

/// Number of calls between two readings of the clock.
const CALLS_PER_CLOCK_READ: u64 = 64;

/// The request and the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Message {
    number: i64,
    text: String,
}

fn echo_1(setting: &Setting) -> Measured {
    let rounds = (0..setting.rounds).map(|_| [1, 2].map(|cores| 1.0 / calls_a_second(1, cores, false)));
    let samples = Samples::of_rounds(rounds);
    let recorded = [1, 2].map(|cores| Unit::Seconds.show(1.0 / calls_a_second(1, cores, true)));
    let [one, two] = recorded;
    Ok(samples.note(format!("without a recorder; with one: {one} on one core, {two} on two")))
}

fn echo_16(setting: &Setting) -> Measured {
    let samples = Samples::of_rounds((0..setting.rounds).map(|_| [calls_a_second(16, 2, false)]));
    let recorded = Unit::EachSecond.show(calls_a_second(16, 2, true));
    Ok(samples.note(format!("without a recorder; with one: {recorded}")))
}

/// Returns the calls per second of `callers` callers on `cores` cores. Each caller is a closed loop on its own end.
fn calls_a_second(callers: usize, cores: usize, recorded: bool) -> f64 {
    cpu::on_cores(cores, || {
        let mut run = Run::threads(1);
        if recorded {
            run = run.context(Scope::new(&Recorder::default(), None).into_context());
        }
        let Outcome { result, .. } = run.execute(move || {
            let network = Network::new();
            let echo = Service::new("Echo").nonblocking_method("Say", |message: Message| message);
            network.add_server("server", Server::new().with(echo));
            let begun = Instant::now();
            let callers: Vec<_> = (0..callers)
                .map(|caller| {
                    let name = format!("caller-{caller}");
                    let end = network.make_end(name.as_str());
                    network.connect(name.as_str(), "server");
                    network.enable(name.as_str(), true);
                    thread::spawn(name, move || call_until(begun + MEASURED, &end))
                })
                .collect();
            let calls: u64 = callers.into_iter().map(|caller| caller.join().expect("a caller does not panic")).sum();
            let elapsed = begun.elapsed();
            network.cleanup();
            calls as f64 / elapsed.as_secs_f64()
        });
        result.expect("the run passes")
    })
}

/// Makes calls until `until`. Returns their number.
fn call_until(until: Instant, end: &ClientEnd) -> u64 {
    let message = Message { number: 42, text: "16 bytes of text".to_string() };
    let mut calls = 0;
    while Instant::now() < until {
        for _ in 0..CALLS_PER_CLOCK_READ {
            let reply: Option<Message> = end.call("Echo.Say", &message);
            assert_eq!(reply.as_ref(), Some(&message), "a reliable network loses nothing");
        }
        calls += CALLS_PER_CLOCK_READ;
    }
    calls
}

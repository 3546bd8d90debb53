//! One story under both clocks, and the little network that most stories use.

#![allow(dead_code, unused_macros, unused_imports, reason = "each test program uses its own part of this")]

use labrpc::{ClientEnd, Name, Network, Server, Service};
use labstd::thread;
use labstd::time::Duration;

/// Turns functions into tests: `simulated::NAME` runs it with several seeds, `threads::NAME` on OS threads.
macro_rules! under_both_clocks {
    ($($name:ident),+ $(,)?) => {
        mod simulated {
            $(#[test] fn $name() { (1..=8).for_each(|seed| labstd::simulate(seed, super::$name)); })+
        }
        mod threads {
            $(#[test] fn $name() { labstd::run(super::$name); })+
        }
    };
}
pub(crate) use under_both_clocks;

/// What a wait may take longer on threads, where the machine may be busy; nothing in a simulation.
pub(crate) fn slack() -> Duration {
    match labstd::clock() {
        labstd::Clock::Simulated => Duration::ZERO,
        labstd::Clock::Threads => Duration::from_millis(1500),
    }
}

/// A network with one server "server" that offers `service`.
pub(crate) fn network_with(service: Service) -> Network {
    let network = Network::new();
    network.add_server("server", Server::new().with(service));
    network
}

/// A new end, connected to "server" and enabled.
pub(crate) fn end(network: &Network, name: impl Into<Name>) -> ClientEnd {
    end_to(network, name, "server")
}

/// A new end, connected and enabled.
pub(crate) fn end_to(network: &Network, name: impl Into<Name>, server: impl Into<Name>) -> ClientEnd {
    let name = name.into();
    let end = network.make_end(&name);
    network.connect(&name, server);
    network.enable(&name, true);
    end
}

/// Waits until so many requests have reached the handlers of "server".
pub(crate) fn until_handled(network: &Network, requests: u64) {
    while network.count("server") < requests {
        thread::sleep(ms(1));
    }
}

/// `ms(5)` reads better in a story than `Duration::from_millis(5)`.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

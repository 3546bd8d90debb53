//! The small network that most tests use.

use labrpc::{ClientEnd, Name, Network, Server, Service};
use labstd::thread;
use labstd::time::Duration;

/// The tolerance of a time limit: 1.5 s on threads, because the machine may be busy, and none in a simulation.
pub(crate) fn slack() -> Duration {
    match labstd::clock() {
        labstd::Clock::Simulated => Duration::ZERO,
        labstd::Clock::Threads => Duration::from_millis(1500),
    }
}

/// Makes a network with one server "server" that offers `service`.
pub(crate) fn network_with(service: Service) -> Network {
    let network = Network::new();
    network.add_server("server", Server::new().with(service));
    network
}

/// Makes an end that is connected to "server" and enabled.
pub(crate) fn end(network: &Network, name: impl Into<Name>) -> ClientEnd {
    end_to(network, name, "server")
}

/// Makes an end that is connected to `server` and enabled.
pub(crate) fn end_to(network: &Network, name: impl Into<Name>, server: impl Into<Name>) -> ClientEnd {
    let name = name.into();
    let end = network.make_end(&name);
    network.connect(&name, server);
    network.enable(&name, true);
    end
}

/// Waits until `requests` requests have reached the handlers of "server".
pub(crate) fn until_handled(network: &Network, requests: u64) {
    while network.count("server") < requests {
        thread::sleep(ms(1));
    }
}

/// Returns `n` milliseconds; `ms(5)` is easier to read in a test than `Duration::from_millis(5)`.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

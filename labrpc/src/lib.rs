//! The unreliable in-process network of the lab: the course's `labrpc`, in Rust, under both clocks of [`labstd`].
//!
//! A [`Server`] offers [`Service`]s; a [`ClientEnd`] calls the one server that it is connected to; the [`Network`]
//! between them loses, delays and reorders what the test tells it to. Every message is really encoded and decoded with
//! [`labgob`], so that servers share nothing, and the bytes are counted.
//!
//! ```
//! use labrpc::{Network, Server, Service};
//!
//! let reply = labstd::simulate(1, || {
//!     let network = Network::new();
//!     let echo = Service::new("Echo").nonblocking_method("Double", |n: u64| 2 * n);
//!     network.add_server("server", Server::new().with(echo));
//!
//!     let end = network.make_end("client");
//!     network.connect("client", "server");
//!     network.enable("client", true);
//!     end.call::<u64, u64>("Echo.Double", &21)
//! });
//! assert_eq!(reply, Some(42));
//! ```
//!
//! # The life of a call
//!
//! | network | the handler runs | the call succeeds | it takes |
//! |---|---|---|---|
//! | reliable | always | always | as long as the handler |
//! | unreliable | 90 % | 81 % | 0 to 26 ms more; a lost message fails the call at once, not by a time limit |
//! | long reordering | | | two in three replies are held back for 200 to 2199 ms more |
//! | end disabled, or no such server | never | never | 0 to 99 ms |
//! | the same, with long delays | never | never | 0 to 6999 ms |
//! | server removed or replaced, or end disabled, while the handler runs | yes | never | until the next look, every 100 ms |
//! | end deleted | perhaps | never | no time |
//! | after [`Network::cleanup`] | never | never | no time |
//!
//! The network's state is read once, when the call begins. Messages may overtake each other; none is duplicated. In a
//! simulation each message that arrives takes 0.2 to 1 ms more, because on a network that takes no time a closed loop
//! of calls would keep the clock from moving.
//!
//! # Which thread does what
//!
//! The caller's thread does everything, waits included. A handler declared by [`Service::nonblocking_method`] runs on
//! it too: on OS threads and a reliable network, such a call is two encodings, two decodings and no hand-over at all.
//! So does one declared by [`Service::deferred_method`], which does not block either but may leave the [`Answer`] to
//! somebody else; the caller waits for that. One declared by [`Service::method`] may block; it runs on a pooled thread of
//! the network, so that its caller can stop waiting. [`ClientEnd::call_async`] makes a call on a pooled thread, and
//! [`ClientEnd::call_promptly`] does so unless the call takes no time. No thread is ever started for a single call while
//! another is idle.
//!
//! A handler runs in the thread group in which its [`Server`] was made: what it starts, logs and records belongs to the
//! server, whatever thread it is on.
//!
//! # Chance
//!
//! Each end draws from a stream of the run's seed that has its own name, and in a simulation draws the same for each
//! call whatever is switched on: what happens on one link depends neither on the others nor on the past of the flags.
//!
//! # Calm
//!
//! [`Network::calm_from`] sets a moment from which on nothing goes wrong any more by chance. Until then a simulated run is the
//! one that it would be without: what a failure needs of the faults before it is found by leaving out those at the end.
//!
//! # Faults by hand
//!
//! [`Network::intercept`] lets a test drop, delay or hold single messages.

mod answer;
mod call;
mod end;
mod fate;
mod intercept;
mod letterbox;
mod name;
mod network;
mod packet;
mod pool;
mod prompt;
mod server;
mod service;
mod trace;

pub use answer::Answer;
pub use end::ClientEnd;
pub use intercept::{Direction, Held, Message, Verdict};
pub use name::Name;
pub use network::Network;
pub use prompt::Prompt;
pub use server::Server;
pub use service::Service;

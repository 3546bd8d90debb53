//! The unreliable in-process network of the lab: the course's `labrpc`, in Rust, under both clocks of [`labstd`].
//!
//! A [`Server`] offers [`Service`]s. A [`ClientEnd`] calls the one server that it is connected to. The [`Network`]
//! between them loses, delays and reorders messages as the test tells it to. Every message is really encoded and
//! decoded with [`labgob`], so that servers share nothing, and the bytes are counted.
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
//! | long reordering | | | two in three replies are delayed by 200 to 2199 ms more |
//! | end disabled, or no such server | never | never | 0 to 99 ms |
//! | the same, with long delays | never | never | 0 to 6999 ms |
//! | server removed or replaced, or end disabled, while the handler runs | yes | never | until the next 100 ms poll |
//! | end deleted | perhaps | never | no time |
//! | after [`Network::cleanup`] | never | never | no time |
//!
//! The network's state is read once, when the call begins. Messages may overtake each other; none is duplicated. In a
//! simulation each message that arrives takes 0.2 to 1 ms more, because on a network that takes no time a closed loop
//! of calls would keep the clock from moving. A share of the calls on a reliable network is exempt: they complete
//! inline, as all such calls do on threads. The seed draws the share, from 0 to 90 %, and then for each call whether it
//! is exempt.
//!
//! # Threads
//!
//! The caller's thread performs the whole call, waits included. Where the handler runs depends on its declaration:
//!
//! - [`Service::nonblocking_method`]: on the caller's thread. On OS threads and a reliable network, such a call costs
//!   two encodings, two decodings and no handover between threads.
//! - [`Service::deferred_method`]: on the caller's thread as well. The handler does not block, but another thread may
//!   give the [`Answer`] later. The caller waits for it.
//! - [`Service::method`]: on a pooled thread of the network, because the handler may block and its caller must be able
//!   to stop waiting.
//!
//! [`ClientEnd::call_async`] makes a call on a pooled thread, and [`ClientEnd::call_inline`] does so unless the call
//! takes no time. The network starts a thread only when no pooled thread is idle.
//!
//! A handler runs in the thread group in which its [`Server`] was made. The threads that it starts and the lines and
//! events that it emits belong to the server, whatever thread the handler is on.
//!
//! # Chance
//!
//! Each end draws from its own random stream, derived from the run's seed and the end's name. In a simulation it draws
//! the same numbers for each call whatever is switched on. So the events on one link depend neither on other links nor
//! on earlier settings.
//!
//! # Calm
//!
//! [`Network::calm_from`] sets a moment at which all faults by chance stop. Up to that moment a simulated run is the
//! same run as without it. This finds the faults that a failure needs: leave out the last ones and see whether it still
//! fails.
//!
//! # Faults by hand
//!
//! [`Network::intercept`] lets a test drop, delay or hold single messages.

mod answer;
mod call;
mod client_end;
mod config;
mod end;
mod faults;
mod inline;
mod intercept;
mod name;
mod network;
mod payload;
mod pool;
mod reply_slot;
mod server;
mod service;
mod shared;
mod trace;
mod waits;

pub use answer::Answer;
pub use client_end::ClientEnd;
pub use intercept::{Direction, Held, Message, Verdict};
pub use name::Name;
pub use network::Network;
pub use server::Server;
pub use service::Service;

//! The port of a server and its connections. One thread accepts. Each connection has a thread that reads it, and a
//! client's connection has a second one that writes. A connection that breaks a rule is closed and the reason is
//! logged; the others are unaffected.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::hello::{self, Peer};
use super::hello_reply::hello_reply;
use super::listener_context::ListenerContext;
use super::outbox::Outbox;
use super::registry::{ConnectionSlot, Registry};
use super::warnings::Warnings;
use super::{Handler, Identity, Limits, WireError, sessions, socket};

/// Time limit of [`Listener::stop`] for threads that a handler blocks.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The backoff after a failed accept. When file descriptors run out, some connections must end first.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A server's open port, which serves connections.
pub struct Listener {
    address: SocketAddr,
    registry: Arc<Registry>,
    accepting: Option<JoinHandle<()>>,
}

/// A bound port that serves no connections yet, so that a server can know its own address before it is built.
#[derive(Debug)]
pub struct BoundPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the port at `address`, such as `127.0.0.1:7000`; port 0 means any free port. Connections are opened from
    /// now on, and served after [`BoundPort::serve`].
    ///
    /// # Errors
    ///
    /// One line that names the address, the problem, and what to do.
    pub fn bind(address: &str) -> io::Result<BoundPort> {
        let candidates = socket::resolve(address)?;
        let listener = TcpListener::bind(&*candidates).map_err(|error| {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => "another program has this port: stop it, or choose another port",
                ErrorKind::AddrNotAvailable => "this machine does not have this address: choose one of its own",
                ErrorKind::PermissionDenied => "this port is reserved: choose one above 1023",
                _ => "choose another address",
            };
            io::Error::new(error.kind(), format!("cannot listen on {address} ({error}): {advice}"))
        })?;
        let address = listener.local_addr()?;
        Ok(BoundPort { listener, address })
    }

    /// Returns the address of the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of open connections of all kinds.
    pub fn connections(&self) -> usize {
        self.registry.len()
    }

    /// Closes the port and all connections, and waits for their threads. It waits at most 5 s for a handler that does
    /// not return. Then it logs this and abandons the thread.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.registry.stop();
        let deadline = Instant::now() + STOP_PATIENCE;
        // The accepting thread checks for a stop after each connection, so this opens one.
        while !accepting.is_finished() && Instant::now() < deadline {
            let wake_up = TcpStream::connect_timeout(&reachable(self.address), Duration::from_millis(200));
            if wake_up.is_err() || !accepting.is_finished() {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let left = self.registry.wait_until_empty(deadline.saturating_duration_since(Instant::now()));
        if left > 0 {
            log::error!("{}: handlers still block {left} connections, which are abandoned", self.address);
        }
        if accepting.is_finished() {
            let _ = accepting.join();
        }
    }
}

/// Returns the address at which this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl BoundPort {
    /// Returns the address of the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections, and passes their requests and messages to `handler`.
    pub fn serve<H: Handler>(self, identity: Identity, limits: Limits, handler: H) -> Listener {
        let warnings = Arc::new(Warnings::new());
        let registry = Arc::new(Registry::new(limits, identity.servers, Arc::clone(&warnings)));
        let context = Arc::new(ListenerContext { identity, limits, handler, warnings });
        let accepting = {
            let registry = Arc::clone(&registry);
            let name = format!("accept {}", self.address);
            thread::Builder::new().name(name).spawn(move || accept(&self.listener, &registry, &context))
        };
        let accepting = Some(accepting.expect("a server can start its first thread"));
        Listener { address: self.address, registry, accepting }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept<H: Handler>(listener: &TcpListener, registry: &Arc<Registry>, context: &Arc<ListenerContext<H>>) {
    loop {
        let accepted = listener.accept();
        if registry.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, address)) => {
                let stream = Arc::new(stream);
                if let Some(slot) = registry.admit(Arc::clone(&stream), address) {
                    spawn_session(stream, address, slot, context);
                }
            }
            // The error concerns a connection that is already gone. The next one may be fine.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                log::error!("cannot accept connections at the moment: {error}");
                thread::sleep(ACCEPT_BACKOFF);
            }
        }
    }
}

fn spawn_session<H: Handler>(
    stream: Arc<TcpStream>,
    address: SocketAddr,
    slot: ConnectionSlot,
    context: &Arc<ListenerContext<H>>,
) {
    let context = Arc::clone(context);
    let thread = thread::Builder::new().name(format!("serve {address}"));
    let started = thread.spawn(move || {
        let slot = slot;
        serve(&stream, address, &slot, &context);
        let _ = stream.shutdown(Shutdown::Both);
    });
    if let Err(error) = started {
        log::error!("{address}: refused: cannot start a thread: {error}");
    }
}

/// Serves one connection, from its first byte to its end.
fn serve<H: Handler>(
    stream: &Arc<TcpStream>,
    address: SocketAddr,
    slot: &ConnectionSlot,
    context: &ListenerContext<H>,
) {
    let ListenerContext { identity, limits, warnings, .. } = context;
    let peer = socket::prepare(stream, limits.frame)
        .map_err(WireError::from)
        .and_then(|()| hello::accept(stream, identity, limits));
    match peer {
        Ok(Peer::Client(reader)) => {
            let outbox = Arc::new(Outbox::new(limits.requests_in_flight));
            match slot.become_client(&outbox) {
                Ok(()) => sessions::serve_client(stream, address, reader, &outbox, context),
                Err(reason) => refuse(stream, address, &reason, context),
            }
        }
        Ok(Peer::Server(introduction, sealed)) => {
            slot.become_server(introduction.from, introduction.purpose);
            sessions::serve_server(address, &introduction, *sealed, context);
        }
        // A process that waits for a server probes the port in this way.
        Err(WireError::Closed) => log::debug!("{address}: closed before the end of its greeting"),
        Err(WireError::NotAdmitted(reason)) => warnings.warn(format_args!("{address}: refused: {reason}")),
        Err(error) if error.needs_no_reason() => {
            warnings.warn(format_args!("{address}: ended during its handshake: {error}"));
        }
        Err(error) => refuse(stream, address, &error.to_string(), context),
    }
}

fn refuse<H>(stream: &TcpStream, address: SocketAddr, reason: &str, context: &ListenerContext<H>) {
    let ListenerContext { limits, warnings, .. } = context;
    warnings.warn(format_args!("{address}: refused: {reason}"));
    if socket::write_with_timeout(stream, &hello_reply(reason), limits.frame).is_ok() {
        socket::close_gracefully(stream);
    }
}

//! The port of a server, and what comes through it. One thread accepts; each connection has one that reads it (and a client's
//! a second one that writes). A connection that breaks a rule is ended, and why is logged; the others do not notice.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::hello::{self, Guest};
use super::outbox::Outbox;
use super::registry::{Registry, Ticket};
use super::{Handler, Identity, Limits, WireError, guests, socket};

/// How long [`Listener::stop`] waits for threads that a handler keeps.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection that cannot be accepted is not tried again: when files run out, those who have some must go first.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A server's open port.
pub struct Listener {
    address: SocketAddr,
    registry: Arc<Registry>,
    accepting: Option<JoinHandle<()>>,
}

/// A port that is taken, where nobody is let in yet. So a server can know its own address before it is built.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// What all connections of a listener have in common.
pub(crate) struct House<H> {
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) handler: H,
}

impl Listener {
    /// Takes the port at `address`, as `127.0.0.1:7000`; port 0 is any free one. Connections are made from now on, and served
    /// after [`Bound::serve`].
    ///
    /// # Errors
    ///
    /// One line that says which address it is, what is wrong with it, and what to do.
    pub fn bind(address: &str) -> io::Result<Bound> {
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
        Ok(Bound { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open, of all kinds.
    pub fn connections(&self) -> usize {
        self.registry.len()
    }

    /// Closes the port and all connections, and waits for their threads. A handler that does not return keeps it waiting for
    /// 5 s at most; then this is logged, and such threads are left.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.registry.stop();
        let deadline = Instant::now() + STOP_PATIENCE;
        // The accepting thread looks whether it is to stop whenever somebody comes, so somebody comes.
        while !accepting.is_finished() && Instant::now() < deadline {
            let knock = TcpStream::connect_timeout(&reachable(self.address), Duration::from_millis(200));
            if knock.is_err() || !accepting.is_finished() {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let left = self.registry.wait_until_empty(deadline.saturating_duration_since(Instant::now()));
        if left > 0 {
            log::error!(
                "{}: {left} connections are still held by what handles them, and are left behind",
                self.address
            );
        }
        if accepting.is_finished() {
            let _ = accepting.join();
        }
    }
}

/// The address at which this machine reaches what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets in whoever comes, and hands what they want to `handler`.
    pub fn serve<H: Handler>(self, identity: Identity, limits: Limits, handler: H) -> Listener {
        let registry = Arc::new(Registry::new(limits, identity.servers));
        let house = Arc::new(House { identity, limits, handler });
        let accepting = {
            let registry = Arc::clone(&registry);
            let name = format!("accept {}", self.address);
            thread::Builder::new().name(name).spawn(move || accept(&self.listener, &registry, &house))
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

fn accept<H: Handler>(listener: &TcpListener, registry: &Arc<Registry>, house: &Arc<House<H>>) {
    loop {
        let accepted = listener.accept();
        if registry.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, address)) => {
                let stream = Arc::new(stream);
                if let Some(ticket) = registry.enter(Arc::clone(&stream), address) {
                    start(stream, address, ticket, house);
                }
            }
            // Of one that was accepted and has gone: the next may be fine.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                log::error!("cannot accept connections for the moment: {error}");
                thread::sleep(ACCEPT_REST);
            }
        }
    }
}

fn start<H: Handler>(stream: Arc<TcpStream>, address: SocketAddr, ticket: Ticket, house: &Arc<House<H>>) {
    let house = Arc::clone(house);
    let thread = thread::Builder::new().name(format!("serve {address}"));
    let started = thread.spawn(move || {
        let ticket = ticket;
        serve(&stream, address, &ticket, &house);
        let _ = stream.shutdown(Shutdown::Both);
    });
    if let Err(error) = started {
        log::error!("{address} is turned away: there is no thread for it: {error}");
    }
}

/// One connection, from its first byte to its end.
fn serve<H: Handler>(stream: &Arc<TcpStream>, address: SocketAddr, ticket: &Ticket, house: &House<H>) {
    let House { identity, limits, .. } = house;
    let guest = socket::prepare(stream, limits.frame)
        .map_err(WireError::from)
        .and_then(|()| hello::receive(stream, identity, limits));
    match guest {
        Ok(Guest::Client(reader)) => {
            let outbox = Arc::new(Outbox::new(limits.requests_under_way));
            match ticket.become_client(&outbox) {
                Ok(()) => guests::client(stream, address, reader, &outbox, house),
                Err(reason) => refuse(stream, address, &reason, limits),
            }
        }
        Ok(Guest::Server(introduction, sealed)) => {
            ticket.become_server(introduction.from, introduction.purpose);
            guests::server(address, &introduction, *sealed, house);
        }
        // Somebody looks whether the port is open, as who waits for a server does.
        Err(WireError::Closed) => log::debug!("{address}: closed before it was finished with its greeting"),
        Err(error) if error.is_farewell() => log::warn!("{address}: ended in its handshake: {error}"),
        Err(error) => refuse(stream, address, &error.to_string(), limits),
    }
}

fn refuse(stream: &TcpStream, address: SocketAddr, reason: &str, limits: &Limits) {
    log::warn!("{address}: refused: {reason}");
    if socket::write_within(stream, &hello::answer(reason), limits.frame).is_ok() {
        socket::part(stream);
    }
}

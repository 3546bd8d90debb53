//! Network faults between real processes: TCP proxies that forward until they are told not to. For tests.
//!
//! A [`Proxy`] forwards to one port. A [`Mesh`] has one proxy for each ordered pair of servers, so that a test can
//! partition them: server `a` is told that server `b` has the address [`Mesh::address`]`(a, b)`. From outside, a
//! proxy's faults look like those of a network: connections that are cut, and connections that stay open but deliver
//! nothing.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use raftapi::ServerId;

/// Mode of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Forwards data in both directions.
    Open,
    /// Cuts open connections, and closes new ones. Each side notices at once.
    Severed,
    /// Keeps connections, accepts new ones, and forwards nothing. No side notices anything. When the proxy is open
    /// again, it delivers the held data, as TCP would retransmit it.
    Blackhole,
}

/// A port that forwards to another port.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Signalled when the mode changes, and when a connection's thread ends.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mode: ProxyMode,
    /// The address of the target, once it is known.
    target: Option<SocketAddr>,
    stopping: bool,
    next_number: u64,
    /// Both sockets of each connection, by its number.
    open: BTreeMap<u64, Vec<Arc<TcpStream>>>,
    /// The number of threads that serve connections.
    threads: usize,
    /// The number of forwarded bytes in both directions.
    forwarded: u64,
}

impl Proxy {
    /// Starts a proxy on a free port of the loopback address. It cuts connections until it has a
    /// [target](Proxy::set_target), so the address of a proxy can be given out before its target has started.
    ///
    /// # Errors
    ///
    /// If the operating system has no free port.
    pub fn start() -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let state = State {
            mode: ProxyMode::Open,
            target: None,
            stopping: false,
            next_number: 0,
            open: BTreeMap::new(),
            threads: 0,
            forwarded: 0,
        };
        let shared =
            Arc::new(Shared { address: listener.local_addr()?, state: Mutex::new(state), changed: Condvar::new() });
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("proxy".into()).spawn(move || shared.accept(&listener))?
        };
        Ok(Proxy { shared, accepting: Some(accepting) })
    }

    /// Returns the address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Sets the target of new connections. Open connections keep theirs.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.state.lock().target = Some(target);
    }

    /// Sets the mode.
    pub fn set_mode(&self, mode: ProxyMode) {
        let mut state = self.shared.state.lock();
        state.mode = mode;
        if mode == ProxyMode::Severed {
            state.cut_all();
        }
        self.shared.changed.notify_all();
    }

    /// Returns the number of forwarded bytes in both directions.
    pub fn forwarded(&self) -> u64 {
        self.shared.state.lock().forwarded
    }

    /// Cuts all connections, closes the port, and waits for all threads.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        {
            let mut state = self.shared.state.lock();
            state.stopping = true;
            state.cut_all();
            self.shared.changed.notify_all();
        }
        // The accepting thread checks for a stop after each connection.
        while !accepting.is_finished() {
            let _ = TcpStream::connect_timeout(&self.shared.address, Duration::from_millis(200));
            thread::sleep(Duration::from_millis(1));
        }
        let _ = accepting.join();
        let mut state = self.shared.state.lock();
        while state.threads > 0 {
            self.shared.changed.wait(&mut state);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn cut_all(&mut self) {
        for stream in std::mem::take(&mut self.open).into_values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            let mut state = self.state.lock();
            if state.stopping {
                return;
            }
            match accepted {
                Ok((stream, _)) if state.mode != ProxyMode::Severed && state.target.is_some() => {
                    let number = state.next_number;
                    state.next_number += 1;
                    let stream = Arc::new(stream);
                    state.open.insert(number, vec![Arc::clone(&stream)]);
                    let shared = Arc::clone(self);
                    state.threads += 1;
                    drop(state);
                    thread::spawn(move || {
                        shared.forward(number, stream);
                        shared.state.lock().threads -= 1;
                        shared.changed.notify_all();
                    });
                }
                // Dropping the stream closes it.
                Ok(_) => {}
                Err(error) => {
                    drop(state);
                    log::error!("a proxy cannot accept connections at the moment: {error}");
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// Serves one connection between `near` and the target.
    fn forward(self: &Arc<Shared>, number: u64, near: Arc<TcpStream>) {
        if !self.wait_until_open(number) {
            return;
        }
        let target = self.state.lock().target.expect("connections are accepted only with a target");
        let far = TcpStream::connect_timeout(&target, Duration::from_secs(2)).map(Arc::new);
        if let Ok(far) = far
            && self.add_far_socket(number, &far)
        {
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            thread::scope(|scope| {
                scope.spawn(|| self.pump(number, &near, &far));
                self.pump(number, &far, &near);
            });
        }
        let _ = near.shutdown(Shutdown::Both);
        self.state.lock().open.remove(&number);
    }

    /// Adds the second socket of a connection. Returns `false` if the connection was cut meanwhile.
    fn add_far_socket(&self, number: u64, far: &Arc<TcpStream>) -> bool {
        let mut state = self.state.lock();
        match state.open.get_mut(&number) {
            Some(sockets) => sockets.push(Arc::clone(far)),
            None => return false,
        }
        true
    }

    /// Forwards one direction until either side ends, and forwards the end too.
    fn pump(&self, number: u64, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            // A black hole also hides the end of a connection.
            if !self.wait_until_open(number) || read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
            self.state.lock().forwarded += read as u64;
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }

    /// Waits until data may pass. Returns `false` if the connection was cut.
    fn wait_until_open(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        while state.mode == ProxyMode::Blackhole && !state.stopping {
            self.changed.wait(&mut state);
        }
        !state.stopping && state.open.contains_key(&number)
    }
}

/// A proxy for every ordered pair of servers.
#[derive(Debug)]
pub struct Mesh {
    servers: usize,
    /// By connecting server and target server.
    proxies: BTreeMap<(ServerId, ServerId), Proxy>,
}

impl Mesh {
    /// Starts the proxies for `servers` servers. Their own addresses are set later ([`set_target`](Mesh::set_target)).
    ///
    /// # Errors
    ///
    /// If the operating system has no free ports.
    pub fn start(servers: usize) -> io::Result<Mesh> {
        let ids = || (0..servers).map(ServerId);
        let pairs = ids().flat_map(|from| ids().filter(move |to| *to != from).map(move |to| (from, to)));
        let proxies = pairs.map(|pair| Ok((pair, Proxy::start()?))).collect::<io::Result<_>>()?;
        Ok(Mesh { servers, proxies })
    }

    /// Returns the address at which server `from` reaches server `to`.
    ///
    /// # Panics
    ///
    /// If they are not two servers of the mesh.
    pub fn address(&self, from: ServerId, to: ServerId) -> SocketAddr {
        self.proxies[&(from, to)].address()
    }

    /// Sets the real address of server `to`.
    pub fn set_target(&self, to: ServerId, target: SocketAddr) {
        for ((_, other), proxy) in &self.proxies {
            if *other == to {
                proxy.set_target(target);
            }
        }
    }

    /// Sets the mode of the connections that `from` opens to `to`, in both directions.
    ///
    /// # Panics
    ///
    /// If they are not two servers of the mesh.
    pub fn set_mode(&self, from: ServerId, to: ServerId, mode: ProxyMode) {
        self.proxies[&(from, to)].set_mode(mode);
    }

    /// Partitions the servers. Connections within a group are open; all others get the mode `cut`. A server in no group
    /// is alone.
    pub fn partition(&self, groups: &[&[ServerId]], cut: ProxyMode) {
        let group_of = |id: ServerId| groups.iter().position(|group| group.contains(&id));
        for ((from, to), proxy) in &self.proxies {
            let together = group_of(*from).is_some() && group_of(*from) == group_of(*to);
            proxy.set_mode(if together { ProxyMode::Open } else { cut });
        }
    }

    /// Opens all proxies.
    pub fn heal(&self) {
        for proxy in self.proxies.values() {
            proxy.set_mode(ProxyMode::Open);
        }
    }

    /// Returns the number of bytes that all proxies forwarded, in both directions.
    pub fn forwarded(&self) -> u64 {
        self.proxies.values().map(Proxy::forwarded).sum()
    }

    /// Returns the number of servers.
    pub fn servers(&self) -> usize {
        self.servers
    }
}

//! Faults between real processes: ports that forward to other ports, until they are told not to. For testers.
//!
//! A [`Proxy`] stands before one port. A [`Mesh`] has one for each ordered pair of servers, so that a tester can partition
//! them: server `a` is told that server `b` is at [`Mesh::address`]`(a, b)`. What a proxy does is seen from outside as
//! what networks do: connections that are cut, and connections that are as before and through which nothing comes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use raftapi::ServerId;

/// What a proxy does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Forwards it, both ways.
    Open,
    /// Cuts what is connected, and closes whatever connects. A side sees the end at once.
    Severed,
    /// Leaves connections as they are, takes new ones, and forwards nothing. Nobody sees anything, until it is open again:
    /// what was held back comes then, as TCP would send it again.
    Blackhole,
}

/// A port that forwards to another one.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Signalled when the way changes, and when a connection's thread ends.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    way: Way,
    /// Where the other port is, once it is known.
    target: Option<SocketAddr>,
    stopping: bool,
    next: u64,
    /// Both sockets of each connection.
    open: BTreeMap<u64, Vec<Arc<TcpStream>>>,
    /// How many threads serve connections.
    threads: usize,
    /// How many bytes were forwarded, both ways together.
    forwarded: u64,
}

impl Proxy {
    /// Takes a free port of the loopback address. Connections are severed until there is a
    /// [target](Proxy::set_target): so processes can be told of a proxy before what stands behind it has started.
    ///
    /// # Errors
    ///
    /// If the operating system has no port.
    pub fn start() -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let state = State {
            way: Way::Open,
            target: None,
            stopping: false,
            next: 0,
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Connections are forwarded to `target` from now on; those that there are stay as they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.state.lock().target = Some(target);
    }

    /// What it does from now on.
    pub fn set_way(&self, way: Way) {
        let mut state = self.shared.state.lock();
        state.way = way;
        if way == Way::Severed {
            state.sever();
        }
        self.shared.changed.notify_all();
    }

    /// How many bytes were forwarded so far, both ways together.
    pub fn forwarded(&self) -> u64 {
        self.shared.state.lock().forwarded
    }

    /// Cuts everything, closes the port, and waits for all threads.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        {
            let mut state = self.shared.state.lock();
            state.stopping = true;
            state.sever();
            self.shared.changed.notify_all();
        }
        // The accepting thread looks whether it is to stop whenever somebody comes.
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
    fn sever(&mut self) {
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
                Ok((stream, _)) if state.way != Way::Severed && state.target.is_some() => {
                    let number = state.next;
                    state.next += 1;
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
                // Dropped, and so closed.
                Ok(_) => {}
                Err(error) => {
                    drop(state);
                    log::error!("a proxy cannot accept connections for the moment: {error}");
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// One connection, from here to the target.
    fn forward(self: &Arc<Shared>, number: u64, near: Arc<TcpStream>) {
        if !self.is_let_through(number) {
            return;
        }
        let target = self.state.lock().target.expect("there was one when it was accepted");
        let far = TcpStream::connect_timeout(&target, Duration::from_secs(2)).map(Arc::new);
        if let Ok(far) = far
            && self.join(number, &far)
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

    /// The connection has its second socket; `false` if it was cut meanwhile.
    fn join(&self, number: u64, far: &Arc<TcpStream>) -> bool {
        let mut state = self.state.lock();
        match state.open.get_mut(&number) {
            Some(sockets) => sockets.push(Arc::clone(far)),
            None => return false,
        }
        true
    }

    /// Forwards one way until either side ends. The end is forwarded too.
    fn pump(&self, number: u64, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            // Also an end is not seen on the other side of a black hole.
            if !self.is_let_through(number) || read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
            self.state.lock().forwarded += read as u64;
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }

    /// Waits until something may pass; `false` if the connection was cut.
    fn is_let_through(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        while state.way == Way::Blackhole && !state.stopping {
            self.changed.wait(&mut state);
        }
        !state.stopping && state.open.contains_key(&number)
    }
}

/// A proxy for every ordered pair of servers.
#[derive(Debug)]
pub struct Mesh {
    servers: usize,
    /// By who connects, and to whom.
    proxies: BTreeMap<(ServerId, ServerId), Proxy>,
}

impl Mesh {
    /// For so many servers, whose own addresses are told later ([`set_target`](Mesh::set_target)).
    ///
    /// # Errors
    ///
    /// If the operating system has no ports.
    pub fn start(servers: usize) -> io::Result<Mesh> {
        let ids = || (0..servers).map(ServerId);
        let pairs = ids().flat_map(|from| ids().filter(move |to| *to != from).map(move |to| (from, to)));
        let proxies = pairs.map(|pair| Ok((pair, Proxy::start()?))).collect::<io::Result<_>>()?;
        Ok(Mesh { servers, proxies })
    }

    /// Where server `from` finds server `to`.
    ///
    /// # Panics
    ///
    /// If they are not two servers of the mesh.
    pub fn address(&self, from: ServerId, to: ServerId) -> SocketAddr {
        self.proxies[&(from, to)].address()
    }

    /// Server `to` is really at `target`.
    pub fn set_target(&self, to: ServerId, target: SocketAddr) {
        for ((_, other), proxy) in &self.proxies {
            if *other == to {
                proxy.set_target(target);
            }
        }
    }

    /// What happens to what `from` sends over connections that it has made to `to`, and to the answers on them.
    ///
    /// # Panics
    ///
    /// If they are not two servers of the mesh.
    pub fn set_way(&self, from: ServerId, to: ServerId, way: Way) {
        self.proxies[&(from, to)].set_way(way);
    }

    /// Between two servers of the same group all is open; between others the way is `cut`. A server in no group is alone.
    pub fn partition(&self, groups: &[&[ServerId]], cut: Way) {
        let group_of = |id: ServerId| groups.iter().position(|group| group.contains(&id));
        for ((from, to), proxy) in &self.proxies {
            let together = group_of(*from).is_some() && group_of(*from) == group_of(*to);
            proxy.set_way(if together { Way::Open } else { cut });
        }
    }

    /// All is open.
    pub fn heal(&self) {
        for proxy in self.proxies.values() {
            proxy.set_way(Way::Open);
        }
    }

    /// How many bytes have been forwarded, in both directions.
    pub fn forwarded(&self) -> u64 {
        self.proxies.values().map(Proxy::forwarded).sum()
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.servers
    }
}

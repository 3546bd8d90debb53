//! A cluster of real processes for the scenarios of part 4. A crash is `kill -9`, proxies between the servers cut
//! partitions, and the servers save their data on disk.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvnode::node::{NodeRole, NodeStatus};
use kvnode::proxy::{Mesh, Proxy, ProxyMode};
use kvnode::wire::{Clerk, ClerkError, ClerkSettings, ClientReply, ClientRequest, Connection, Limits};
use raftapi::{ServerId, Term};
use tester::kv::{ClerkId, ErasedClerk, KvCluster, KvClusterConfig};

use crate::{folder, ports};

/// Time limit for a server to report its status.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for a server to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// Servers as processes. Dropping it kills the remaining ones.
pub(crate) struct Processes {
    setting: KvClusterConfig,
    dir: PathBuf,
    /// The list of servers that each of them is started with.
    peers: String,
    links: Arc<Links>,
    servers: Vec<Mutex<Server>>,
    /// The proxies between each clerk and the servers; none for a clerk that can reach all servers.
    clerks: Mutex<Vec<Vec<Proxy>>>,
    operations: Arc<AtomicU64>,
    flaky_network: Mutex<Option<FlakyNetwork>>,
}

/// One server, running or not.
struct Server {
    id: ServerId,
    address: SocketAddr,
    child: Option<Child>,
    /// The length of the log when the server was last started, in bytes.
    log_begin: u64,
    connection: Option<Connection>,
    /// The last status that it reported.
    status: Option<NodeStatus>,
}

/// The links between the servers, and the set of links that the scenario has cut.
struct Links {
    mesh: Mesh,
    cut: Mutex<BTreeSet<(ServerId, ServerId)>>,
}

impl Links {
    fn set(&self, from: ServerId, to: ServerId, is_open: bool) {
        let mut cut = self.cut.lock().unwrap();
        let changed = if is_open { cut.remove(&(from, to)) } else { cut.insert((from, to)) };
        if changed {
            self.mesh.set_mode(from, to, if is_open { ProxyMode::Open } else { ProxyMode::Severed });
        }
    }

    /// Breaks the connection of a link for a moment. In-flight messages are lost.
    fn interrupt(&self, from: ServerId, to: ServerId) {
        let cut = self.cut.lock().unwrap();
        if !cut.contains(&(from, to)) {
            self.mesh.set_mode(from, to, ProxyMode::Severed);
            self.mesh.set_mode(from, to, ProxyMode::Open);
        }
    }

    /// Disconnects `server` from all others.
    fn isolate(&self, server: ServerId) {
        for other in (0..self.mesh.servers()).map(ServerId).filter(|&other| other != server) {
            self.set(server, other, false);
            self.set(other, server, false);
        }
    }
}

impl Processes {
    /// A running cluster of connected servers.
    pub(crate) fn start(setting: KvClusterConfig) -> Processes {
        let cluster = Processes::prepare(setting);
        (0..setting.servers).for_each(|server| cluster.boot(ServerId(server)));
        cluster
    }

    /// A cluster of connected servers that are not started yet.
    pub(crate) fn prepare(setting: KvClusterConfig) -> Processes {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("kvnode-processes-{}-{number}", std::process::id());
        let dir = folder::for_data().join(name);
        let mesh = Mesh::start(setting.servers).expect("proxies between the servers");
        let ports = ports::free(setting.servers as u16)..;
        let servers = ports.take(setting.servers).enumerate().map(|(id, port)| {
            let (id, address) = (ServerId(id), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            mesh.set_target(id, address);
            Mutex::new(Server { id, address, child: None, log_begin: 0, connection: None, status: None })
        });
        let servers: Vec<Mutex<Server>> = servers.collect();
        let addresses = servers.iter().map(|server| server.lock().unwrap().address.to_string());
        let peers = addresses.collect::<Vec<_>>().join(",");
        fs::create_dir_all(&dir).expect("a directory for the servers");
        Processes {
            setting,
            dir,
            peers,
            servers,
            clerks: Mutex::default(),
            operations: Arc::default(),
            flaky_network: Mutex::default(),
            links: Arc::new(Links { mesh, cut: Mutex::default() }),
        }
    }

    /// As [`start`](Processes::start), in the form that the tester needs.
    pub(crate) fn start_for_tester(setting: KvClusterConfig) -> Arc<dyn KvCluster> {
        let cluster = Processes::start(setting);
        if !setting.reliable {
            *cluster.flaky_network.lock().unwrap() = Some(FlakyNetwork::begin(&cluster.links));
        }
        Arc::new(cluster)
    }

    /// The addresses of the servers for clients.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.lock().unwrap().address.to_string()).collect()
    }

    /// The directory of a server.
    pub(crate) fn data(&self, server: ServerId) -> PathBuf {
        self.dir.join(server.to_string())
    }

    /// The status of a server, if it runs and replies.
    pub(crate) fn status(&self, server: ServerId) -> Option<NodeStatus> {
        self.servers[server.0].lock().unwrap().query_status()
    }

    /// Starts a stopped server.
    pub(crate) fn boot(&self, id: ServerId) {
        self.boot_with(id, &[]);
    }

    /// Starts a stopped server with more arguments.
    pub(crate) fn boot_with(&self, id: ServerId, arguments: &[&str]) {
        let mut server = self.servers[id.0].lock().unwrap();
        assert!(server.child.is_none(), "{id} runs");
        let own = server.address;
        let routes = (0..self.setting.servers).map(ServerId);
        let routes = routes.map(|other| if other == id { own } else { self.links.mesh.address(id, other) });
        let routes: Vec<String> = routes.map(|address| address.to_string()).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.args(["serve", "--end-with-input", "--id", &id.0.to_string(), "--peers", &self.peers]);
        command.args(["--routes", &routes.join(",")]).args(arguments);
        command.arg("--data").arg(self.data(id));
        if let Some(limit) = self.setting.max_raft_state {
            command.args(["--log-limit", &limit.to_string()]);
        }
        // If the server ends unexpectedly, its log has the reason.
        let log = fs::File::options().create(true).append(true).open(self.dir.join(format!("{id}.log")));
        let log = log.expect("a log file");
        server.log_begin = log.metadata().expect("the length of the log").len();
        command.env("LAB_LOG", "info").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        server.child = Some(command.spawn().expect("a server starts"));
    }

    /// Kills a server as `kill -9` does.
    pub(crate) fn kill(&self, id: ServerId) {
        let mut server = self.servers[id.0].lock().unwrap();
        server.connection = None;
        if let Some(mut child) = server.child.take() {
            if let Some(status) = child.try_wait().expect("the state of a child") {
                panic!("{id} has ended unexpectedly, with {status}: {}", self.log_tail(id));
            }
            child.kill().expect("the right to kill a child");
            child.wait().expect("the end of a child");
        }
    }

    /// Waits until a server has ended by itself because it had to stop. Returns the line in which it says why.
    #[track_caller]
    pub(crate) fn wait_for_failure(&self, id: ServerId) -> String {
        let (code, line) = self.wait_for_end(id);
        assert_eq!(code, Some(1), "{line}");
        line
    }

    /// Waits until a server has ended by itself. Returns its exit status, and the line in which it says why.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, id: ServerId) -> (Option<i32>, String) {
        let begun = Instant::now();
        let mut child = self.servers[id.0].lock().unwrap().child.take().expect("the server was started");
        let status = loop {
            if let Some(status) = child.try_wait().expect("the state of a child") {
                break status;
            }
            if begun.elapsed() > END_TIMEOUT {
                let _ = child.kill();
                panic!("{id} does not stop: {}", self.log_tail(id));
            }
            thread::sleep(Duration::from_millis(10));
        };
        let log = self.log_since_start(id);
        let errors: Vec<&str> = log.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "one line gives the reason for {status}: {log}");
        (status.code(), errors[0].to_string())
    }

    /// Asks a server to end, and waits until it has saved everything.
    #[cfg(unix)]
    pub(crate) fn shut_down_server(&self, id: ServerId) {
        self.signal(id, "TERM");
        let mut child = self.servers[id.0].lock().unwrap().child.take().expect("the server runs");
        let status = child.wait().expect("the end of a child");
        assert!(status.success(), "{id}: {status}: {}", self.log_tail(id));
    }

    /// Opens or cuts the link on which `from` connects to `to`.
    pub(crate) fn set_link(&self, from: ServerId, to: ServerId, is_open: bool) {
        self.links.set(from, to, is_open);
    }

    /// Sends a signal to a running server.
    #[cfg(unix)]
    pub(crate) fn signal(&self, id: ServerId, signal: &str) {
        let process = self.servers[id.0].lock().unwrap().child.as_ref().expect("the server runs").id();
        let kill = Command::new("kill").args(["-s", signal, &process.to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// The whole log of a server.
    pub(crate) fn full_log(&self, id: ServerId) -> String {
        fs::read_to_string(self.dir.join(format!("{id}.log"))).unwrap_or_default()
    }

    /// The log of a server since it was last started.
    pub(crate) fn log_since_start(&self, id: ServerId) -> String {
        let from = self.servers[id.0].lock().unwrap().log_begin;
        String::from_utf8_lossy(self.full_log(id).as_bytes().get(from as usize..).unwrap_or_default()).into_owned()
    }

    /// Returns whether all other servers have admitted the present start of `id`. They save it before they do so.
    pub(crate) fn is_known_to_all(&self, id: ServerId) -> bool {
        let log = self.log_since_start(id);
        let admits = |other: ServerId| {
            let name = format!("{other} at ");
            log.lines().any(|line| line.contains(&name) && line.ends_with(" is connected"))
        };
        (0..self.setting.servers).map(ServerId).filter(|other| *other != id).all(admits)
    }

    /// The last lines of a server's log.
    pub(crate) fn log_tail(&self, id: ServerId) -> String {
        let text = self.full_log(id);
        let first = text.lines().count().saturating_sub(20);
        text.lines().skip(first).collect::<Vec<_>>().join("\n")
    }

    fn kill_all(&self) {
        self.flaky_network.lock().unwrap_or_else(PoisonError::into_inner).take();
        for server in &self.servers {
            // A panic in another method must not hide its own reason.
            let child = server.lock().unwrap_or_else(PoisonError::into_inner).child.take();
            if let Some(mut child) = child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.kill_all();
        // The files of a failed test remain for inspection.
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Server {
    fn query_status(&mut self) -> Option<NodeStatus> {
        self.child.as_ref()?;
        let connection = match self.connection.take().filter(|connection| connection.ended().is_none()) {
            Some(connection) => connection,
            None => {
                Connection::open(&self.address.to_string(), &Limits { connect: TIMEOUT, ..Limits::default() }).ok()?
            }
        };
        let Ok(ClientReply::Status(status)) = connection.call(ClientRequest::Status, TIMEOUT) else { return None };
        self.connection = Some(connection);
        let status = NodeStatus::decode(&status).expect("a status");
        assert_eq!(status.server, self.id);
        self.status = Some(status.clone());
        Some(status)
    }
}

impl KvCluster for Processes {
    fn len(&self) -> usize {
        self.servers.len()
    }

    fn leader(&self) -> Option<(Term, ServerId)> {
        let statuses = (0..self.len()).filter_map(|server| self.status(ServerId(server)));
        let leaders = statuses.filter(|status| status.role == NodeRole::Leader);
        leaders.map(|status| (status.term, status.server)).max()
    }

    fn partition(&self, parts: &[&[ServerId]]) {
        let part = |server| parts.iter().position(|part| part.contains(&server));
        let all = || (0..self.len()).map(ServerId).filter_map(|server| Some((server, part(server)?)));
        for ((from, own), (to, other)) in all().flat_map(|from| all().map(move |to| (from, to))) {
            if from != to {
                self.links.set(from, to, own == other);
            }
        }
    }

    fn crash(&self, server: ServerId) {
        self.links.isolate(server);
        self.kill(server);
    }

    fn start(&self, server: ServerId) {
        self.boot(server);
    }

    fn clerk(&self, to: &[ServerId]) -> (ClerkId, Box<dyn ErasedClerk>) {
        let mut clerks = self.clerks.lock().unwrap();
        let (mut addresses, mut proxies) = (self.addresses(), Vec::new());
        if to.len() < self.len() {
            for (server, address) in addresses.iter_mut().enumerate() {
                let proxy = Proxy::start().expect("a proxy");
                proxy.set_target(address.parse().expect("an address"));
                proxy.set_mode(if to.contains(&ServerId(server)) { ProxyMode::Open } else { ProxyMode::Severed });
                *address = proxy.address().to_string();
                proxies.push(proxy);
            }
        }
        clerks.push(proxies);
        let settings = ClerkSettings { follow_unlisted: false, ..ClerkSettings::default() };
        let handle = ClerkHandle { clerk: Clerk::new(addresses, settings), operations: Arc::clone(&self.operations) };
        (ClerkId(clerks.len() - 1), Box::new(handle))
    }

    fn connect_clerk(&self, clerk: ClerkId, to: &[ServerId]) {
        let clerks = self.clerks.lock().unwrap();
        // A clerk without proxies can reach all servers.
        to.iter().filter_map(|server| clerks[clerk.0].get(server.0)).for_each(|proxy| proxy.set_mode(ProxyMode::Open));
    }

    fn log_size(&self) -> usize {
        // For a stopped server the last status counts.
        self.largest(|status| status.log_bytes)
    }

    fn snapshot_size(&self) -> usize {
        // If the log was compacted, the data are the snapshot of the removed entries.
        self.largest(|status| if status.first_index.0 > 1 { status.data_bytes } else { 0 })
    }

    fn rpcs(&self) -> u64 {
        self.operations.load(Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.links.mesh.forwarded()
    }

    fn shut_down(&self) {
        for id in (0..self.len()).map(ServerId) {
            // `kill` fails if the server has ended unexpectedly.
            self.kill(id);
        }
        self.kill_all();
    }

    fn abandon(&self) {
        self.kill_all();
    }
}

impl Processes {
    fn largest(&self, of: impl Fn(&NodeStatus) -> u64) -> usize {
        let sizes = self.servers.iter().filter_map(|server| {
            let mut server = server.lock().unwrap();
            server.query_status();
            server.status.as_ref().map(&of)
        });
        sizes.max().unwrap_or(0) as usize
    }
}

/// A clerk of the tester.
struct ClerkHandle {
    clerk: Clerk,
    operations: Arc<AtomicU64>,
}

impl ClerkHandle {
    fn write(&mut self, key: &str, value: &str, write: fn(&mut Clerk, &str, String) -> Result<(), ClerkError>) {
        self.operations.fetch_add(1, Relaxed);
        write(&mut self.clerk, key, value.to_string()).expect("a clerk without a deadline gets no error");
    }
}

impl ErasedClerk for ClerkHandle {
    fn get(&mut self, key: &str) -> String {
        self.operations.fetch_add(1, Relaxed);
        let value = self.clerk.get(key).expect("a clerk without a deadline gets no error");
        value.map_or(String::new(), |value| String::from_utf8(value.to_vec()).expect("what was put was text"))
    }

    fn put(&mut self, key: &str, value: &str) {
        self.write(key, value, |clerk, key, value| clerk.put(key, value));
    }

    fn append(&mut self, key: &str, value: &str) {
        self.write(key, value, |clerk, key, value| clerk.append(key, value));
    }
}

/// A network with short failures: one link after the other is cut for a moment, and its in-flight messages are lost.
struct FlakyNetwork {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FlakyNetwork {
    fn begin(links: &Arc<Links>) -> FlakyNetwork {
        const EVERY: Duration = Duration::from_millis(100);
        let stop = Arc::new(AtomicBool::new(false));
        let (links, ends) = (Arc::clone(links), Arc::clone(&stop));
        let work = move || {
            let servers = links.mesh.servers();
            // All pairs in turn.
            let pairs = (0..servers).flat_map(|from| (1..servers).map(move |step| (from, (from + step) % servers)));
            for (from, to) in pairs.cycle().take_while(|_| !ends.load(Relaxed)) {
                links.interrupt(ServerId(from), ServerId(to));
                thread::sleep(EVERY);
            }
        };
        let thread = thread::Builder::new().name("flaky-network".to_string()).spawn(work).expect("a thread");
        FlakyNetwork { stop, thread: Some(thread) }
    }
}

impl Drop for FlakyNetwork {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

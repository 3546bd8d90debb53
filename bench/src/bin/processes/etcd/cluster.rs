//! A cluster of three etcd processes on loopback ports, with its data in a separate folder. Dropping it ends the
//! processes.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::{Connection, LeaderView};

/// The program, which is looked up in `PATH`.
const PROGRAM: &str = "etcd";

const MEMBERS: usize = 3;

/// Time limit until all members know the leader.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);

/// Interval at which members that are not ready yet are asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Number of attempts to start a cluster, because another process may take its ports.
const ATTEMPTS: usize = 3;

/// The size limit of etcd's database. No load reaches 8 GB; a load of many minutes would reach the default of 2 GB.
const QUOTA_BYTES: u64 = 8 << 30;

/// Three processes that have elected a leader.
#[derive(Debug)]
pub(super) struct Cluster {
    members: Vec<Member>,
    leader: usize,
}

#[derive(Debug)]
struct Member {
    process: Child,
    url: String,
    log: PathBuf,
}

/// Returns the first line of `etcd --version`.
///
/// # Errors
///
/// If the program is not installed; the message names the package.
pub(crate) fn version() -> Result<String, String> {
    let output = Command::new(PROGRAM).arg("--version").stderr(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "etcd is not installed; install the package `etcd-server`".to_string(),
        _ => format!("etcd --version: {error}"),
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or("etcd of an unknown version").replace(" Version:", ""))
}

impl Cluster {
    /// Starts three processes with their data in `folder`, and waits until all of them know the same leader.
    ///
    /// # Errors
    ///
    /// If a process ends, or if there is no leader within half a minute; the message contains the last line of a log.
    pub(super) async fn start(folder: &Path, sync: bool) -> Result<Cluster, String> {
        let mut failure = String::new();
        for attempt in 0..ATTEMPTS {
            let folder = folder.join(format!("attempt-{attempt}"));
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let mut cluster = Cluster { members: spawn(&folder, sync)?, leader: 0 };
            match cluster.find_leader().await {
                Ok(()) => return Ok(cluster),
                // The ports were free when they were chosen, but another process may have taken one since.
                Err(message) if message.contains("address already in use") => failure = message,
                Err(message) => return Err(message),
            }
        }
        Err(failure)
    }

    /// Returns the URL at which the leader listens to clients.
    pub(super) fn leader_url(&self) -> &str {
        &self.members[self.leader].url
    }

    /// Returns the URL at which each member listens to clients.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.url.as_str()).collect()
    }

    /// Waits until all members agree on the leader, and notes it.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub(super) async fn find_leader(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + HEALTHY_WITHIN;
        loop {
            for member in &mut self.members {
                member.check_running()?;
            }
            if let Some(leader) = agreed(&self.leader_views().await) {
                self.leader = leader;
                return Ok(());
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = self.members.iter().map(Member::last_log_line).collect();
                let seconds = HEALTHY_WITHIN.as_secs();
                return Err(format!("the members of etcd agree on no leader in {seconds} s: {}", logs.join(" / ")));
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Returns the position of the leader among the members.
    pub(super) fn leader(&self) -> usize {
        self.leader
    }

    /// Asks each member for its leader, and returns the replies of those that reply.
    async fn leader_views(&self) -> Vec<LeaderView> {
        let mut leader_views = Vec::new();
        for member in &self.members {
            let ask = async { Connection::open(&member.url).await?.leader_view().await };
            if let Ok(Ok(leader_view)) = tokio::time::timeout(HEALTHY_WITHIN / 10, ask).await {
                leader_views.push(leader_view);
            }
        }
        leader_views
    }
}

/// Returns the position of the leader, if all members have replied and name the same one.
fn agreed(leader_views: &[LeaderView]) -> Option<usize> {
    let leader = leader_views.first()?.leader;
    let all = leader_views.len() == MEMBERS && leader_views.iter().all(|leader_view| leader_view.leader == leader);
    all.then(|| leader_views.iter().position(|leader_view| leader_view.member == leader)).flatten()
}

/// Starts the processes of a new cluster.
fn spawn(folder: &Path, sync: bool) -> Result<Vec<Member>, String> {
    let ports = free_ports(2 * MEMBERS).map_err(|error| format!("no free port: {error}"))?;
    let (for_clients, for_peers) = ports.split_at(MEMBERS);
    let url = |port: &u16| format!("http://127.0.0.1:{port}");
    let peers = for_peers.iter().enumerate().map(|(id, port)| format!("m{id}={}", url(port)));
    let peers: Vec<String> = peers.collect();
    let start = |id: usize| {
        let (client, peer) = (url(&for_clients[id]), url(&for_peers[id]));
        let log = folder.join(format!("m{id}.log"));
        let complain = |error: io::Error| format!("{}: {error}", log.display());
        let mut command = Command::new(PROGRAM);
        command.args(["--name", &format!("m{id}"), "--initial-cluster", &peers.join(",")]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"]);
        command.args(["--quota-backend-bytes", &QUOTA_BYTES.to_string()]);
        command.arg("--data-dir").arg(folder.join(format!("m{id}")));
        if !sync {
            command.arg("--unsafe-no-fsync");
        }
        let stderr = File::create(&log).map_err(complain)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let process = command.spawn().map_err(|error| format!("{PROGRAM}: {error}"))?;
        Ok(Member { process, url: client, log })
    };
    (0..MEMBERS).map(start).collect()
}

/// Returns free ports of the loopback interface. All are held until the last is found, so no two are equal.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: io::Result<Vec<TcpListener>> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    held?.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

impl Member {
    /// Checks that the member is running.
    ///
    /// # Errors
    ///
    /// If it has ended; the message contains the last line of its log.
    fn check_running(&mut self) -> Result<(), String> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("a member of etcd ended with {status}: {}", self.last_log_line())),
            Err(error) => Err(format!("a member of etcd: {error}")),
        }
    }

    fn last_log_line(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().next_back().map_or_else(|| "its log is empty".to_string(), gist)
    }
}

/// Returns the message and the error of a log line, without its time, place and call stack.
fn gist(line: &str) -> String {
    let fields: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    match (fields["msg"].as_str(), fields["error"].as_str()) {
        (Some(message), Some(error)) => format!("{message}: {error}"),
        (Some(message), None) => message.to_string(),
        _ => line.to_string(),
    }
}

impl Drop for Member {
    /// Kills the process. No program uses its data afterwards, so it need not shut down cleanly.
    fn drop(&mut self) {
        // Fails if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_the_one_that_all_members_name() {
        let leader_views = |leaders: &[u64]| -> Vec<LeaderView> {
            (10..).zip(leaders).map(|(member, &leader)| LeaderView { member, leader }).collect()
        };
        assert_eq!(agreed(&leader_views(&[11, 11, 11])), Some(1));
        assert_eq!(agreed(&leader_views(&[11, 11, 0])), None, "one has not heard of it");
        assert_eq!(agreed(&leader_views(&[11, 11])), None, "one does not reply");
        assert_eq!(agreed(&leader_views(&[0, 0, 0])), None, "nobody leads");
    }

    #[test]
    fn the_gist_of_a_log_line_is_its_message_and_error() {
        let line = r#"{"level":"fatal","ts":"now","msg":"discovery failed","error":"bind: address already in use"}"#;
        assert_eq!(gist(line), "discovery failed: bind: address already in use");
        assert_eq!(gist("no JSON"), "no JSON");
    }

    #[test]
    fn ports_are_different() {
        let mut ports = free_ports(2 * MEMBERS).expect("there are free ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 2 * MEMBERS);
    }
}

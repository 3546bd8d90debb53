//! A cluster of three etcd processes on loopback ports, whose data is in a folder of its own. Dropping it ends them.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::{Belief, Connection};

/// The program, which is found as the shell finds it.
const PROGRAM: &str = "etcd";

const MEMBERS: usize = 3;

/// How long it may take until all members know the leader.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);

/// How long to wait before a member that is not ready yet is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often a cluster is started whose ports somebody else has taken in between.
const ATTEMPTS: usize = 3;

/// No load of a benchmark reaches this: with the default of 2 GB, one of many minutes would.
const QUOTA_BYTES: u64 = 8 << 30;

/// Three processes that know their leader.
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

/// The first line of `etcd --version`.
///
/// # Errors
///
/// If the program is not there; the message says what to install.
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
    /// Starts three processes, whose data goes to `folder`, and waits until all of them know the same leader.
    ///
    /// # Errors
    ///
    /// If a process ends, or if there is no leader in half a minute; the message has the last line of a log.
    pub(super) async fn start(folder: &Path, sync: bool) -> Result<Cluster, String> {
        let mut failure = String::new();
        for attempt in 0..ATTEMPTS {
            let folder = folder.join(format!("attempt-{attempt}"));
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let mut cluster = Cluster { members: spawn(&folder, sync)?, leader: 0 };
            match cluster.find_leader().await {
                Ok(()) => return Ok(cluster),
                // Ports are free when they are picked, and anybody's a moment later.
                Err(message) if message.contains("address already in use") => failure = message,
                Err(message) => return Err(message),
            }
        }
        Err(failure)
    }

    /// Where the leader listens to clients.
    pub(super) fn leader_url(&self) -> &str {
        &self.members[self.leader].url
    }

    /// Where each of the members does.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.url.as_str()).collect()
    }

    /// Waits until each member takes the same one for the leader, which is then ours as well.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub(super) async fn find_leader(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + HEALTHY_WITHIN;
        loop {
            for member in &mut self.members {
                member.still_runs()?;
            }
            if let Some(leader) = agreed(&self.beliefs().await) {
                self.leader = leader;
                return Ok(());
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = self.members.iter().map(Member::last_words).collect();
                let seconds = HEALTHY_WITHIN.as_secs();
                return Err(format!("the members of etcd agree on no leader in {seconds} s: {}", logs.join(" / ")));
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// Which of the members leads.
    pub(super) fn leader(&self) -> usize {
        self.leader
    }

    /// Of those members that answer.
    async fn beliefs(&self) -> Vec<Belief> {
        let mut beliefs = Vec::new();
        for member in &self.members {
            let ask = async { Connection::open(&member.url).await?.belief().await };
            if let Ok(Ok(belief)) = tokio::time::timeout(HEALTHY_WITHIN / 10, ask).await {
                beliefs.push(belief);
            }
        }
        beliefs
    }
}

/// The place of the leader, if all members have answered and name the same one.
fn agreed(beliefs: &[Belief]) -> Option<usize> {
    let leader = beliefs.first()?.leader;
    let all = beliefs.len() == MEMBERS && beliefs.iter().all(|belief| belief.leader == leader);
    all.then(|| beliefs.iter().position(|belief| belief.member == leader)).flatten()
}

/// Starts the processes of a cluster that has never been.
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

/// Ports of the loopback interface that nobody listens at. All are held until the last is found, so no two are the same.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: io::Result<Vec<TcpListener>> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    held?.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

impl Member {
    /// # Errors
    ///
    /// If it has ended; the message has the last line of its log.
    fn still_runs(&mut self) -> Result<(), String> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("a member of etcd ended with {status}: {}", self.last_words())),
            Err(error) => Err(format!("a member of etcd: {error}")),
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().next_back().map_or_else(|| "its log is empty".to_string(), gist)
    }
}

/// What a line of the log says, without when, where and by which calls.
fn gist(line: &str) -> String {
    let fields: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    match (fields["msg"].as_str(), fields["error"].as_str()) {
        (Some(message), Some(error)) => format!("{message}: {error}"),
        (Some(message), None) => message.to_string(),
        _ => line.to_string(),
    }
}

impl Drop for Member {
    /// Its data is of no use to anybody, so it need not end in order.
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_one_that_all_members_name() {
        let beliefs = |leaders: &[u64]| -> Vec<Belief> {
            (10..).zip(leaders).map(|(member, &leader)| Belief { member, leader }).collect()
        };
        assert_eq!(agreed(&beliefs(&[11, 11, 11])), Some(1));
        assert_eq!(agreed(&beliefs(&[11, 11, 0])), None, "one has not heard of it");
        assert_eq!(agreed(&beliefs(&[11, 11])), None, "one does not answer");
        assert_eq!(agreed(&beliefs(&[0, 0, 0])), None, "nobody leads");
    }

    #[test]
    fn the_gist_of_a_line_is_what_went_wrong() {
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

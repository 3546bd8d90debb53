//! Tests of `kvnode cluster`: its servers start and end together, in whatever way the process that started them ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};

use crate::ports;

/// Time limit for servers to start or to end on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

const SERVERS: u16 = 3;

/// A running cluster command and its log; killed when it is dropped.
struct Cluster {
    child: Child,
    first_port: u16,
}

impl Cluster {
    fn start(data: &Path, first_port: u16) -> Cluster {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.args(["cluster", &SERVERS.to_string(), "--port", &first_port.to_string(), "--data"]).arg(data);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        // The log is read and discarded, because a full pipe would block the process.
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Cluster { child, first_port }
    }

    fn clerk(&self) -> Clerk {
        let settings = ClerkSettings { deadline: Some(TIMEOUT), ..ClerkSettings::default() };
        Clerk::new(ports_from(self.first_port).map(|port| format!("127.0.0.1:{port}")), settings)
    }

    /// Waits until no server uses its port any more.
    fn wait_until_all_ports_are_free(&self) {
        let begun = Instant::now();
        for port in ports_from(self.first_port) {
            while TcpListener::bind(("127.0.0.1", port)).is_err() {
                assert!(begun.elapsed() < TIMEOUT, "a process still listens on port {port}");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ports_from(first: u16) -> impl Iterator<Item = u16> {
    first..first + SERVERS
}

#[test]
fn servers_start_and_end_together_and_keep_their_data() {
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("together-{}", std::process::id()));
    let _ = fs::remove_dir_all(&data);
    let first_port = ports::free(SERVERS);
    for round in 0..3 {
        let mut cluster = Cluster::start(&data, first_port);
        let mut clerk = cluster.clerk();
        let value = clerk.get("x").expect("a reply").unwrap_or_default();
        assert_eq!(value.len(), round, "what was written is there");
        clerk.append("x", "1").expect("a reply");
        if round == 1 {
            // A killed process cannot end its servers; they end by themselves.
            cluster.child.kill().expect("the right to kill a child");
            cluster.child.wait().expect("an end");
        } else {
            let signal = if round == 0 { "INT" } else { "TERM" };
            let kill = Command::new("kill").args(["-s", signal, &cluster.child.id().to_string()]).status();
            assert!(kill.expect("kill runs").success());
            assert_eq!(cluster.child.wait().expect("an end").code(), Some(0), "SIG{signal}");
        }
        cluster.wait_until_all_ports_are_free();
    }
    fs::remove_dir_all(&data).expect("it was there");
}

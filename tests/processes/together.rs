//! `raftlab cluster`: servers that begin and end together, however the process that has started them ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};

use crate::ports;

/// How long servers may take to begin or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SERVERS: u16 = 3;

/// A running cluster and what it logs; killed when it is dropped.
struct Cluster {
    child: Child,
    first_port: u16,
}

impl Cluster {
    fn start(data: &Path, first_port: u16) -> Cluster {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftlab"));
        command.args(["cluster", &SERVERS.to_string(), "--port", &first_port.to_string(), "--data"]).arg(data);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        // Nobody reads it, but it must not fill.
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Cluster { child, first_port }
    }

    fn clerk(&self) -> Clerk {
        let settings = ClerkSettings { deadline: Some(PATIENCE), ..ClerkSettings::default() };
        Clerk::new(ports_from(self.first_port).map(|port| format!("127.0.0.1:{port}")), settings)
    }

    /// Waits until no server has its port any more.
    fn wait_until_all_are_gone(&self) {
        let begun = Instant::now();
        for port in ports_from(self.first_port) {
            while TcpListener::bind(("127.0.0.1", port)).is_err() {
                assert!(begun.elapsed() < PATIENCE, "somebody still listens on port {port}");
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
fn servers_begin_and_end_together_and_go_on_from_what_they_had() {
    let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("together-{}", std::process::id()));
    let _ = fs::remove_dir_all(&data);
    let first_port = ports::free(SERVERS);
    for round in 0..3 {
        let mut cluster = Cluster::start(&data, first_port);
        let mut clerk = cluster.clerk();
        let value = clerk.get("x").expect("an answer").unwrap_or_default();
        assert_eq!(value.len(), round, "what was written is there");
        clerk.append("x", "1").expect("an answer");
        if round == 1 {
            // It cannot end them any more; they do it themselves.
            cluster.child.kill().expect("the right to kill a child");
            cluster.child.wait().expect("an end");
        } else {
            let signal = if round == 0 { "INT" } else { "TERM" };
            let kill = Command::new("kill").args(["-s", signal, &cluster.child.id().to_string()]).status();
            assert!(kill.expect("kill runs").success());
            assert_eq!(cluster.child.wait().expect("an end").code(), Some(0), "SIG{signal}");
        }
        cluster.wait_until_all_are_gone();
    }
    fs::remove_dir_all(&data).expect("it was there");
}

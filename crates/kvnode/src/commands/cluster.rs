//! `kvnode cluster N`: runs several servers on this machine, each as a process of its own, and shows their logs in one
//! terminal.

use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::serve::{self, Tuning};
use super::{addresses, secret, shutdown};
use crate::storage::private;

/// Time limit for the servers to end after a request.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `cluster`.
#[derive(Debug, clap::Args)]
pub struct ClusterArgs {
    /// The number of servers
    #[arg(default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    servers: u16,

    /// The port of the first server; the other servers use the following ports
    #[arg(long, default_value_t = addresses::FIRST_PORT)]
    port: u16,

    /// The directory that holds one directory for each server
    #[arg(long, value_name = "DIR", default_value = "raftlab-data")]
    data: PathBuf,

    #[command(flatten)]
    tuning: Tuning,
}

/// An event for the main thread.
enum ClusterEvent {
    /// A server has logged a line.
    Line(usize, String),
    /// A server's output has ended. The server has ended too, or is about to.
    Ended(usize),
    /// A signal requested the end of the cluster.
    ShutdownRequested,
}

/// Starts the servers, and waits for Ctrl-C or for the end of the last server.
pub(super) fn run(args: &ClusterArgs) -> Result<u8, String> {
    let peers = addresses::on_loopback(args.port, args.servers)?;
    for address in &peers {
        // This check reports a taken port in one line, instead of one line from each server.
        TcpListener::bind(address).map_err(|error| {
            format!("cannot listen on {address}: {error}; choose another first port with --port, or stop the program that uses it")
        })?;
    }
    private::create_dir_all(&args.data).map_err(|error| {
        format!("cannot create the directory {}: {error}; choose another one with --data", args.data.display())
    })?;
    secret::create_if_missing(&secret::path_in(&args.data))?;

    let (events, receiver) = mpsc::channel();
    let signal_events = events.clone();
    shutdown::on_signal(move || drop(signal_events.send(ClusterEvent::ShutdownRequested)))?;
    let mut servers = Vec::new();
    for id in 0..usize::from(args.servers) {
        // If this fails, dropping `servers` ends the started ones.
        servers.push(Server::start(id, &peers, args, &events).map_err(|error| format!("cannot start S{id}: {error}"))?);
    }
    eprintln!("{} servers: {}", args.servers, peers.join(","));
    eprintln!("in another terminal: kvnode kv put x 1; kvnode kv get x; kvnode status");
    eprintln!("Ctrl-C stops them; their data stays in {}", args.data.display());

    let (mut running, mut some_failed) = (servers.len(), false);
    while running > 0 {
        match receiver.recv().expect("this thread has a sender") {
            ClusterEvent::Line(id, line) => eprintln!("S{id} | {line}"),
            ClusterEvent::Ended(id) => {
                running -= 1;
                let status = servers[id].child.wait();
                some_failed |= !status.as_ref().is_ok_and(ExitStatus::success);
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                eprintln!("S{id} | has ended: {status}; {running} of {} left", args.servers);
            }
            ClusterEvent::ShutdownRequested => return stop_all(servers, running, &receiver),
        }
    }
    // If every server was asked to end, the whole cluster was.
    if some_failed { Err("no server is left; the failed servers gave their reasons above".to_string()) } else { Ok(0) }
}

/// Asks all servers to end, and waits until they have.
fn stop_all(mut servers: Vec<Server>, mut running: usize, receiver: &Receiver<ClusterEvent>) -> Result<u8, String> {
    servers.iter_mut().for_each(Server::stop);
    let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
    while running > 0 {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(ClusterEvent::Line(id, line)) => eprintln!("S{id} | {line}"),
            Ok(ClusterEvent::Ended(_)) => running -= 1,
            Ok(ClusterEvent::ShutdownRequested) => {}
            Err(_) => {
                // Dropping the servers kills them.
                return Err(format!(
                    "{running} servers did not end within {} s and were killed",
                    SHUTDOWN_TIMEOUT.as_secs()
                ));
            }
        }
    }
    Ok(0)
}

/// A server that this process has started.
struct Server {
    child: Child,
    /// The standard input of the server. The server ends when this is closed, so it also ends if this process is
    /// killed.
    input: Option<ChildStdin>,
}

impl Server {
    fn start(id: usize, peers: &[String], args: &ClusterArgs, events: &Sender<ClusterEvent>) -> io::Result<Server> {
        let mut command = serve::child_command(id, peers, &args.data, args.tuning.to_arguments())?;
        // Ctrl-C must reach only this process, which then ends the servers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let (input, log) = (child.stdin.take(), child.stderr.take().expect("it is piped"));
        let events = events.clone();
        thread::Builder::new().name(format!("log of S{id}")).spawn(move || {
            for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
                // The main thread receives as long as this process lives.
                let _ = events.send(ClusterEvent::Line(id, String::from_utf8_lossy(&line).into_owned()));
            }
            let _ = events.send(ClusterEvent::Ended(id));
        })?;
        Ok(Server { child, input })
    }

    /// Asks the server to end.
    fn stop(&mut self) {
        self.input = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may already have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

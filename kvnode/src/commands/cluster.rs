//! `raftlab cluster N`: several servers on this machine, each a process of its own, and what they log in one terminal.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::serve::{self, Tuning};
use super::{addresses, end, secret};

/// How long servers may take to end when they are asked to.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The arguments of `cluster`.
#[derive(Debug, clap::Args)]
pub struct ClusterArgs {
    /// How many servers
    #[arg(default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    servers: u16,

    /// The port of the first server; the others have those that follow
    #[arg(long, default_value_t = addresses::FIRST_PORT)]
    port: u16,

    /// The directory that has, or gets, a directory for each server
    #[arg(long, value_name = "DIR", default_value = "raftlab-data")]
    data: PathBuf,

    #[command(flatten)]
    tuning: Tuning,
}

/// What this thread is told of.
enum News {
    /// A server has logged a line.
    Line(usize, String),
    /// A server's output has ended, and so has the server, or is about to.
    Ended(usize),
    /// Somebody has asked the cluster to end.
    Asked,
}

/// Starts them, and waits for Ctrl-C or for the last of them to end.
pub(super) fn run(args: &ClusterArgs) -> Result<u8, String> {
    let peers = addresses::on_loopback(args.port, args.servers)?;
    for address in &peers {
        // Found out here, so that it is one line and not one from each server.
        TcpListener::bind(address).map_err(|error| {
            format!("cannot listen on {address}: {error}; choose another first port with --port, or end who uses it")
        })?;
    }
    fs::create_dir_all(&args.data).map_err(|error| {
        format!("cannot make the directory {}: {error}; choose another with --data", args.data.display())
    })?;
    secret::create_if_missing(&secret::within(&args.data))?;

    let (news, told) = mpsc::channel();
    let asked = news.clone();
    end::when_asked(move || drop(asked.send(News::Asked)))?;
    let mut servers = Vec::new();
    for id in 0..usize::from(args.servers) {
        // What has been started ends when it is dropped.
        servers.push(Server::start(id, &peers, args, &news).map_err(|error| format!("cannot start S{id}: {error}"))?);
    }
    eprintln!("{} servers: {}", args.servers, peers.join(","));
    eprintln!("in another terminal: raftlab kv put x 1; raftlab kv get x; raftlab status");
    eprintln!("Ctrl-C ends them; what they have saved stays in {}", args.data.display());

    let (mut left, mut some_failed) = (servers.len(), false);
    while left > 0 {
        match told.recv().expect("this thread has a sender") {
            News::Line(id, line) => eprintln!("S{id} | {line}"),
            News::Ended(id) => {
                left -= 1;
                let status = servers[id].child.wait();
                some_failed |= !status.as_ref().is_ok_and(ExitStatus::success);
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                eprintln!("S{id} | has ended: {status}; {left} of {} left", args.servers);
            }
            News::Asked => return end_all(servers, left, &told),
        }
    }
    // Whoever has asked each of them to end has asked for all.
    if some_failed { Err("no server is left; those that failed have said why above".to_string()) } else { Ok(0) }
}

/// Asks all of them to end, and waits until they have.
fn end_all(mut servers: Vec<Server>, mut left: usize, told: &Receiver<News>) -> Result<u8, String> {
    servers.iter_mut().for_each(Server::end);
    let deadline = Instant::now() + END_WITHIN;
    while left > 0 {
        match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(News::Line(id, line)) => eprintln!("S{id} | {line}"),
            Ok(News::Ended(_)) => left -= 1,
            Ok(News::Asked) => {}
            Err(_) => {
                // Dropped, they are killed.
                return Err(format!("{left} servers did not end within {} s, and are killed", END_WITHIN.as_secs()));
            }
        }
    }
    Ok(0)
}

/// A server that this process has started.
struct Server {
    child: Child,
    /// The server ends when this does, so it also ends if this process is killed.
    input: Option<ChildStdin>,
}

impl Server {
    fn start(id: usize, peers: &[String], args: &ClusterArgs, news: &Sender<News>) -> io::Result<Server> {
        let mut command = serve::child(id, peers, &args.data, args.tuning.words())?;
        // Ctrl-C is for this process, which then ends them.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let (input, log) = (child.stdin.take(), child.stderr.take().expect("it is piped"));
        let news = news.clone();
        thread::Builder::new().name(format!("log of S{id}")).spawn(move || {
            for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
                // The main thread listens as long as this process lives.
                let _ = news.send(News::Line(id, String::from_utf8_lossy(&line).into_owned()));
            }
            let _ = news.send(News::Ended(id));
        })?;
        Ok(Server { child, input })
    }

    /// Asks it to end.
    fn end(&mut self) {
        self.input = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! `raftlab status`: how the servers stand, as a table; on a terminal again and again.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::thread;
use std::time::Duration;

use raftapi::{Index, ServerId};

use super::addresses;
use crate::node::{NodeStatus, RoleInTerm};
use crate::wire::{ClientReply, ClientRequest, Connection, Limits};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the view is drawn.
const EVERY: Duration = Duration::from_millis(500);

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The addresses of the servers in the order of their ids: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', default_value = addresses::DEFAULT_PEERS)]
    peers: Vec<String>,

    /// Print it once, also on a terminal
    #[arg(long)]
    once: bool,
}

/// What one server says, or why it says nothing.
type Answer = Result<NodeStatus, String>;

pub(super) fn run(args: &StatusArgs) -> Result<u8, String> {
    let peers: Vec<String> = addresses::parse(&args.peers)?.iter().map(ToString::to_string).collect();
    let live = io::stdout().is_terminal() && !args.once;
    let mut watched: Vec<Watched> = peers.into_iter().map(Watched::new).collect();
    let mut drawn = 0;
    loop {
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asking: Vec<_> = watched.iter_mut().map(|server| scope.spawn(|| server.ask())).collect();
            asking.into_iter().map(|asked| asked.join().expect("asking does not panic")).collect()
        });
        if !live && answers.iter().all(Result::is_err) {
            return Err(format!(
                "no server answers at {}; start some, or say where they are with --peers",
                args.peers.join(",")
            ));
        }
        let mut table = table(&watched, &answers);
        if live {
            // A line that wraps would be two to go back over.
            let width = terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| width.0.into());
            table = table.lines().map(|line| line.chars().take(width).collect::<String>() + "\n").collect();
        }
        // Over the one before.
        let back = if drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
        let mut out = io::stdout().lock();
        match write!(out, "{back}{table}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            Err(error) => return Err(format!("cannot write the output: {error}")),
            Ok(()) => {}
        }
        if !live {
            return Ok(if leader(&answers).is_some() { 0 } else { 1 });
        }
        drawn = table.lines().count();
        thread::sleep(EVERY);
    }
}

/// A server that is asked again and again.
struct Watched {
    address: String,
    connection: Option<Connection>,
}

impl Watched {
    fn new(address: String) -> Watched {
        Watched { address, connection: None }
    }

    fn ask(&mut self) -> Answer {
        let connection = match self.connection.take().filter(|connection| connection.ended().is_none()) {
            Some(connection) => connection,
            None => {
                let limits = Limits { connect: PATIENCE, handshake: PATIENCE, ..Limits::default() };
                Connection::open(&self.address, &limits).map_err(|error| error.to_string())?
            }
        };
        let reply = connection.call(ClientRequest::Status, PATIENCE).map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        match reply {
            ClientReply::Status(status) => NodeStatus::decode(&status).map_err(|error| error.to_string()),
            other => Err(format!("answers with something else: {other:?}")),
        }
    }
}

/// Of those that believe that they lead, the one of the latest term.
fn leader(answers: &[Answer]) -> Option<&NodeStatus> {
    let leading = answers.iter().flatten().filter(|status| status.role == RoleInTerm::Leader);
    leading.max_by_key(|status| status.term)
}

/// A line a server.
fn table(watched: &[Watched], answers: &[Answer]) -> String {
    let leader = leader(answers);
    let mut text = String::new();
    let headings = ["server", "address", "role", "term", "first", "last", "commit", "applied", "log", "lag", "state"];
    let mut rows = vec![headings.map(str::to_string).to_vec()];
    for (place, (server, answer)) in watched.iter().zip(answers).enumerate() {
        let mut row = vec![ServerId(place).to_string(), server.address.clone()];
        match answer {
            Ok(status) => {
                row.push(status.role.name().to_string());
                row.push(status.term.to_string());
                let indexes = [status.first_index, status.last_index, status.commit_index, status.applied];
                row.extend(indexes.iter().map(Index::to_string));
                row.push(size(status.log_bytes));
                row.extend(lag(leader, ServerId(place), status));
            }
            Err(reason) => row.extend(["away".to_string(), reason.clone()]),
        }
        rows.push(row);
    }
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            // A reason is as long as it is, and stands last in its row.
            let cells = rows.iter().filter(|row| row.len() == headings.len()).map(|row| row[column].len());
            cells.max().unwrap_or(0).max(if column == 1 { 15 } else { 0 })
        })
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect::<Vec<_>>();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    let _ = match leader {
        Some(leader) => writeln!(text, "{} leads term {}", leader.server, leader.term),
        None => writeln!(text, "no server leads"),
    };
    text
}

/// How many entries a server is behind the leader, and how the leader treats it.
fn lag(leader: Option<&NodeStatus>, server: ServerId, status: &NodeStatus) -> [String; 2] {
    let Some(leader) = leader else { return ["?".to_string(), String::new()] };
    if leader.server == server {
        return ["0".to_string(), format!("{} waiting", status.waiting)];
    }
    let lag = leader.commit_index.0.saturating_sub(status.applied.0).to_string();
    let known = leader.followers.iter().find(|follower| follower.server == server);
    [lag, known.map_or(String::new(), |follower| follower.state.clone())]
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

//! `kvnode status`: shows the state of the servers as a table, which is live on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use raftapi::{Index, ServerId};
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

use super::addresses;
use crate::node::{NodeRole, NodeStatus};
use crate::wire::{ClientReply, ClientRequest, Connection, Limits};

/// Time limit for the reply of one server.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

/// Interval between two drawings of the live table.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// The headings of the table.
const HEADINGS: [&str; 11] =
    ["server", "address", "role", "term", "first", "last", "commit", "applied", "log", "lag", "state"];

/// The columns of numbers, which stand at the right.
const NUMBERS: Range<usize> = 3..10;

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The addresses of the servers in the order of their ids: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', default_value = addresses::DEFAULT_PEERS)]
    peers: Vec<String>,

    /// Print the table once, also on a terminal
    #[arg(long)]
    once: bool,
}

/// The status of one server, or the reason why there is none.
type StatusResult = Result<NodeStatus, String>;

pub(super) fn run(args: &StatusArgs) -> Result<u8, String> {
    let peers: Vec<String> = addresses::parse(&args.peers)?.iter().map(ToString::to_string).collect();
    let live = io::stdout().is_terminal() && !args.once;
    let mut servers: Vec<PolledServer> = peers.into_iter().map(PolledServer::new).collect();
    let mut lines_drawn = 0;
    loop {
        let results: Vec<StatusResult> = thread::scope(|scope| {
            let polling: Vec<_> = servers.iter_mut().map(|server| scope.spawn(|| server.poll())).collect();
            polling.into_iter().map(|poll| poll.join().expect("polling does not panic")).collect()
        });
        if !live && results.iter().all(Result::is_err) {
            return Err(format!(
                "no server answers at {}; start some, or pass their addresses with --peers",
                args.peers.join(",")
            ));
        }
        let mut table = table(&servers, &results);
        if live {
            // Long lines are cut, because a wrapped line would break the cursor movement.
            let width = terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| width.0.into());
            table = table.lines().map(|line| line.chars().take(width).collect::<String>() + "\n").collect();
        }
        // The new table overwrites the old one.
        let back = if lines_drawn > 0 { format!("\x1b[{lines_drawn}A\x1b[J") } else { String::new() };
        let mut out = io::stdout().lock();
        match write!(out, "{back}{table}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            Err(error) => return Err(format!("cannot write the output: {error}")),
            Ok(()) => {}
        }
        if !live {
            return Ok(if leader(&results).is_some() { 0 } else { 1 });
        }
        lines_drawn = table.lines().count();
        thread::sleep(REFRESH_INTERVAL);
    }
}

/// A server whose status is polled.
struct PolledServer {
    address: String,
    connection: Option<Connection>,
}

impl PolledServer {
    fn new(address: String) -> PolledServer {
        PolledServer { address, connection: None }
    }

    fn poll(&mut self) -> StatusResult {
        let connection = match self.connection.take().filter(|connection| connection.ended().is_none()) {
            Some(connection) => connection,
            None => {
                let limits = Limits { connect: STATUS_TIMEOUT, handshake: STATUS_TIMEOUT, ..Limits::default() };
                Connection::open(&self.address, &limits).map_err(|error| error.to_string())?
            }
        };
        let reply = connection.call(ClientRequest::Status, STATUS_TIMEOUT).map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        match reply {
            ClientReply::Status(status) => NodeStatus::decode(&status).map_err(|error| error.to_string()),
            other => Err(format!("unexpected reply: {other:?}")),
        }
    }
}

/// Returns the leader of the latest term among the servers that report to lead.
fn leader(results: &[StatusResult]) -> Option<&NodeStatus> {
    let leading = results.iter().flatten().filter(|status| status.role == NodeRole::Leader);
    leading.max_by_key(|status| status.term)
}

/// Formats the table, with one line for each server, and below it the leader and the reasons of missing statuses.
fn table(servers: &[PolledServer], results: &[StatusResult]) -> String {
    let leader = leader(results);
    let mut rows = Builder::default();
    rows.push_record(HEADINGS);
    let mut reasons = String::new();
    for (id, (server, result)) in servers.iter().zip(results).enumerate() {
        let mut row = vec![ServerId(id).to_string(), server.address.clone()];
        match result {
            Ok(status) => {
                row.push(status.role.name().to_string());
                row.push(status.term.to_string());
                let indexes = [status.first_index, status.last_index, status.commit_index, status.applied];
                row.extend(indexes.iter().map(Index::to_string));
                row.push(size(status.log_bytes));
                let [lag, state] = lag(leader, ServerId(id), status);
                row.extend([lag, if status.standing.is_empty() { state } else { status.standing.clone() }]);
            }
            Err(reason) => {
                row.push("no status".to_string());
                let _ = writeln!(reasons, "{}: {reason}", ServerId(id));
            }
        }
        rows.push_record(row);
    }
    let mut table = rows.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0)).modify(Columns::new(NUMBERS), Alignment::right());
    let table: String = table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let leads = match leader {
        Some(leader) => format!("{} leads term {}", leader.server, leader.term),
        None => "no server leads".to_string(),
    };
    format!("{table}{leads}\n{reasons}")
}

/// Returns the number of entries by which a server lags behind the leader, and its replication state.
fn lag(leader: Option<&NodeStatus>, server: ServerId, status: &NodeStatus) -> [String; 2] {
    let Some(leader) = leader else { return ["?".to_string(), String::new()] };
    if leader.server == server {
        return ["0".to_string(), format!("{} waiting", status.waiting)];
    }
    let lag = leader.commit_index.0.saturating_sub(status.applied.0).to_string();
    let known = leader.followers.iter().find(|follower| follower.server == server);
    [lag, known.map_or(String::new(), |follower| follower.state.clone())]
}

/// Formats a size in bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use raftapi::Term;

    use super::*;
    use crate::node::FollowerStatus;

    fn status(server: usize, role: NodeRole, applied: u64) -> NodeStatus {
        NodeStatus {
            server: ServerId(server),
            term: Term(2),
            role,
            leader: Some(ServerId(0)),
            first_index: Index(1),
            last_index: Index(1205),
            commit_index: Index(1205),
            applied: Index(applied),
            log_bytes: 120_000,
            data_bytes: 0,
            waiting: 3,
            followers: Vec::new(),
            standing: String::new(),
        }
    }

    #[test]
    fn numbers_stand_at_the_right_and_reasons_below_the_table() {
        let follower = FollowerStatus {
            server: ServerId(1),
            match_index: Index(1204),
            next_index: Index(1205),
            state: "replicating".to_string(),
            connected: true,
        };
        let leader = NodeStatus { followers: vec![follower], ..status(0, NodeRole::Leader, 1205) };
        let results = [Ok(leader), Ok(status(1, NodeRole::Follower, 998)), Err("connection refused".to_string())];
        let servers = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"];
        let servers = servers.map(|address| PolledServer::new(address.to_string()));
        let expected = "\
server  address         role       term  first  last  commit  applied     log  lag  state
S0      127.0.0.1:7001  leader        2      1  1205    1205     1205  120 kB    0  3 waiting
S1      127.0.0.1:7002  follower      2      1  1205    1205      998  120 kB  207  replicating
S2      127.0.0.1:7003  no status
S0 leads term 2
S2: connection refused
";
        assert_eq!(table(&servers, &results), expected);
    }
}

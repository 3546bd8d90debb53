//! Golden scripts that tell stories about the core. Each file in `tests/scripts` is a list of commands. Below each
//! `---` it lists every message and every decision that followed. This file defines the commands. `scripted/` contains
//! the cluster that they drive, and the protocol is the crate's.
//!
//! Servers are called n1, n2, ... as the paper calls them S1, S2, ...: n1 is `ServerId(0)`. An entry is written
//! `index@term`, followed by `=` and its command if it has one.
//!
//! After a deliberate change of the protocol or of the trace, `UPDATE_GOLDENFILES=1 cargo test -p raft --test
//! core_scripts` writes the new traces. Read the difference before you keep it.

mod cores;
mod scripted;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;
use goldenscript::Context;
use raft::core::MAX_BATCH_BYTES;
use raftapi::{Index, ServerId, Term};
use scripted::{Cluster, Filter};

/// The commands of a script.
#[derive(goldenscript::Command)]
enum Command {
    /// Starts a new cluster: `cluster nodes=3`.
    Cluster {
        #[arg(key)]
        nodes: usize,
    },
    /// Gives a server a log, as if it were restarted with it: `log n1 terms="1 1 2"`. Its term is that of the last
    /// entry unless `term=` says otherwise; it has not voted. `base=2` says that the first two are in a snapshot.
    Log {
        node: Node,
        #[arg(key)]
        terms: String,
        #[arg(key)]
        term: Option<u64>,
        #[arg(key, optional)]
        base: u64,
    },
    /// Fires a server's election timer.
    Timeout { node: Node },
    /// Makes a leader send heartbeats, to all peers or to one: `heartbeat n1 to=n2`.
    Heartbeat {
        node: Node,
        #[arg(key)]
        to: Option<Node>,
    },
    /// Proposes commands one by one: `propose n1 a b`.
    Propose { node: Node, commands: Vec<String> },
    /// Proposes commands whose size is a fraction of a whole batch: `propose_large n1 4 fraction=2`.
    ProposeLarge {
        node: Node,
        count: usize,
        #[arg(key)]
        fraction: usize,
    },
    /// Begins reads one by one: `read n1 times=2`.
    Read {
        node: Node,
        #[arg(key)]
        times: Option<usize>,
    },
    /// Delivers the messages that are in flight now, but not the messages that these cause. The filters `from`, `to`
    /// and `what` (the beginning of a message's name) select some of them; `twice=true` delivers each one twice.
    Deliver {
        #[arg(key)]
        from: Option<Node>,
        #[arg(key)]
        to: Option<Node>,
        #[arg(key)]
        what: Option<String>,
        #[arg(key, optional)]
        twice: bool,
    },
    /// Loses messages. No server notices.
    Drop {
        #[arg(key)]
        from: Option<Node>,
        #[arg(key)]
        to: Option<Node>,
        #[arg(key)]
        what: Option<String>,
    },
    /// Holds messages back until they are released, so that others overtake them.
    Hold {
        #[arg(key)]
        from: Option<Node>,
        #[arg(key)]
        to: Option<Node>,
        #[arg(key)]
        what: Option<String>,
    },
    /// Puts all held messages back in flight.
    Release,
    /// Hands a server a snapshot of its service up to an index: `snapshot n1 5`.
    Snapshot { node: Node, index: u64 },
    /// Times out the last entries or snapshot that a leader sent to a peer: `expire n1 n2`.
    Expire { leader: Node, peer: Node },
    /// Fails the call that carried the last entries or snapshot from a leader to a peer: `fail n1 n2`.
    Fail { leader: Node, peer: Node },
    /// Cuts the named servers off from the others: `partition n1 n2`.
    Partition(Vec<Node>),
    /// Ends the partition.
    Heal,
    /// Restarts a server with its saved state.
    Restart { node: Node },
    /// Delivers messages and commit notices until there are no more.
    Stabilize,
    /// Shows all servers, or one.
    Status { node: Option<Node> },
}

/// A server in a script: `n1` is the first.
struct Node(ServerId);

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Node, String> {
        let number = text.strip_prefix('n').and_then(|number| number.parse::<usize>().ok());
        let place = number.and_then(|number| number.checked_sub(1));
        place.map(|place| Node(ServerId(place))).ok_or(format!("{text} is not a server; the first is n1"))
    }
}

/// Runner of one script's commands.
struct Runner {
    cluster: Cluster,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let cluster = &mut self.cluster;
        match command {
            Command::Cluster { nodes } => *cluster = Cluster::new(*nodes),
            Command::Log { node, terms, term, base } => {
                let terms: Vec<Term> =
                    terms.split_whitespace().map(|term| term.parse().map(Term)).collect::<Result<_, _>>()?;
                cluster.set_log(node.0, &terms, term.map(Term), Index(*base));
            }
            Command::Timeout { node } => cluster.election_timeout(node.0),
            Command::Heartbeat { node, to } => cluster.heartbeat(node.0, to.as_ref().map(|to| to.0)),
            Command::Propose { node, commands } => {
                for command in commands {
                    cluster.propose(node.0, Bytes::from(command.clone()));
                }
            }
            Command::ProposeLarge { node, count, fraction } => {
                for _ in 0..*count {
                    cluster.propose(node.0, Bytes::from(vec![b'x'; MAX_BATCH_BYTES / fraction]));
                }
            }
            Command::Read { node, times } => {
                for _ in 0..times.unwrap_or(1) {
                    cluster.read(node.0);
                }
            }
            Command::Deliver { from, to, what, twice } => {
                let times = if *twice { 2 } else { 1 };
                cluster.deliver(&filter(from, to, what), times);
            }
            Command::Drop { from, to, what } => cluster.lose(&filter(from, to, what)),
            Command::Hold { from, to, what } => cluster.hold(&filter(from, to, what)),
            Command::Release => cluster.release(),
            Command::Snapshot { node, index } => cluster.snapshot(node.0, Index(*index)),
            Command::Expire { leader, peer } => cluster.expire(leader.0, peer.0),
            Command::Fail { leader, peer } => cluster.fail(leader.0, peer.0),
            Command::Partition(nodes) => {
                cluster.cut_off = nodes.iter().map(|node| node.0).collect();
            }
            Command::Heal => cluster.cut_off = BTreeSet::new(),
            Command::Restart { node } => cluster.restart(node.0),
            Command::Stabilize => cluster.stabilize(),
            Command::Status { node } => cluster.show_status(node.as_ref().map(|node| node.0)),
        }
        Ok(self.cluster.take_trace())
    }
}

fn filter(from: &Option<Node>, to: &Option<Node>, what: &Option<String>) -> Filter {
    Filter { from: from.as_ref().map(|node| node.0), to: to.as_ref().map(|node| node.0), what: what.clone() }
}

/// Defines one test for each script, with the same name, and one test that finds scripts without a test.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let path = Path::new("tests/scripts").join(stringify!($name));
                let mut runner = Runner { cluster: Cluster::new(0) };
                goldenscript::run(&mut runner, path).expect("the script is readable and its commands are valid");
            }
        )*

        #[test]
        fn every_script_is_run() {
            let listed = BTreeSet::from([$(stringify!($name).to_string()),*]);
            let files = std::fs::read_dir("tests/scripts").expect("the scripts are there");
            let names = files.map(|file| file.expect("a readable entry").file_name());
            let found: BTreeSet<String> = names.map(|name| name.into_string().expect("a plain name")).collect();
            assert_eq!(found, listed, "the files in tests/scripts are the tests listed here");
        }
    };
}

scripts! {
    first_election,
    split_vote,
    election_restriction,
    old_vote_request,
    election_timer,
    leader_steps_down,
    replication,
    conflict_term_missing,
    conflict_term_shared,
    conflict_short_log,
    figure_7,
    figure_8,
    figure_8_e,
    late_append_entries,
    stale_replies,
    probing,
    batches,
    single_server,
    restart,
    persistence_order,
    snapshot_taken,
    snapshot_install,
    snapshot_suffix_kept,
    snapshot_stale,
    snapshot_to_a_paused_peer,
    snapshot_restart,
    reads,
    reads_stale_replies,
    reads_step_down,
}

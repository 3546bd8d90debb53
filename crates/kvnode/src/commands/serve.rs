//! `kvnode serve`: runs one server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, io};

use raftapi::ServerId;

use super::{addresses, secret, shutdown};
use crate::node::{Config, Node};
use crate::storage::{DiskFaults, SyncPolicy};
use crate::wire::Secret;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The id of this server: 0 for the first of --peers
    #[arg(long)]
    id: usize,

    /// The addresses of all servers in the order of their ids, with this one among them: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    peers: Vec<String>,

    /// The data directory of this server; each server needs its own
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The address on which to listen [default: its own address among --peers, if that is on loopback]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// A file with the secret that all servers of the cluster share; without one, all servers must be on loopback
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,

    /// Replace this server, whose data is lost: --data is empty, and all other servers must run
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    tuning: Tuning,

    /// Addresses at which this server connects to the others, in the order of --peers, if they are not those of --peers
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', hide = true)]
    routes: Option<Vec<String>>,

    /// Faults of the disk, for tests: milliseconds that each sync takes longer, the number of the first sync that
    /// fails, and the number of the first write that finds the disk full; 0 for never
    #[arg(long, value_name = "MS:SYNC:WRITE", value_parser = disk_faults, hide = true)]
    disk_faults: Option<DiskFaults>,

    /// End when standard input ends
    #[arg(long, hide = true)]
    end_with_input: bool,
}

/// Tuning of a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Tuning {
    /// Do not wait for the disk: faster, but acknowledged writes can be lost if the machine fails (not if only the
    /// server does)
    #[arg(long)]
    no_sync: bool,

    /// Compact the log when it is larger than this: bytes, or a size such as 64K, 16M, 1G
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    log_limit: u64,
}

impl Tuning {
    /// Returns the equivalent command-line arguments.
    pub(super) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--log-limit".to_string(), self.log_limit.to_string()];
        arguments.extend(self.no_sync.then(|| "--no-sync".to_string()));
        arguments
    }
}

/// Returns the command that runs server `id` of those at `peers` as a child process. The server's data is in its own
/// directory within `dir`, next to the secret of all servers. The server ends when its standard input is closed, and so
/// with this process, however that ends.
pub(super) fn child_command(
    id: usize,
    peers: &[String],
    dir: &Path,
    tuning: impl IntoIterator<Item = String>,
) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve", "--end-with-input", "--id", &id.to_string(), "--peers", &peers.join(",")]);
    command.arg("--data").arg(dir.join(id.to_string())).arg("--secret").arg(secret::path_in(dir)).args(tuning);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    Ok(command)
}

/// Reason to stop a server.
enum ShutdownReason {
    /// A signal or the end of input requested it.
    Requested,
    /// The server cannot continue, for this reason.
    Failed(String),
}

pub(super) fn run(args: &ServeArgs) -> Result<u8, String> {
    super::logger::install()?;
    // One line for each panic, as for everything else.
    std::panic::set_hook(Box::new(|panic| {
        log::error!("{}", panic.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
    }));
    let config = config(args)?;
    let (reasons, reason_receiver) = mpsc::channel();
    let (by_signal, by_input, by_failure) = (reasons.clone(), reasons.clone(), reasons);
    // Sending fails only after the shutdown has begun.
    shutdown::on_signal(move || drop(by_signal.send(ShutdownReason::Requested)))?;
    if args.end_with_input {
        shutdown::on_end_of_input(move || drop(by_input.send(ShutdownReason::Requested)))?;
    }
    let node = Node::start(config, move |failure| drop(by_failure.send(ShutdownReason::Failed(failure))))?;
    let reason = reason_receiver.recv().expect("the node has a sender");
    node.stop();
    match reason {
        ShutdownReason::Requested => Ok(0),
        ShutdownReason::Failed(failure) => {
            eprintln!("error: {failure}");
            Ok(1)
        }
    }
}

/// Converts the arguments to a configuration.
fn config(args: &ServeArgs) -> Result<Config, String> {
    let peers = addresses::parse(&args.peers)?;
    let (me, servers) = (ServerId(args.id), peers.len());
    if me.0 >= servers {
        return Err(format!(
            "--id {} is none of the {servers} servers that --peers lists; the ids are 0 to {}",
            me.0,
            servers - 1
        ));
    }
    let own = peers[me.0];
    let listen = match &args.listen {
        Some(address) => addresses::resolve(address)?,
        None if addresses::is_local(&own) => own,
        None => {
            return Err(format!("{own} is reachable from other machines; if you want this, pass --listen {own}"));
        }
    };
    let secret = match &args.secret {
        Some(path) => secret::read(path)?,
        None if addresses::is_local(&listen) && peers.iter().all(addresses::is_local) => Secret::of_loopback(),
        None => {
            return Err("servers on several machines need a shared secret; name its file with --secret".to_string());
        }
    };
    let routes = match &args.routes {
        Some(routes) => addresses::parse(routes)?,
        None => peers,
    };
    if routes.len() != servers {
        return Err(format!("--routes lists {} servers, but --peers lists {servers}", routes.len()));
    }
    Ok(Config {
        me,
        peers: args.peers.clone(),
        routes,
        replace: args.replace,
        listen,
        secret,
        data: args.data.clone(),
        sync: match args.disk_faults {
            Some(faults) => SyncPolicy::Faulty(faults),
            None if args.tuning.no_sync => SyncPolicy::Never,
            None => SyncPolicy::Always,
        },
        log_limit: args.tuning.log_limit,
    })
}

/// Parses the faults of a disk, such as `20:100:0`.
fn disk_faults(text: &str) -> Result<DiskFaults, String> {
    let numbers: Option<Vec<u64>> = text.split(':').map(|number| number.parse().ok()).collect();
    let Some([delay, sync, write]) = numbers.as_deref() else {
        return Err("write MS:SYNC:WRITE, such as 20:100:0".to_string());
    };
    let number = |number: u64| (number > 0).then_some(number);
    Ok(DiskFaults {
        sync_delay: Duration::from_millis(*delay),
        failing_sync: number(*sync),
        full_at_write: number(*write),
    })
}

/// Parses a size in bytes, such as `64K`.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "write a number of bytes, or a size such as 64K, 16M, 1G".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_accept_the_units_k_m_and_g() {
        let read = ["1", "64K", "16m", "1G"].map(|text| size(text).unwrap());
        assert_eq!(read, [1, 64 << 10, 16 << 20, 1 << 30]);
        for wrong in ["", "0", "K", "-1", "1T", "1.5M", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

//! `raftlab serve`: one server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::{env, io};

use raftapi::ServerId;

use super::{addresses, end, secret};
use crate::node::{Config, Node};
use crate::storage::Sync;
use crate::wire::Secret;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Which of the servers this is: 0 for the first of --peers
    #[arg(long)]
    id: usize,

    /// The addresses of all servers in the order of their ids, this one among them: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    peers: Vec<String>,

    /// The directory for what it saves; it belongs to this server alone
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Where to listen [default: its own address among --peers, if that is on loopback]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// A file with the secret that all servers of the cluster share; without one, all must be on loopback
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,

    #[command(flatten)]
    tuning: Tuning,

    /// End when standard input does
    #[arg(long, hide = true)]
    end_with_input: bool,
}

/// How a server works.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Tuning {
    /// Do not wait for the disk: faster, but what was acknowledged can be lost if the machine stops (not if the server does)
    #[arg(long)]
    no_sync: bool,

    /// Compact the log when it is longer than this: bytes, or such as 64K, 16M, 1G
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    log_limit: u64,
}

impl Tuning {
    /// The arguments that mean the same.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec!["--log-limit".to_string(), self.log_limit.to_string()];
        words.extend(self.no_sync.then(|| "--no-sync".to_string()));
        words
    }
}

/// What runs server `id` of those at `peers`, as a child of this process. What it saves is in a folder of its own within `dir`,
/// where the secret of all of them is, too. It ends when its standard input does, and so with this process, however that ends.
pub(super) fn child(
    id: usize,
    peers: &[String],
    dir: &Path,
    tuning: impl IntoIterator<Item = String>,
) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve", "--end-with-input", "--id", &id.to_string(), "--peers", &peers.join(",")]);
    command.arg("--data").arg(dir.join(id.to_string())).arg("--secret").arg(secret::within(dir)).args(tuning);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    Ok(command)
}

/// What ends a server.
enum End {
    /// Somebody has asked for it.
    Asked,
    /// It cannot go on.
    Failed(String),
}

pub(super) fn run(args: &ServeArgs) -> Result<u8, String> {
    super::logger::install()?;
    let config = config(args)?;
    let (ends, ended) = mpsc::channel();
    let (by_signal, by_input, by_failure) = (ends.clone(), ends.clone(), ends);
    // Nobody listens any more only when the end has begun.
    end::when_asked(move || drop(by_signal.send(End::Asked)))?;
    if args.end_with_input {
        end::with_input(move || drop(by_input.send(End::Asked)))?;
    }
    let node = Node::start(config, move |failure| drop(by_failure.send(End::Failed(failure))))?;
    let end = ended.recv().expect("the node has a sender");
    node.stop();
    match end {
        End::Asked => Ok(0),
        End::Failed(failure) => {
            eprintln!("error: {failure}");
            Ok(1)
        }
    }
}

/// What the arguments mean.
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
            return Err(format!(
                "{own} can be reached from other machines; if that is meant, say so with --listen {own}"
            ));
        }
    };
    let secret = match &args.secret {
        Some(path) => secret::read(path)?,
        None if addresses::is_local(&listen) && peers.iter().all(addresses::is_local) => Secret::of_loopback(),
        None => {
            return Err(
                "servers on several machines need a secret that they share; --secret names its file".to_string()
            );
        }
    };
    Ok(Config {
        me,
        peers,
        listen,
        secret,
        data: args.data.clone(),
        sync: if args.tuning.no_sync { Sync::Never } else { Sync::Always },
        log_limit: args.tuning.log_limit,
    })
}

/// A number of bytes as people write it.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "write bytes, or such as 64K, 16M, 1G".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do() {
        let read = ["1", "64K", "16m", "1G"].map(|text| size(text).unwrap());
        assert_eq!(read, [1, 64 << 10, 16 << 20, 1 << 30]);
        for wrong in ["", "0", "K", "-1", "1T", "1.5M", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

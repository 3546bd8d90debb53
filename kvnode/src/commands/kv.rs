//! `raftlab kv`: one operation.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::Bytes;

use super::addresses;
use crate::wire::{Clerk, ClerkError, ClerkSettings};

/// The arguments of `kv`.
#[derive(Debug, clap::Args)]
pub struct KvArgs {
    #[command(subcommand)]
    operation: Operation,

    /// The addresses of the servers: host:port,host:port,...
    #[arg(long, global = true, value_name = "ADDRESSES", value_delimiter = ',', default_value = addresses::DEFAULT_PEERS)]
    peers: Vec<String>,

    /// How long to try, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Operation {
    /// Print the value of a key
    Get {
        /// Which key
        key: String,
    },
    /// Give a key a value
    Put {
        /// Which key
        key: String,
        /// The value; - reads it from standard input
        value: String,
    },
    /// Add something at the end of a key's value
    Append {
        /// Which key
        key: String,
        /// What to add; - reads it from standard input
        value: String,
    },
}

pub(super) fn run(args: &KvArgs) -> Result<u8, String> {
    let servers = addresses::parse(&args.peers)?.into_iter().map(|address| address.to_string());
    let deadline = Some(Duration::from_secs(args.timeout.into()));
    let mut clerk = Clerk::new(servers, ClerkSettings { deadline, ..ClerkSettings::default() });
    let done = match &args.operation {
        Operation::Get { key } => match clerk.get(key) {
            Ok(Some(value)) => return print(&value),
            Ok(None) => return Ok(1),
            Err(error) => Err(error),
        },
        Operation::Put { key, value } => clerk.put(key, text(value)?),
        Operation::Append { key, value } => clerk.append(key, text(value)?),
    };
    match done {
        Ok(()) => Ok(0),
        Err(error @ ClerkError::GaveUp { .. }) => Err(format!("{error}; `raftlab status` tells how the servers are")),
        Err(error @ ClerkError::Refused(_)) => Err(error.to_string()),
    }
}

/// What was given, or all of standard input.
fn text(argument: &str) -> Result<Bytes, String> {
    if argument != "-" {
        return Ok(Bytes::copy_from_slice(argument.as_bytes()));
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(|error| format!("cannot read standard input: {error}"))?;
    Ok(bytes.into())
}

fn print(value: &[u8]) -> Result<u8, String> {
    let mut out = io::stdout().lock();
    match out.write_all(value).and_then(|()| out.write_all(b"\n")) {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the output: {error}")),
        _ => Ok(0),
    }
}

//! `kvnode kv`: executes one operation.

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

    /// Time limit of the operation, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Operation {
    /// Print the value of a key
    Get {
        /// The key
        key: String,
    },
    /// Set the value of a key
    Put {
        /// The key
        key: String,
        /// The value; - reads it from standard input
        value: String,
    },
    /// Append to the value of a key
    Append {
        /// The key
        key: String,
        /// The value to append; - reads it from standard input
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
        Err(error @ ClerkError::GaveUp { .. }) => {
            Err(format!("{error}; `kvnode status` shows the state of the servers"))
        }
        Err(error @ ClerkError::Refused(_)) => Err(error.to_string()),
    }
}

/// Returns the argument, or all of standard input for `-`.
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
        // The reader of the output has closed it, which is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the output: {error}")),
        _ => Ok(0),
    }
}

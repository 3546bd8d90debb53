//! `kvnode backup` and `kvnode restore`: the whole state of a running cluster in one file, and a new cluster from it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raftapi::ServerId;

use super::addresses;
use crate::node::{self, BackupPiece, BackupRequest};
use crate::storage::{self, Image, private};
use crate::wire::{ClientReply, ClientRequest, Connection, Limits};

/// Time limit for one reply. Before the first one, the server writes its whole state to a file.
const REPLY_TIMEOUT: Duration = Duration::from_secs(600);
/// The backoff if no server leads.
const BACKOFF: Duration = Duration::from_millis(100);

/// The arguments of `backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file to create
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    /// The addresses of the servers: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', default_value = addresses::DEFAULT_PEERS)]
    peers: Vec<String>,

    /// Time limit to find a leader, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,
}

/// The arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The file that `kvnode backup` has created
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// The id of the server whose directory is created: 0 for the first of --peers
    #[arg(long)]
    id: usize,

    /// The addresses of all servers of the new cluster: host:port,host:port,...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    peers: Vec<String>,

    /// The data directory to create
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(super) fn backup(args: &BackupArgs) -> Result<u8, String> {
    let addresses: Vec<String> = addresses::parse(&args.peers)?.iter().map(ToString::to_string).collect();
    if args.to.exists() {
        return Err(format!("{} exists already; name a new file with --to", args.to.display()));
    }
    let connection = connect_to_leader(&addresses, Duration::from_secs(args.timeout.into()))?;
    let temporary = private::incomplete(&args.to);
    let bytes = receive(&connection, &temporary).and_then(|bytes| {
        Image::check(&temporary)?;
        fs::rename(&temporary, &args.to).map_err(|error| format!("{}: {error}", args.to.display()))?;
        Ok(bytes)
    });
    if bytes.is_err() {
        // The file may not exist.
        let _ = fs::remove_file(&temporary);
    }
    println!("{} bytes in {}", bytes?, args.to.display());
    Ok(0)
}

/// Connects to the leader. It has applied everything that was acknowledged before, because it has answered a read.
fn connect_to_leader(addresses: &[String], timeout: Duration) -> Result<Connection, String> {
    let deadline = Instant::now() + timeout;
    loop {
        for address in addresses {
            let Ok(connection) = Connection::open(address, &Limits::default()) else { continue };
            let read = connection.call(ClientRequest::Get { key: String::new() }, Duration::from_secs(1));
            if let Ok(ClientReply::Value(_)) = read {
                return Ok(connection);
            }
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "no server leads at {}; `kvnode status` shows the state of the servers",
                addresses.join(",")
            ));
        }
        std::thread::sleep(BACKOFF);
    }
}

/// Receives all pieces of a backup into a new file, and syncs it. Returns its size, in bytes.
fn receive(connection: &Connection, path: &Path) -> Result<u64, String> {
    let on_disk = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = private::create(path).map_err(on_disk)?;
    let mut request = BackupRequest { number: None, offset: 0 };
    loop {
        let reply = connection.call(ClientRequest::Admin(labgob::encode(&request)), REPLY_TIMEOUT);
        let piece = match reply.map_err(|error| error.to_string())? {
            ClientReply::Admin(piece) => labgob::decode::<BackupPiece>(&piece).map_err(|error| error.to_string())?,
            ClientReply::Refused(reason) => return Err(reason),
            other => return Err(format!("the server sent an unexpected reply: {other:?}")),
        };
        if piece.bytes.is_empty() {
            return Err("the backup has ended too early".to_string());
        }
        file.write_all(&piece.bytes).map_err(on_disk)?;
        request = BackupRequest { number: Some(piece.number), offset: request.offset + piece.bytes.len() as u64 };
        if request.offset >= piece.total {
            file.sync_all().map_err(on_disk)?;
            return Ok(piece.total);
        }
    }
}

pub(super) fn restore(args: &RestoreArgs) -> Result<u8, String> {
    let servers = addresses::parse(&args.peers)?.len();
    if args.id >= servers {
        return Err(format!("--id {} is none of the {servers} servers that --peers lists", args.id));
    }
    let image = Image::check(&args.from).map_err(|error| {
        format!("{}; name a file that `kvnode backup` has created with --from", error.without_advice())
    })?;
    let owner = storage::Identity { cluster: node::CLUSTER.to_string(), server: ServerId(args.id), servers };
    storage::restore(&args.data, &owner, &image)?;
    println!("{} has the state up to index {}", args.data.display(), image.last_included_index());
    Ok(0)
}

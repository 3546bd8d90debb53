//! The arguments, as `clap` reads them. The comments here are the text of `--help`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Put a load on a cluster of three etcd processes and on one of three processes of ours, in turns, and print a table.
#[derive(Debug, Parser)]
#[command(name = "processes", version)]
pub(crate) struct Args {
    /// How many clients put at the same time; a row for each
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,32,256")]
    pub(crate) clients: Vec<NonZeroUsize>,

    /// How long each measurement takes, after a second to warm up
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) seconds: NonZeroU64,

    /// How often each row is measured
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroUsize,

    /// The program whose command `bench` is measured
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/raftlab"))]
    pub(crate) raftlab: PathBuf,

    /// Which members the clients of etcd talk to
    #[arg(long, value_enum, default_value = "leader")]
    pub(crate) etcd_members: Members,

    /// Where the servers keep their data meanwhile: a folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub(crate) folder: PathBuf,
}

/// Which members the clients of etcd talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Members {
    /// The leader, as the clients of ours do
    Leader,
    /// All of them, each client to one; followers pass Puts on
    All,
}

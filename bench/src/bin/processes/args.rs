//! The arguments, as `clap` reads them. The comments here are the text of `--help`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Put a load on a cluster of three etcd processes and on a cluster of three of our processes, in turns, and print a
/// table.
#[derive(Debug, Parser)]
#[command(name = "processes", version)]
pub(crate) struct Args {
    /// Numbers of concurrent clients; one row for each
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,32,256")]
    pub(crate) clients: Vec<NonZeroUsize>,

    /// Seconds of each measurement, after one second of warm-up
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) seconds: NonZeroU64,

    /// Number of measurements of each row
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroUsize,

    /// The program whose command `bench` is measured
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/raftlab"))]
    pub(crate) raftlab: PathBuf,

    /// The members that the clients of etcd talk to
    #[arg(long, value_enum, default_value = "leader")]
    pub(crate) etcd_members: Members,

    /// The folder for the servers' data, on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub(crate) folder: PathBuf,
}

/// The members that the clients of etcd talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Members {
    /// The leader, as our own clients do
    Leader,
    /// All members, one for each client; followers forward Puts
    All,
}

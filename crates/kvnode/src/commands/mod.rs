//! The commands of the key/value service, as `clap` parses them. The comments on the arguments are the text of
//! `--help`.

mod addresses;
mod backup;
mod bench;
mod cluster;
mod kv;
mod logger;
mod secret;
mod serve;
mod shutdown;
mod status;
mod temporary_cluster;

/// The commands of the key/value service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run one server of a replicated key/value store, until Ctrl-C or SIGTERM
    ///
    /// Acknowledged writes are on its disk and on the disks of a majority. The server may be killed at any time, and
    /// continues from its saved state. LAB_LOG sets the level of the log on standard error: error, warn, info (the
    /// default), debug, trace. Exit status: 0 if it was asked to end, 1 if it had to stop, 2 if it could not start.
    Serve(serve::ServeArgs),

    /// Start several servers on this machine and show their logs
    ///
    /// Each server is a process of its own that listens on loopback. Ctrl-C ends all of them; their data stays, and the
    /// next start continues from it. A server that dies is reported and not restarted: the others continue without it.
    /// Exit status: 0 after Ctrl-C, 2 if the servers could not start or have all ended.
    Cluster(cluster::ClusterArgs),

    /// Read or write a key of a running cluster
    ///
    /// Exit status: 0 if the operation was executed, 1 if the key was never written, 2 if no reply came in time or the
    /// servers refuse the operation.
    Kv(kv::KvArgs),

    /// Show the leader, the terms, the indexes and the lag of each server
    ///
    /// On a terminal the view is live until Ctrl-C; otherwise it is printed once. Exit status: 0 if some server leads,
    /// 1 if none does, 2 if none is reachable.
    Status(status::StatusArgs),

    /// Measure the write rate and latency of a cluster
    ///
    /// Each client puts values under keys of its own, one operation after the other. Without --peers, the command
    /// starts three servers on this machine, in a directory that it removes afterwards. Exit status: 0, or 2 if it
    /// cannot measure.
    Bench(bench::BenchArgs),

    /// Write the whole state of a running cluster to a file
    ///
    /// The file has everything that was acknowledged before the command began. The cluster goes on meanwhile. Exit
    /// status: 0, or 2 if there is no complete file.
    Backup(backup::BackupArgs),

    /// Create the data directory of one server of a new cluster from a backup
    ///
    /// Run it once for each server of the new cluster, with the same file, and then start all of them. Exit status: 0,
    /// or 2 if the directory was not created.
    Restore(backup::RestoreArgs),
}

impl Command {
    /// Executes the command. Returns the exit status.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong and what to do, if the command cannot be executed.
    pub fn execute(self) -> Result<u8, String> {
        match self {
            Command::Serve(args) => serve::run(&args),
            Command::Cluster(args) => cluster::run(&args),
            Command::Kv(args) => kv::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Backup(args) => backup::backup(&args),
            Command::Restore(args) => backup::restore(&args),
        }
    }
}

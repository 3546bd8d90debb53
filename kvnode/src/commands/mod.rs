//! What a person can do with servers: the commands, as `clap` reads them. The comments at the arguments are the text of
//! `--help`.

mod addresses;
mod bench;
mod cluster;
mod end;
mod kv;
mod logger;
mod own_cluster;
mod secret;
mod serve;
mod status;

/// The commands of the key/value service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run one server of a replicated key/value store, until Ctrl-C or SIGTERM
    ///
    /// What it has acknowledged is on its disk and on those of a majority. It may be killed at any time, and goes on from what it
    /// has saved. LAB_LOG sets how much is logged to standard error: error, warn, info (as it is), debug, trace. Exit status: 0 if it
    /// was asked to end, 1 if it had to stop, 2 if it could not start.
    Serve(serve::ServeArgs),

    /// Start several servers on this machine, and show what they log
    ///
    /// Each is a process of its own that listens on loopback. Ctrl-C ends all of them; what they have saved stays, and the next
    /// start goes on from there. A server that dies is reported and not started again: the others go on without it. Exit status: 0
    /// after Ctrl-C, 2 if the servers could not start or have all ended.
    Cluster(cluster::ClusterArgs),

    /// Read or write a key of a running cluster
    ///
    /// Exit status: 0 if it was done, 1 if the key was never written, 2 if there was no answer in time or the servers refuse.
    Kv(kv::KvArgs),

    /// Show who leads, terms, indexes, and how far each server lags
    ///
    /// On a terminal the view is live until Ctrl-C; else it is printed once. Exit status: 0 if some server leads, 1 if none does, 2
    /// if none can be reached.
    Status(status::StatusArgs),

    /// Measure how many writes a second a cluster does, and how long they take
    ///
    /// Each client puts values under keys of its own, one operation after the other. Without --peers, three servers are started for it
    /// on this machine, in a directory that is removed afterwards. Exit status: 0, or 2 if it cannot be measured.
    Bench(bench::BenchArgs),
}

impl Command {
    /// Does what the command says. Returns the exit status.
    ///
    /// # Errors
    ///
    /// If the user has asked for what cannot be done: one line that says what is wrong and what to do.
    pub fn execute(self) -> Result<u8, String> {
        match self {
            Command::Serve(args) => serve::run(&args),
            Command::Cluster(args) => cluster::run(&args),
            Command::Kv(args) => kv::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Bench(args) => bench::run(&args),
        }
    }
}

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
    Serve(serve::ServeArgs),
    Cluster(cluster::ClusterArgs),
    Kv(kv::KvArgs),
    Status(status::StatusArgs),
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

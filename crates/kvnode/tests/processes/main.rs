//! The key/value service as real processes, under the same scenarios as in the lab, with real kills and partitions.

mod backups;
mod bad_arguments;
mod cluster;
#[cfg(unix)]
mod cluster_command;
mod folder;
mod kills;
mod lost_data;
#[cfg(unix)]
mod nemesis;
mod ports;
mod scenarios;
mod snapshots;
#[cfg(unix)]
mod soak;
mod user_errors;

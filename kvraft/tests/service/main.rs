//! Tests of the service over the reference Raft, and over a Raft without its optional methods. They are one program, so
//! that the service is compiled once for each of the two.

mod basics;
#[path = "../cluster/mod.rs"]
mod cluster;
mod duplicates;
mod partitions;
#[cfg(feature = "fast")]
mod pipeline;
mod snapshots;

//! The key/value service as real processes, driven by the same stories as the one in the lab, killed and cut off for real.

mod cluster;
mod kills;
mod mistakes;
mod ports;
mod scenarios;
mod snapshots;
#[cfg(unix)]
mod together;

//! The key/value service as a process: real threads, sockets and disks. The one room outside the two clocks.

pub mod proxy;
pub mod storage;
pub mod wire;

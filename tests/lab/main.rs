//! The lab: the reference under every scenario, in the simulation and on threads. `cargo test -- 3A` runs part 3A. The
//! two layers are one program, so that their runs on threads, which mostly sleep, take place side by side.

mod kvraft;
mod raft;

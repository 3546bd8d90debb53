//! The common parts of the programs of this workspace: the description of the machine, statistics over rounds, and
//! errors in arguments.
//!
//! The program `bench` measures every performance target, and `processes` compares whole clusters of processes.

pub mod arguments;
pub mod machine;
pub mod sample;

//! What the programs of this workspace have in common: on what they measure, what is made of several rounds, and how they
//! refuse arguments.
//!
//! `bench` is the table of everything that is promised, and `processes` sets whole clusters of processes beside each other.

pub mod arguments;
pub mod machine;
pub mod sample;

//! The storage of a server through its public interface: its guarantees, and its errors.
//!
//! The effect of a power failure is tested inside the crate (`src/storage/power_failure.rs`), where the test can
//! observe each single write.

mod crashes;
mod damage;
mod fixture;
mod images;
mod model;
mod opening;

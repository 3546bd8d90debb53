//! The storage of a server through its public face: what it keeps, and what it says when it cannot.
//!
//! What a power failure leaves behind is tested inside the room (`src/storage/power.rs`), where each single write is seen.

mod child;
mod damage;
mod fixture;
mod images;
mod model;
mod opening;

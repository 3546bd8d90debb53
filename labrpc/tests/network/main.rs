//! Tests of the network. They are one program, so that the network's generic code is compiled and linked once.

mod abandoned_calls;
mod answers;
mod faults;
mod harness;
mod intercept;
mod lab;
mod recording;
mod workers;

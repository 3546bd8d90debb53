//! Tests of whole servers, threads and network included. They are one program, because each program compiles and links
//! the generic code of the threads and of the network again.

#[cfg(feature = "fast")]
mod read_index;
mod recorded_state;
mod restored;
#[path = "../servers/mod.rs"]
mod servers;

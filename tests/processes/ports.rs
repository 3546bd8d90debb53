//! Ports for servers that are killed and come back. They lie below those that the system gives away by itself: of these, one
//! that is free for a moment may become the near end of somebody's connection, even of one that is tried to this very port,
//! and then the server cannot have it back.

use std::net::TcpListener;
use std::sync::Mutex;

const FIRST: u16 = 10_000;
/// Linux gives away what is from 32,768 on, others from 49,152.
const END: u16 = 32_000;

/// The first of so many free ports one behind the other, which no other test of this process is given.
pub(crate) fn free(count: u16) -> u16 {
    /// Where to go on. Processes that run at the same time begin at different places.
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap();
    let begin = FIRST + (std::process::id() % 2000) as u16 * 10;
    let mut first = next.unwrap_or(begin);
    for _ in FIRST..END {
        if END - first < count {
            first = FIRST;
        }
        if (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            *next = Some(first + count);
            return first;
        }
        first += 1;
    }
    panic!("there are no {count} free ports from {FIRST} to {END}");
}

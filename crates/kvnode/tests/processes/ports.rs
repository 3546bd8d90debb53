//! Ports for servers that are killed and restarted. They lie below the range from which the system chooses ports. A
//! port of that range is unsafe even if it is free now: the system may give it to the near end of another connection,
//! even of a connection attempt to this very port. Then the server cannot have it back.

use std::net::TcpListener;
use std::sync::Mutex;

const FIRST: u16 = 10_000;
/// Linux chooses ports from 32,768 on, other systems from 49,152 on.
const END: u16 = 32_000;

/// Returns the first of `count` free consecutive ports. No other test of this process gets them.
pub(crate) fn free(count: u16) -> u16 {
    /// The next port to try. Concurrent processes start at different ports.
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

//! Requests to end the process: Ctrl-C, SIGTERM, the end of standard input.

use std::io::{self, Read};
use std::thread;

/// Calls `callback` for each request to end this process by Ctrl-C, SIGTERM or SIGHUP.
pub(crate) fn on_signal(callback: impl FnMut() + Send + 'static) -> Result<(), String> {
    ctrlc::set_handler(callback).map_err(|error| format!("cannot handle signals: {error}"))
}

/// Calls `callback` at the end of standard input.
pub(crate) fn on_end_of_input(callback: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let wait = move || {
        // The content of the input is ignored.
        let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
        callback();
    };
    let thread = thread::Builder::new().name("input".to_string()).spawn(wait);
    thread.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

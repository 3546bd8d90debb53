//! When a process is to end: Ctrl-C, SIGTERM, the end of its standard input.

use std::io::{self, Read};
use std::thread;

/// Calls `asked` when somebody asks this process to end, by Ctrl-C, SIGTERM or SIGHUP; each time.
pub(crate) fn when_asked(asked: impl FnMut() + Send + 'static) -> Result<(), String> {
    ctrlc::set_handler(asked).map_err(|error| format!("cannot listen to signals: {error}"))
}

/// Calls `ended` when standard input has ended.
pub(crate) fn with_input(ended: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let wait = move || {
        // Whatever is written there means nothing.
        let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
        ended();
    };
    let thread = thread::Builder::new().name("input".to_string()).spawn(wait);
    thread.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

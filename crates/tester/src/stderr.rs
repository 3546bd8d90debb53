//! Standard error, where the lines of runs go.

use std::io::Write;

/// Writes directly to standard error, in one call, because the test runner captures only the output of `print!`.
pub fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

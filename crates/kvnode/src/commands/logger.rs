//! The log of a server: lines on standard error.

use env_logger::{Builder, Env, Target};

/// The environment variable that sets the log level, as in the lab.
const VARIABLE: &str = "LAB_LOG";

/// Sends the lines of the `log` crate to standard error: those from level `info` on, unless `LAB_LOG` sets another
/// level.
pub(super) fn install() -> Result<(), String> {
    let mut builder = Builder::from_env(Env::new().filter_or(VARIABLE, "info"));
    builder.target(Target::Stderr).format_target(false).format_timestamp_millis();
    builder.try_init().map_err(|error| format!("cannot log: {error}"))
}

//! What a server logs: lines to standard error.

use env_logger::{Builder, Env, Target};

/// The variable that says how much is logged, as in the lab.
const VARIABLE: &str = "LAB_LOG";

/// From now on the lines of the `log` crate go to standard error: those of this crate from `info` on, unless `LAB_LOG` says
/// something else.
pub(super) fn install() -> Result<(), String> {
    let mut builder = Builder::from_env(Env::new().filter_or(VARIABLE, "info"));
    builder.target(Target::Stderr).format_target(false).format_timestamp_millis();
    builder.try_init().map_err(|error| format!("cannot log: {error}"))
}

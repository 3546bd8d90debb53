//! Runs commands of the documentation as a reader would: in a shell, in the folder of the workspace.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::blocks::{Commands, Treatment};

/// Number of printed lines that a failure shows.
const SHOWN: usize = 30;

/// Runs the commands of a block.
///
/// # Errors
///
/// Fails if they end with another status than required. The message has the last printed lines.
pub(crate) fn run(commands: &Commands) -> Result<(), String> {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{}", commands.script)]);
    shell.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::piped());
    // The variables that cargo sets for this test would mislead the cargo that the commands call.
    for (name, _) in env::vars_os() {
        let is_for_this_test =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_for_this_test {
            shell.env_remove(name);
        }
    }
    let mut shell = shell.spawn().map_err(|error| format!("there is no bash: {error}"))?;
    let mut printed = Vec::new();
    let mut waiting_for = match &commands.treatment {
        Treatment::Server { until } => Some(until),
        _ => None,
    };
    let output = shell.stdout.take().expect("it is piped");
    for line in BufReader::new(output).lines() {
        // Lines in another encoding are not expected, and are skipped.
        let Ok(line) = line else { continue };
        if waiting_for.is_some_and(|until| line.contains(until.as_str())) {
            waiting_for = None;
            if let Err(error) = interrupt_children_of(shell.id()) {
                // Without this it would run for ever.
                let _ = shell.kill();
                return Err(error);
            }
        }
        printed.push(line);
    }
    let status = shell.wait().map_err(|error| error.to_string())?.code();
    let shown = || printed[printed.len().saturating_sub(SHOWN)..].join("\n");
    if let Some(until) = waiting_for {
        return Err(format!("never printed {until:?}, but:\n{}", shown()));
    }
    if status != Some(commands.status) {
        return Err(format!("ended with {status:?}, not {}, and printed:\n{}", commands.status, shown()));
    }
    Ok(())
}

/// Sends Ctrl-C to all processes that the shell has started, at any depth, or to the shell itself if it has replaced
/// itself by the command.
fn interrupt_children_of(shell: u32) -> Result<(), String> {
    let script = "children() { for child in $(cat /proc/$1/task/*/children 2>/dev/null); do echo $child; children $child; done; }\n\
                  started=$(children $0)\n\
                  kill -INT ${started:-$0}";
    let killed = Command::new("bash").args(["-c", script, &shell.to_string()]).status();
    if killed.is_ok_and(|status| status.success()) { Ok(()) } else { Err("cannot be interrupted".to_string()) }
}

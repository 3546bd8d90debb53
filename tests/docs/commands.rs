//! Runs commands of the documentation as a reader would: in a shell, in the folder of the workspace.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::blocks::{Commands, How};

/// How much of what was printed is shown when something goes wrong, in lines.
const SHOWN: usize = 30;

/// Runs them.
///
/// # Errors
///
/// If they end with another status than they have to; with the last that they printed.
pub(crate) fn run(commands: &Commands) -> Result<(), String> {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{}", commands.script)]);
    shell.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stdout(Stdio::piped());
    // What cargo tells this test is not for the cargo that is called here.
    for (name, _) in env::vars_os() {
        let told =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if told {
            shell.env_remove(name);
        }
    }
    let mut shell = shell.spawn().map_err(|error| format!("there is no bash: {error}"))?;
    let mut printed = Vec::new();
    let mut waiting_for = match &commands.how {
        How::Server { until } => Some(until),
        _ => None,
    };
    let output = shell.stdout.take().expect("it is piped");
    for line in BufReader::new(output).lines() {
        // Pages of other encodings are not expected, and no reason to stop.
        let Ok(line) = line else { continue };
        if waiting_for.is_some_and(|until| line.contains(until.as_str())) {
            waiting_for = None;
            if let Err(error) = interrupt_children_of(shell.id()) {
                // It would go on for ever.
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

/// Ctrl-C for what the shell has started, at any depth, or for itself if it has become what it was to start.
fn interrupt_children_of(shell: u32) -> Result<(), String> {
    let script = "children() { for child in $(cat /proc/$1/task/*/children 2>/dev/null); do echo $child; children $child; done; }\n\
                  started=$(children $0)\n\
                  kill -INT ${started:-$0}";
    let killed = Command::new("bash").args(["-c", script, &shell.to_string()]).status();
    if killed.is_ok_and(|status| status.success()) { Ok(()) } else { Err("cannot be interrupted".to_string()) }
}

//! The cluster of this project: `raftlab bench`, a process that starts three servers, loads them, and prints the result
//! as one line of JSON.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

use crate::load_result::{Load, LoadResult};

/// Time limit for start, warm-up and end together.
const OVERHEAD_MAX: Duration = Duration::from_secs(60);

/// Time limit for an interrupted program to end its servers.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Interval at which an interrupted program is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The output of the program.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Printed {
    clients: usize,
    sync: bool,
    seconds: f64,
    operations: u64,
    p50_us: f64,
    p99_us: f64,
}

/// Lets the program measure its cluster under this load, with its data in `folder`.
///
/// # Errors
///
/// If there is no such program, if it fails or does not end, or if its output is not the result of this load.
pub(crate) async fn measure(program: &Path, load: Load, folder: &Path) -> Result<LoadResult, String> {
    let folder = tempfile::tempdir_in(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = program.display();
    let mut command = Command::new(program);
    command.args(["bench", "--clients", &load.clients.to_string(), "--seconds", &load.seconds.to_string()]);
    if !load.sync {
        command.arg("--no-sync");
    }
    // Its temporary folders must be on the same disk as the data of etcd, and are removed after it has ended.
    command.arg("--json").env("TMPDIR", folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A separate process group, so that it can be ended together with all processes that it has started.
    command.process_group(0);
    let child = tokio::process::Command::from(command).spawn().map_err(|error| format!("{name}: {error}"))?;
    let limit = Duration::from_secs(load.seconds) + OVERHEAD_MAX;
    let output = match timeout(limit, Program::new(child).output()).await {
        Ok(output) => output.map_err(|error| format!("{name}: {error}"))?,
        Err(_) => return Err(format!("{name} bench has not ended in {} s", limit.as_secs())),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gives no reason");
        return Err(format!("{name} bench {}: {words}", ended(output.status)));
    }
    read(&String::from_utf8_lossy(&output.stdout), load).map_err(|error| format!("{name} bench {error}"))
}

/// Reads the result from the output, and checks that it belongs to this load.
fn read(printed: &str, load: Load) -> Result<LoadResult, String> {
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    let [line] = lines[..] else {
        return Err(format!("printed {} lines where one was expected", lines.len()));
    };
    let printed: Printed = serde_json::from_str(line)
        .map_err(|error| format!("printed something else than a result ({error}): {line}"))?;
    if (printed.clients, printed.sync) != (load.clients, load.sync) {
        return Err(format!("measured another load than the given one: {line}"));
    }
    if printed.operations == 0 || printed.seconds <= 0.0 {
        return Err(format!("made no operations: {line}"));
    }
    Ok(LoadResult {
        a_second: printed.operations as f64 / printed.seconds,
        p50_ms: printed.p50_us / 1e3,
        p99_ms: printed.p99_us / 1e3,
    })
}

/// Describes how the program ended, as the end of a sentence.
fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".into(),
    }
}

/// A running program, with the group of processes that it leads. Dropping it ends them all.
struct Program {
    child: Child,
    group: Option<Pid>,
}

impl Program {
    fn new(child: Child) -> Program {
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Program { child, group }
    }

    /// Waits for the end of the program. Returns its output and its exit status.
    async fn output(mut self) -> io::Result<Output> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (stdout, stderr, status) = tokio::try_join!(all_of(stdout), all_of(stderr), self.child.wait())?;
        Ok(Output { status, stdout, stderr })
    }

    fn signal(&self, signal: Signal) {
        // Fails if all processes of the group have ended.
        let _ = self.group.map(|group| kill_process_group(group, signal));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let deadline = Instant::now() + ENDS_WITHIN;
        if let Ok(None) = self.child.try_wait() {
            // The same signal as Ctrl-C, so that it can end its servers and remove its data.
            self.signal(Signal::INT);
        }
        while let Ok(None) = self.child.try_wait()
            && Instant::now() < deadline
        {
            thread::sleep(POLL_INTERVAL);
        }
        self.signal(Signal::KILL);
    }
}

async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { clients: 32, sync: true, seconds: 5 };

    #[test]
    fn the_result_is_read_in_the_units_of_the_table() {
        let line = r#"{"clients":32,"sync":true,"seconds":5.0,"operations":1000,"p50_us":1500,"p99_us":9000.5}"#;
        let figures = read(&format!("{line}\n"), LOAD).expect("the line is a result");
        assert_eq!(figures, LoadResult { a_second: 200.0, p50_ms: 1.5, p99_ms: 9.0005 });
    }

    #[test]
    fn output_that_is_not_of_this_load_is_refused() {
        let line = |clients: usize, operations: u64| {
            format!(
                r#"{{"clients":{clients},"sync":true,"seconds":5.0,"operations":{operations},"p50_us":1,"p99_us":2}}"#
            )
        };
        let refused = |printed: &str| read(printed, LOAD).expect_err("the output is refused");
        assert!(refused("").contains("0 lines"));
        assert!(refused("operations: 5").contains("something else"));
        assert!(refused(&line(1, 5)).contains("another load"));
        assert!(refused(&line(32, 0)).contains("made no operations"));
        assert!(refused(&[line(32, 5), line(32, 6)].join("\n")).contains("2 lines"));
    }
}

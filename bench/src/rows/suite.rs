//! Measurements of the programs that users build: a dev build of the command line compared with a release build, and
//! the memory of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bench::sample::{Alternating, median};
use serde_json::Value;

use super::scenarios::{kv_scenarios_of_course, raft_scenarios_of_course};
use crate::cpu;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const DEV_BUILD: Row = Row {
    name: "dev-build",
    what: "the 28 + 23 scenarios simulated by a dev build, CPU time",
    against: "a release build, in the same run",
    targets: &[Target { label: "", unit: Unit::TimesTheCost, must: 2.5, goal: 1.5 }],
    slow: false,
    measure: dev_build,
};

pub(super) const MEMORY: Row = Row {
    name: "memory",
    what: "peak resident memory of `cargo test`, of the largest test process",
    against: "Go, its key/value tests: 904 MB",
    targets: &[Target { label: "", unit: Unit::Megabytes, must: 400.0, goal: 150.0 }],
    slow: true,
    measure: memory,
};

/// The folder of the measured workspace.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Interval at which the peak memory of each test process is read. Memory that a process allocates in its last interval
/// is not seen.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

fn dev_build(setting: &Setting) -> Measured {
    let [dev, release] = [&["build"][..], &["build", "--release"]].map(|arguments| {
        let built = executables(arguments)?;
        built.into_iter().next().ok_or_else(|| "cargo built no program".to_string())
    });
    let (dev, release) = (dev?, release?);
    let turns = Alternating::measure(setting.rounds, || simulate_with(&dev), || simulate_with(&release))?;
    let note = format!("{:.2} s in a dev build, {:.2} s in a release build", median(&turns.a), median(&turns.b));
    Ok(Samples::of_rounds(turns.ratios()).note(note))
}

/// Lets a `raftlab` program simulate each scenario of the course once, one after the other. Returns the CPU time in
/// seconds.
fn simulate_with(program: &Path) -> Result<f64, String> {
    let names =
        raft_scenarios_of_course().into_iter().chain(kv_scenarios_of_course()).map(|scenario| scenario.info.name);
    let before = cpu::of_children()?;
    let mut command = Command::new(program);
    command.args(["run", "-j", "1", "--hashes"]).args(names).current_dir(WORKSPACE).stdout(Stdio::null());
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    if !status.success() {
        return Err(format!("{} run: {status}", program.display()));
    }
    Ok(cpu::of_children()? - before)
}

fn memory(_: &Setting) -> Measured {
    let tests = executables(&["test", "--no-run"])?;
    let mut command = cargo();
    // Measure all tests, even if some fail.
    command.args(["test", "--no-fail-fast"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut cargo = command.spawn().map_err(|error| format!("cargo test: {error}"))?;
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak_of(&tests).into_iter().fold(peak, f64::max);
        if let Some(status) = has_ended(&mut cargo)? {
            break status;
        }
        thread::sleep(POLL_INTERVAL);
    };
    let samples = Samples::of_rounds([[peak]]);
    Ok(if status.success() { samples } else { samples.note("not all of the tests passed") })
}

fn has_ended(child: &mut Child) -> Result<Option<std::process::ExitStatus>, String> {
    child.try_wait().map_err(|error| format!("cargo test: {error}"))
}

/// Returns the peak resident memory of each process that runs one of these programs, in megabytes.
fn peak_of(programs: &[PathBuf]) -> Vec<f64> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let runs_one = |process: &PathBuf| fs::read_link(process.join("exe")).is_ok_and(|exe| programs.contains(&exe));
    processes
        .filter(runs_one)
        .filter_map(|process| {
            let status = fs::read_to_string(process.join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024.0 / 1e6)
        })
        .collect()
}

/// Runs cargo with these arguments for the root package. Returns the programs that it builds.
pub(super) fn executables(arguments: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut command = cargo();
    command.args(arguments).arg("--message-format=json").stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo {}: {}", arguments.join(" "), output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect())
}

/// Makes a command for the cargo that runs this program, in the measured workspace.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(WORKSPACE);
    command
}

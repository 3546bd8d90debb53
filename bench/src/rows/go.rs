//! A solution of the course in Go, compared with our scenarios on threads: the tests of a folder that the user names,
//! and the same scenarios here, in turns.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use bench::sample::median;

use super::suite::executables;
use crate::cpu;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const GO: Row = Row {
    name: "go",
    what: "the tests of a Go solution, and the same scenarios here on threads",
    against: "`go test` in the folder that --go names, in the same run",
    targets: &[
        Target { label: "CPU", unit: Unit::TimesTheSpeed, must: 1.0, goal: 3.0 },
        Target { label: "wall", unit: Unit::TimesTheSpeed, must: 1.0, goal: 8.0 },
    ],
    slow: true,
    measure: |setting| match &setting.go {
        Some(folder) => compare(setting, folder),
        None => Err("skipped: it needs --go FOLDER, the folder of a Go solution's tests".into()),
    },
};

/// The cost of one pass of a side, in seconds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu: f64,
    wall: f64,
}

fn compare(setting: &Setting, folder: &Path) -> Measured {
    let work = tempfile::tempdir().map_err(|error| format!("a folder for Go's output: {error}"))?;
    let tests = build_go_tests(folder, &work.path().join("go-tests"))?;
    let ours = executables(&["build", "--release"])?.into_iter().next().ok_or("cargo built no program")?;
    let output = work.path().join("go.txt");
    let (mut go, mut rust) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        go.push(run_go(&tests, folder, setting.go_run.as_deref(), &output)?);
        rust.push(run_ours(&ours, &output)?);
    }
    let ratios = go.iter().zip(&rust).map(|(go, rust)| [go.cpu / rust.cpu, go.wall / rust.wall]);
    let show = |side: &[Cost]| {
        let of = |cost: fn(&Cost) -> f64| median(&side.iter().map(cost).collect::<Vec<f64>>());
        format!("{:.1} s of CPU, {:.1} s of wall clock", of(|cost| cost.cpu), of(|cost| cost.wall))
    };
    Ok(Samples::of_rounds(ratios).note(format!("{}; Go, one test after the other: {}", show(&rust), show(&go))))
}

/// Compiles the tests of a Go package, so that no compilation is measured.
fn build_go_tests(folder: &Path, program: &Path) -> Result<PathBuf, String> {
    if !folder.is_dir() {
        return Err(format!("{} is not a folder", folder.display()));
    }
    let mut command = Command::new("go");
    command.args(["test", "-c", "-o"]).arg(program).current_dir(folder);
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "skipped: there is no Go toolchain on this machine".to_string(),
        _ => format!("go: {error}"),
    })?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("go test -c in {}: {}", folder.display(), errors.trim().lines().next_back().unwrap_or("")));
    }
    // A package without tests compiles to nothing.
    if program.exists() { Ok(program.to_path_buf()) } else { Err(format!("{} has no tests", folder.display())) }
}

/// Runs the Go tests, as `go test -v` does, and saves what they print.
fn run_go(tests: &Path, folder: &Path, only: Option<&str>, output: &Path) -> Result<Cost, String> {
    let file = File::create(output).map_err(|error| format!("{}: {error}", output.display()))?;
    let mut command = Command::new(tests);
    command.args(["-test.v", "-test.timeout=0", "-test.run", only.unwrap_or(".")]).current_dir(folder);
    let (status, cost) = measure(command.stdout(file).stderr(Stdio::null()))?;
    if status.success() {
        return Ok(cost);
    }
    let text = fs::read_to_string(output).unwrap_or_default();
    let failed: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("--- FAIL: ")).collect();
    Err(format!("the Go tests failed, so there is nothing to compare with: {}", failed.join(", ")))
}

/// Runs the scenarios of a Go output on threads.
fn run_ours(program: &Path, output: &Path) -> Result<Cost, String> {
    let mut command = Command::new(program);
    command.arg("compare").arg(output).args(["--clock", "threads"]);
    let (status, cost) = measure(command.stdout(Stdio::null()).stderr(Stdio::inherit()))?;
    if status.success() { Ok(cost) } else { Err(format!("raftlab compare: {status}")) }
}

/// Runs a command to its end.
fn measure(command: &mut Command) -> Result<(ExitStatus, Cost), String> {
    let (cpu_before, begun) = (cpu::of_children()?, Instant::now());
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    Ok((status, Cost { cpu: cpu::of_children()? - cpu_before, wall: begun.elapsed().as_secs_f64() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(folder: &Path) -> Measured {
        let setting = Setting { rounds: 1, histories: PathBuf::new(), go: Some(folder.into()), go_run: None };
        (GO.measure)(&setting)
    }

    #[test]
    fn without_a_folder_or_a_toolchain_the_row_says_why_it_is_skipped() {
        let setting = Setting { rounds: 1, histories: PathBuf::new(), go: None, go_run: None };
        assert!((GO.measure)(&setting).unwrap_err().contains("--go FOLDER"));
        assert!(measured(Path::new("no-such-folder")).unwrap_err().contains("no-such-folder is not a folder"));
        let empty = tempfile::tempdir().unwrap();
        let error = measured(empty.path()).unwrap_err();
        assert!(error.contains("no Go toolchain") || error.contains("go test -c"), "{error}");
    }

    #[test]
    fn a_command_has_a_cost() {
        let (status, cost) = measure(Command::new("sleep").arg("0.02")).unwrap();
        assert!(status.success() && cost.wall >= 0.02 && cost.cpu < 1.0, "{cost:?}");
    }
}

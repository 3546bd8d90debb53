//! The machine of a measurement. A figure has no meaning without it.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread;

/// The machine, and its load during the measurements.
#[derive(Clone, Debug)]
pub struct Machine {
    cores: usize,
    model: String,
    rustc: String,
    loads: [String; 2],
}

impl Machine {
    /// Describes the machine, with its present load.
    pub fn detect() -> Machine {
        Machine {
            cores: thread::available_parallelism().map_or(1, Into::into),
            model: model().unwrap_or_else(|| "a CPU of unknown model".to_string()),
            rustc: rustc().unwrap_or_else(|| "an unknown rustc".to_string()),
            loads: [load(), load()],
        }
    }

    /// Notes the load at the end of the measurements.
    pub fn update_load(&mut self) {
        self.loads[1] = load();
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, model, rustc, loads: [start, end] } = self;
        write!(f, "{cores} cores, load {start} at the start and {end} at the end, {model}, {rustc}")
    }
}

/// Returns the load average of the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_string()
}

fn model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}

//! The speed of the linearizability checker on recorded histories, without parsing them.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use linearizability::{jepsen, kv};

use crate::cpu;
use crate::row::{Measured, Row, Samples, Setting};
use crate::target::{Target, Unit};

pub(super) const CHECKER: Row = Row {
    name: "checker",
    what: "checking the 52 Jepsen files, and c50-ok; one thread, CPU time, parsing left out",
    against: "Go Porcupine: 239 ms; 113 ms",
    targets: &[
        Target { label: "Jepsen", unit: Unit::Seconds, must: 0.120, goal: 0.060 },
        Target { label: "c50-ok", unit: Unit::Seconds, must: 0.075, goal: 0.014 },
    ],
    slow: false,
    measure: checker,
};

/// Step budget of the checker, enough for every file.
const BUDGET: u64 = 50_000_000;

fn checker(setting: &Setting) -> Measured {
    let jepsen = read_all(&setting.histories.join("jepsen"))?;
    let jepsen: Vec<_> =
        jepsen.iter().map(|text| jepsen::parse(text)).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let c50_ok =
        fs::read_to_string(setting.histories.join("kv/c50-ok.txt")).map_err(|error| format!("c50-ok: {error}"))?;
    let c50_ok = kv::parse(&c50_ok).map_err(|error| error.to_string())?;

    let rounds = (0..setting.rounds).map(|_| {
        let all = cpu::spent(|| jepsen.iter().for_each(|history| drop(black_box(history.check(BUDGET))))).1;
        [all, cpu::spent(|| drop(black_box(c50_ok.check(BUDGET)))).1]
    });
    Ok(Samples::of_rounds(rounds).note(format!("{} Jepsen files", jepsen.len())))
}

/// Reads all files of a folder.
fn read_all(folder: &Path) -> Result<Vec<String>, String> {
    let missing = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(missing)?;
    entries.map(|entry| fs::read_to_string(entry?.path())).collect::<Result<_, _>>().map_err(missing)
}

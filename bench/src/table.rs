//! The printed table, in Markdown.

use std::fmt::Write;

use bench::machine::Machine;

use crate::row::{Measured, Row, Samples};
use crate::rows;
use crate::target::Target;

/// Returns the names and descriptions of all rows.
pub(crate) fn list() -> String {
    let line = |row: &Row| format!("{:<14} {}{}\n", row.name, row.what, if row.slow { " (slow)" } else { "" });
    rows::ALL.iter().map(line).collect()
}

/// Returns the table, with the machine above it and the remarks on single rows below it.
pub(crate) fn table(machine: &Machine, rounds: usize, results: &[(Row, Measured)]) -> String {
    let mut text = format!("{machine}; {rounds} rounds\n\n");
    text += "| what | against | must | goal | today | each round |\n|---|---|---|---|---|---|\n";
    for (row, measured) in results {
        let cells = [
            format!("`{}`: {}", row.name, row.what),
            row.against.to_string(),
            targets(row, |target| target.unit.show(target.must)),
            targets(row, |target| target.unit.show(target.goal)),
            today(row, measured),
            measured.as_ref().map_or_else(|_| String::new(), |samples| each_round(row, samples)),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let notes = |(row, measured): &(Row, Measured)| {
        let notes = measured.as_ref().map(|samples| samples.notes.clone()).unwrap_or_default();
        notes.into_iter().map(|note| format!("- `{}`: {note}\n", row.name)).collect::<String>()
    };
    let notes: String = results.iter().map(notes).collect();
    if notes.is_empty() { text } else { text + "\n" + &notes }
}

/// Formats the result of a row: the median of each figure, and the level that it reaches.
pub(crate) fn today(row: &Row, measured: &Measured) -> String {
    match measured {
        Err(reason) => format!("not measured: {reason}"),
        Ok(samples) => {
            let mut medians = samples.medians();
            targets(row, |target| match medians.next() {
                Some(median) => format!("{} ({})", target.unit.show(median), target.reached(median)),
                None => "not measured".to_string(),
            })
        }
    }
}

fn each_round(row: &Row, samples: &Samples) -> String {
    let mut all = samples.rounds.iter();
    targets(row, |target| {
        let rounds = all.next().into_iter().flatten().map(|&value| target.unit.show(value));
        rounds.collect::<Vec<_>>().join(", ")
    })
}

/// Calls `show` for each target of a row, and joins the results, each after the target's label if it has one.
fn targets(row: &Row, mut show: impl FnMut(&Target) -> String) -> String {
    let shown = row.targets.iter().map(|target| match target.label {
        "" => show(target),
        label => format!("{label}: {}", show(target)),
    });
    shown.collect::<Vec<_>>().join("; ")
}

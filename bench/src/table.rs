//! How the rows are printed: a table in Markdown.

use std::fmt::Write;

use bench::machine::Machine;

use crate::figure::Bar;
use crate::row::{Figures, Measured, Row};
use crate::rows;

/// The names of all rows, and what each measures.
pub(crate) fn list() -> String {
    let line = |row: &Row| format!("{:<14} {}{}\n", row.name, row.what, if row.slow { " (slow)" } else { "" });
    rows::ALL.iter().map(line).collect()
}

/// The table, with what was measured on above it and what there is to say of single rows below it.
pub(crate) fn table(machine: &Machine, rounds: usize, results: &[(Row, Measured)]) -> String {
    let mut text = format!("{machine}; {rounds} rounds\n\n");
    text += "| what | against | must | goal | today | each round |\n|---|---|---|---|---|---|\n";
    for (row, measured) in results {
        let cells = [
            format!("`{}`: {}", row.name, row.what),
            row.against.to_string(),
            bars(row, |bar| bar.unit.show(bar.must)),
            bars(row, |bar| bar.unit.show(bar.goal)),
            today(row, measured),
            measured.as_ref().map_or_else(|_| String::new(), |figures| each_round(row, figures)),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let notes = |(row, measured): &(Row, Measured)| {
        let notes = measured.as_ref().map(|figures| figures.notes.clone()).unwrap_or_default();
        notes.into_iter().map(|note| format!("- `{}`: {note}\n", row.name)).collect::<String>()
    };
    let notes: String = results.iter().map(notes).collect();
    if notes.is_empty() { text } else { text + "\n" + &notes }
}

/// What a row has come to: the median of each figure, and whether that is enough.
pub(crate) fn today(row: &Row, measured: &Measured) -> String {
    match measured {
        Err(reason) => format!("not measured: {reason}"),
        Ok(figures) => {
            let mut medians = figures.medians();
            bars(row, |bar| match medians.next() {
                Some(median) => format!("{} ({})", bar.unit.show(median), bar.reached(median)),
                None => "not measured".to_string(),
            })
        }
    }
}

fn each_round(row: &Row, figures: &Figures) -> String {
    let mut all = figures.rounds.iter();
    bars(row, |bar| {
        let rounds = all.next().into_iter().flatten().map(|&value| bar.unit.show(value));
        rounds.collect::<Vec<_>>().join(", ")
    })
}

/// One thing about each of a row's figures, after the label of the figure if it has one.
fn bars(row: &Row, mut show: impl FnMut(&Bar) -> String) -> String {
    let shown = row.bars.iter().map(|bar| match bar.label {
        "" => show(bar),
        label => format!("{label}: {}", show(bar)),
    });
    shown.collect::<Vec<_>>().join("; ")
}

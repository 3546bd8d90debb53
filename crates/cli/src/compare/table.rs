//! The table: one row per scenario with the figures of Go, ours and their ratio side by side, and sums.

use std::fmt::Write;

use super::cost::Cost;
use super::text::WIDTH;

/// Minimum width of the name column.
const NAME_MIN: usize = 24;

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct TableRow {
    pub(super) part: &'static str,
    pub(super) name: String,
    /// Number of runs that Go's figures are medians of.
    pub(super) go_runs: usize,
    pub(super) go: Side,
    pub(super) ours: Side,
    /// Remarks below the row.
    pub(super) remarks: Vec<String>,
}

/// One side of a row: figures, or one word that says why there are none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Cost(Cost),
    None(&'static str),
}

/// A column of figures.
struct Measure {
    heading: &'static str,
    of: fn(&Cost) -> Option<f64>,
    decimals: usize,
}

const MEASURES: [Measure; 4] = [
    Measure { heading: "seconds", of: |cost| Some(cost.seconds), decimals: 1 },
    Measure { heading: "RPCs", of: |cost| Some(cost.rpcs as f64), decimals: 0 },
    Measure { heading: "bytes", of: |cost| cost.bytes.map(|bytes| bytes as f64), decimals: 0 },
    Measure { heading: "commands", of: |cost| cost.commands.map(|commands| commands as f64), decimals: 0 },
];

impl Side {
    fn figure(&self, measure: &Measure) -> Option<f64> {
        match self {
            Side::Cost(cost) => (measure.of)(cost),
            Side::None(_) => None,
        }
    }

    /// The word stands in place of the first figure.
    fn cell(&self, index: usize) -> String {
        match self {
            Side::None(word) if index == 0 => word.to_string(),
            _ => number(self.figure(&MEASURES[index]), MEASURES[index].decimals),
        }
    }
}

/// A row as it is printed: a name, the number of Go's runs, and the cells of each measure.
struct PrintedRow {
    name: String,
    runs: String,
    cells: Vec<Vec<String>>,
    remarks: Vec<String>,
}

/// Whether Go has this column for any row. A column that Go lacks has our figures only. If no row has figures of Go,
/// all columns have both sides.
fn has(lines: &[TableRow], measure: &Measure) -> bool {
    lines.iter().all(|line| matches!(line.go, Side::None(_)))
        || lines.iter().any(|line| line.go.figure(measure).is_some())
}

/// Returns the whole table. Rows of one part are adjacent.
pub(super) fn table(lines: &[TableRow]) -> String {
    let both: Vec<bool> = MEASURES.iter().map(|measure| has(lines, measure)).collect();
    let heading = |both: &bool| if *both { vec!["Go", "ours", "ratio"] } else { vec!["ours"] };
    let cells = both.iter().map(|both| heading(both).into_iter().map(str::to_string).collect()).collect();
    let mut printed = vec![PrintedRow { name: String::new(), runs: "runs".to_string(), cells, remarks: Vec::new() }];
    for of_part in lines.chunk_by(|a, b| a.part == b.part) {
        for line in of_part {
            let cells = both.iter().enumerate().map(|(index, &both)| of_line(line, index, both)).collect();
            let (name, runs) = (format!("  {}", line.name), line.go_runs.to_string());
            printed.push(PrintedRow { name, runs, cells, remarks: line.remarks.clone() });
        }
        printed.push(sums(format!("{}, sums", of_part[0].part), of_part, &both));
    }
    printed.push(sums("all, sums".to_string(), lines, &both));
    if lines.iter().all(|line| line.go_runs == 1) {
        printed.iter_mut().for_each(|line| line.runs.clear());
    }
    lay_out(&printed)
}

fn of_line(line: &TableRow, index: usize, both: bool) -> Vec<String> {
    let measure = &MEASURES[index];
    let ours = line.ours.cell(index);
    if !both {
        return vec![ours];
    }
    vec![line.go.cell(index), ours, ratio(line.go.figure(measure), line.ours.figure(measure))]
}

/// Sums over the rows that have both figures, and the ratio of the sums. Rows without a count of Go are left out,
/// because the course does not count the commands of some tests.
fn sums(name: String, lines: &[TableRow], both: &[bool]) -> PrintedRow {
    let of = |(measure, &both): (&Measure, &bool)| {
        if !both {
            return vec![String::new()];
        }
        let pairs = lines.iter().filter_map(|line| Some((line.go.figure(measure)?, line.ours.figure(measure)?)));
        let pairs: Vec<(f64, f64)> = pairs.filter(|&(go, ours)| go > 0.0 || ours == 0.0).collect();
        if pairs.is_empty() {
            return vec!["-".to_string(); 3];
        }
        let (go, ours) = pairs.iter().fold((0.0, 0.0), |(go, ours), pair| (go + pair.0, ours + pair.1));
        let decimals = measure.decimals;
        vec![number(Some(go), decimals), number(Some(ours), decimals), ratio(Some(go), Some(ours))]
    };
    let cells = MEASURES.iter().zip(both).map(of).collect();
    PrintedRow { name, runs: String::new(), cells, remarks: Vec::new() }
}

fn number(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or_else(|| "-".to_string(), |figure| format!("{figure:.decimals$}"))
}

fn ratio(go: Option<f64>, ours: Option<f64>) -> String {
    match (go, ours) {
        (Some(go), Some(ours)) if go > 0.0 => {
            let ratio = ours / go;
            if ratio < 99.995 { format!("{ratio:.2}x") } else { format!("{ratio:.0}x") }
        }
        _ => "-".to_string(),
    }
}

fn lay_out(printed: &[PrintedRow]) -> String {
    let widest = |index: usize, cell: usize| printed.iter().map(|line| line.cells[index][cell].chars().count()).max();
    let mut widths: Vec<Vec<usize>> = printed[0].cells.iter().map(|cells| vec![0; cells.len()]).collect();
    for (index, cells) in widths.iter_mut().enumerate() {
        for (cell, width) in cells.iter_mut().enumerate() {
            *width = widest(index, cell).unwrap_or(0);
        }
        // The heading spans all cells of its measure.
        let missing = MEASURES[index].heading.len().saturating_sub(cells.iter().sum::<usize>() + cells.len() - 1);
        cells[0] += missing;
    }
    let across = |cells: &[usize]| cells.iter().sum::<usize>() + cells.len() - 1;
    let runs = printed.iter().map(|line| line.runs.len()).max().unwrap_or(0);
    let figures: usize =
        widths.iter().map(|cells| 2 + across(cells)).sum::<usize>() + if runs > 0 { runs + 1 } else { 0 };
    let longest = printed.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
    let names = longest.min(WIDTH.saturating_sub(figures)).max(NAME_MIN);

    let mut text = format!("{:names$}", "");
    if runs > 0 {
        write!(text, " {:>runs$}", "Go's").expect("it is a String");
    }
    for (cells, measure) in widths.iter().zip(&MEASURES) {
        write!(text, "  {:^1$}", measure.heading, across(cells)).expect("it is a String");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for line in printed {
        if line.name.starts_with(|first: char| first != ' ') {
            text.push_str(&"-".repeat(names + figures));
            text.push('\n');
        }
        let mut name = line.name.as_str();
        if name.chars().count() > names {
            // A long name has a line of its own, and its figures stand below.
            text.push_str(name);
            text.push('\n');
            name = "";
        }
        let mut row = format!("{name:names$}");
        if runs > 0 {
            write!(row, " {:>runs$}", line.runs).expect("it is a String");
        }
        for (cells, widths) in line.cells.iter().zip(&widths) {
            row.push(' ');
            for (cell, width) in cells.iter().zip(widths) {
                write!(row, " {cell:>width$}").expect("it is a String");
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
        for remark in &line.remarks {
            writeln!(text, "      {remark}").expect("it is a String");
        }
        if line.name.starts_with(|first: char| first != ' ') {
            text.push('\n');
        }
    }
    text
}

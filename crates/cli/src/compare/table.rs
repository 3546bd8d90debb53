//! The table: one row per scenario with the figures of Go, ours and their ratio side by side, and sums.

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Span, Style};

use super::cost::Cost;

/// Maximum width of the name column.
const NAME_MAX: usize = 48;

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

impl PrintedRow {
    /// Whether the name has a line of its own, and the figures stand below.
    fn has_long_name(&self) -> bool {
        self.name.chars().count() > NAME_MAX
    }
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
            let remarks = line.remarks.iter().map(|remark| format!("      {remark}")).collect();
            printed.push(PrintedRow { name, runs, cells, remarks });
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

/// Prints the rows below the headings of the measures, each of which spans its cells. A rule stands above the sums and
/// an empty line below them.
fn lay_out(printed: &[PrintedRow]) -> String {
    let with_runs = printed.iter().any(|line| !line.runs.is_empty());
    let mut headings = vec![""];
    headings.extend(with_runs.then_some("Go's"));
    let mut spans = Vec::new();
    for (cells, measure) in printed[0].cells.iter().zip(&MEASURES) {
        spans.push((headings.len(), cells.len()));
        headings.push(measure.heading);
        headings.extend(vec![""; cells.len() - 1]);
    }

    let mut rows = Builder::default();
    rows.push_record(headings);
    for line in printed {
        let name = if line.has_long_name() { "" } else { &line.name };
        let runs = with_runs.then_some(&*line.runs);
        rows.push_record([name].into_iter().chain(runs).chain(line.cells.iter().flatten().map(|cell| &**cell)));
    }
    let mut table = rows.build();
    table.with(Style::empty()).with(Padding::new(1, 0, 0, 0)).with(Alignment::right());
    table.modify(Columns::first(), Padding::zero()).modify(Columns::first(), Alignment::left());
    for (begin, columns) in spans {
        // Two spaces separate the measures.
        table.modify(Columns::one(begin), Padding::new(2, 0, 0, 0));
        table.modify((0, begin), Span::column(columns as isize)).modify((0, begin), Alignment::center());
    }
    let table = table.to_string();
    let mut lines = table.lines();
    let headings = lines.next().unwrap_or_default();
    let rule = "-".repeat(headings.chars().count());

    let mut text = vec![headings];
    for (line, row) in printed.iter().zip(lines) {
        let is_sum = line.name.starts_with(|first: char| first != ' ');
        text.extend(is_sum.then_some(&*rule));
        text.extend(line.has_long_name().then_some(&*line.name));
        text.push(row);
        text.extend(line.remarks.iter().map(|remark| &**remark));
        text.extend(is_sum.then_some(""));
    }
    text.iter().map(|line| line.trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_stands_above_its_figures() {
        let cost = Side::Cost(Cost { seconds: 2.0, rpcs: 7, bytes: None, commands: None });
        let name = "x".repeat(NAME_MAX);
        let row = TableRow { part: "3A", name: name.clone(), go_runs: 1, go: cost, ours: cost, remarks: vec![] };
        let text = table(&[row]);
        assert!(text.contains(&format!("\n  {name}\n          ")), "{text}");
        assert!(
            text.contains("\n3A, sums   2.0  2.0 1.00x"),
            "the column of names is as narrow as its other names: {text}"
        );
    }
}

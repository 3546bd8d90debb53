//! The printed table, in Markdown, with the machine and the programs above it.

use std::fmt::Write;

use bench::machine::Machine;
use bench::sample::median;

use crate::floor::APPENDED;
use crate::load_result::{Load, LoadResult};

/// The heading of the table.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    /// The machine of the measurements.
    pub(crate) machine: Machine,
    /// Number of measurements of each row.
    pub(crate) rounds: usize,
    /// Duration of each measurement; see [`Load::seconds`].
    pub(crate) seconds: u64,
    /// The folder of the servers' data.
    pub(crate) folder: String,
    /// The version of etcd and the members that its clients talk to; or the reason why etcd is left out.
    pub(crate) etcd: Result<String, String>,
    /// The reason why `raftlab` is left out, if it is.
    pub(crate) raftlab: Result<(), String>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The load of both sides.
    pub(crate) load: Load,
    /// Syncs per second of one file, and of each of three files at the same time.
    pub(crate) floor: [f64; 2],
    /// The results: first etcd, then `raftlab`.
    pub(crate) sides: [Side; 2],
}

/// The rounds of one cluster in one row, none if it was left out; or the reason of its failure.
pub(crate) type Side = Result<Vec<LoadResult>, String>;

/// The names of the sides.
pub(crate) const NAMES: [&str; 2] = ["etcd", "raftlab"];

/// Returns the table, with its heading above and the failures below.
pub(crate) fn table(heading: &Heading, rows: &[Row]) -> String {
    let Heading { machine, rounds, seconds, folder, etcd, raftlab } = heading;
    let mut text = format!("{machine}; {rounds} rounds of {seconds} s\n");
    let [one, three] = [0, 1].map(|files| whole(median(&rows.iter().map(|row| row.floor[files]).collect::<Vec<_>>())));
    let _ = writeln!(
        text,
        "the floor: {APPENDED} bytes appended and synced in {folder}: {one} a second in one file, {three} a second in each of three at \
         the same time"
    );
    let _ = match etcd {
        Ok(how) => writeln!(text, "{how}"),
        Err(reason) => writeln!(text, "etcd is left out: {reason}"),
    };
    if let Err(reason) = raftlab {
        let _ = writeln!(text, "raftlab is left out: {reason}");
    }
    text += "\n| fsync | clients | etcd, ops/s | p50, ms | p99, ms | raftlab, ops/s | p50, ms | p99, ms | raftlab / etcd |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        let fsync = if row.load.sync { "yes" } else { "no" };
        let mut cells = vec![fsync.to_string(), row.load.clients.to_string()];
        cells.extend(row.sides.iter().flat_map(cells_of));
        cells.push(ratio(&row.sides).map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let failures: String = rows.iter().flat_map(failures).collect();
    if failures.is_empty() { text } else { text + "\n" + &failures }
}

/// Formats the result of one round, or the medians of several, as a line.
pub(crate) fn line(figures: &LoadResult) -> String {
    let LoadResult { a_second, p50_ms, p99_ms } = figures;
    format!("{} ops/s, p50 {} ms, p99 {} ms", whole(*a_second), milliseconds(*p50_ms), milliseconds(*p99_ms))
}

/// Describes the load of a row.
pub(crate) fn words(load: Load) -> String {
    let clients = if load.clients == 1 { "1 client".to_string() } else { format!("{} clients", load.clients) };
    format!("{clients}, {}", if load.sync { "fsync" } else { "no fsync" })
}

fn cells_of(side: &Side) -> [String; 3] {
    match side.as_ref().map(|rounds| LoadResult::medians(rounds)) {
        Ok(Some(LoadResult { a_second, p50_ms, p99_ms })) => {
            [whole(a_second), milliseconds(p50_ms), milliseconds(p99_ms)]
        }
        Ok(None) => ["-", "-", "-"].map(String::from),
        Err(_) => ["failed", "-", "-"].map(String::from),
    }
}

/// Returns the median over the rounds of the second side's throughput divided by the first side's.
fn ratio(sides: &[Side; 2]) -> Option<f64> {
    let [Ok(first), Ok(second)] = sides else { return None };
    let ratios: Vec<f64> = first.iter().zip(second).map(|(first, second)| second.a_second / first.a_second).collect();
    (!ratios.is_empty()).then(|| median(&ratios))
}

fn failures(row: &Row) -> impl Iterator<Item = String> {
    let sides = NAMES.iter().zip(&row.sides);
    sides.filter_map(|(name, side)| Some(format!("- {name}, {}: {}\n", words(row.load), side.as_ref().err()?)))
}

/// Formats a whole number in groups of three digits.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats milliseconds with three significant digits, at most down to microseconds.
fn milliseconds(value: f64) -> String {
    let decimals = if value < 1.0 { 3 } else { usize::from(value < 100.0) + usize::from(value < 10.0) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(a_second: f64) -> LoadResult {
        LoadResult { a_second, p50_ms: 0.25, p99_ms: 12.345 }
    }

    fn row(sides: [Side; 2]) -> Row {
        Row { load: Load { clients: 32, sync: true, seconds: 5 }, floor: [2000.0, 700.0], sides }
    }

    fn printed(rows: &[Row], etcd: Result<String, String>) -> String {
        let folder = "/a/folder".to_string();
        let heading = Heading { machine: Machine::detect(), rounds: 3, seconds: 5, folder, etcd, raftlab: Ok(()) };
        table(&heading, rows)
    }

    #[test]
    fn a_row_has_medians_and_the_median_of_the_ratios() {
        let [etcd, raftlab] = [[1000.0, 2000.0, 4000.0], [3000.0, 4000.0, 4000.0]].map(|all| all.map(figures).to_vec());
        let text = printed(&[row([Ok(etcd), Ok(raftlab)])], Ok("etcd 3".into()));
        assert!(text.contains("| yes | 32 | 2,000 | 0.250 | 12.3 | 4,000 | 0.250 | 12.3 | 2.00 |\n"), "{text}");
        assert!(text.contains("2,000 a second in one file, 700 a second in each of three"), "{text}");
    }

    #[test]
    fn a_side_left_out_or_failed_does_not_change_the_others() {
        let rows = [row([Ok(vec![]), Ok(vec![figures(999.6)])]), row([Ok(vec![figures(5.0)]), Err("why".into())])];
        let text = printed(&rows, Err("not there".into()));
        assert!(text.contains("etcd is left out: not there\n"), "{text}");
        assert!(text.contains("| yes | 32 | - | - | - | 1,000 | 0.250 | 12.3 |  |\n"), "{text}");
        assert!(text.contains("| yes | 32 | 5 | 0.250 | 12.3 | failed | - | - |  |\n"), "{text}");
        assert!(text.ends_with("\n- raftlab, 32 clients, fsync: why\n"), "{text}");
    }

    #[test]
    fn numbers_have_few_digits() {
        assert_eq!([0.4, 999.0, 1000.0, 1_234_567.0].map(whole), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0421, 1.5, 12.34, 123.4].map(milliseconds), ["0.042", "1.50", "12.3", "123"]);
    }
}

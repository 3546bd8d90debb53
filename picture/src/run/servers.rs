//! What each server went through, as columns: roles, terms, votes, its log, snapshots, crashes, and lines it wrote.

use super::columns::{Columns, zigzag};

/// What happened, as a number; `assets/state.js` has the same list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// a: 0 follower, 1 candidate, 2 leader; b: the term.
    Role,
    /// a: the term.
    Term,
    /// a: the candidate; b: the term.
    Vote,
    /// a: the last index; b: how many; c: the term.
    Append,
    /// a: the last index that is left.
    Truncate,
    /// a: the index.
    Commit,
    /// a: the index; b: the term.
    Apply,
    /// a: the index; b: the bytes.
    Snapshot,
    /// a: the index; b: the term.
    Install,
    /// a: the bytes.
    Persist,
    Crash,
    Restart,
    /// a: the index; b: the term; c: the bytes.
    Command,
    /// a: the number of the text; b: the number of the target; c: the severity, 0 is an error.
    Line,
    /// The log begins after an entry. a: its index; b: its term; c: 1 if that is how the server started.
    Compact,
    /// The server started with what it had saved. a: the term; b: 0, or 1 and the number of whom it voted for.
    Restore,
}

/// How many kinds there are.
const KINDS: usize = What::Restore as usize + 1;

/// Something that happened on a server.
#[derive(Clone, Copy)]
pub(super) struct Happening {
    /// In nanoseconds on the run's clock.
    pub(super) at: u64,
    pub(super) what: What,
    pub(super) values: [u64; 3],
}

/// Adds the columns of all `servers`, one server behind the other, with times as multiples of `step` nanoseconds, and gives
/// how many rows each server has.
///
/// If `brief`, entries that a server applies one after the other within a step are one row, and what it saved is left out.
pub(super) fn add_columns(servers: &[Vec<Happening>], brief: bool, step: u64, columns: &mut Columns) -> Vec<usize> {
    let rows: Vec<Vec<Happening>> =
        servers.iter().map(|server| if brief { shortened(server, step) } else { server.clone() }).collect();
    let all = || rows.iter().flatten();
    let mut deltas = Vec::new();
    for server in &rows {
        let mut before = 0;
        deltas.extend(
            server.iter().map(|row| (row.at / step).saturating_sub(std::mem::replace(&mut before, row.at / step))),
        );
    }
    columns.add("at", deltas);
    columns.add("what", all().map(|row| row.what as u64));
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        // A value resembles the one before of its kind, on the same server.
        let mut differences = Vec::new();
        for server in &rows {
            let mut last = [0i64; KINDS];
            differences.extend(server.iter().map(|row| {
                let value = row.values[place] as i64;
                zigzag(value.wrapping_sub(std::mem::replace(&mut last[row.what as usize], value)))
            }));
        }
        columns.add(name, differences);
    }
    rows.iter().map(Vec::len).collect()
}

fn shortened(server: &[Happening], step: u64) -> Vec<Happening> {
    let mut rows: Vec<Happening> = Vec::with_capacity(server.len() / 2);
    for &row in server {
        match (row.what, rows.last_mut()) {
            (What::Persist, _) => {}
            (What::Apply, Some(last))
                if last.what == What::Apply
                    && last.at / step == row.at / step
                    && last.values[0] + 1 == row.values[0] =>
            {
                last.values = row.values;
            }
            _ => rows.push(row),
        }
    }
    rows
}

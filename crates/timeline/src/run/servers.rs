//! The events of each server as columns: roles, terms, votes, its log, snapshots, crashes, and the lines that it
//! logged.

use super::columns::{Columns, zigzag};

/// The kind of an event, as a number; `assets/run.js` has the same list. The comments give the meanings of the values
/// a, b and c.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEventKind {
    /// a: 0 follower, 1 candidate, 2 leader; b: the term.
    Role,
    /// a: the term.
    Term,
    /// a: the candidate; b: the term.
    Vote,
    /// a: the last index; b: the number of entries; c: the term.
    Append,
    /// a: the last index that remains.
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
    /// a: the index of the text; b: the index of the target; c: the severity, of which 0 is an error.
    Line,
    /// The log begins after an entry. a: its index; b: its term; c: 1 if the server started with this log.
    Compact,
    /// The server started with its saved state. a: the term; b: 0, or 1 plus the number of the server that it voted
    /// for.
    Restore,
}

/// The number of kinds.
const KINDS: usize = ServerEventKind::Restore as usize + 1;

/// An event on a server.
#[derive(Clone, Copy)]
pub(super) struct ServerEvent {
    /// The time in nanoseconds on the run's clock.
    pub(super) at: u64,
    pub(super) kind: ServerEventKind,
    pub(super) values: [u64; 3],
}

/// Adds the columns of all `servers`, one server after the other, with times as multiples of `step` nanoseconds.
/// Returns the number of rows of each server.
///
/// If `brief`, entries that a server applies one after the other within a step are one row, and saved states are left
/// out.
pub(super) fn add_columns(servers: &[Vec<ServerEvent>], brief: bool, step: u64, columns: &mut Columns) -> Vec<usize> {
    let rows: Vec<Vec<ServerEvent>> =
        servers.iter().map(|server| if brief { merge_rows(server, step) } else { server.clone() }).collect();
    let all = || rows.iter().flatten();
    let mut deltas = Vec::new();
    for server in &rows {
        let mut before = 0;
        deltas.extend(
            server.iter().map(|row| (row.at / step).saturating_sub(std::mem::replace(&mut before, row.at / step))),
        );
    }
    columns.add("at", deltas);
    columns.add("kind", all().map(|row| row.kind as u64));
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        // A value resembles the previous value of the same kind on the same server.
        let mut differences = Vec::new();
        for server in &rows {
            let mut last = [0i64; KINDS];
            differences.extend(server.iter().map(|row| {
                let value = row.values[place] as i64;
                zigzag(value.wrapping_sub(std::mem::replace(&mut last[row.kind as usize], value)))
            }));
        }
        columns.add(name, differences);
    }
    rows.iter().map(Vec::len).collect()
}

fn merge_rows(server: &[ServerEvent], step: u64) -> Vec<ServerEvent> {
    let mut rows: Vec<ServerEvent> = Vec::with_capacity(server.len() / 2);
    for &row in server {
        match (row.kind, rows.last_mut()) {
            (ServerEventKind::Persist, _) => {}
            (ServerEventKind::Apply, Some(last))
                if last.kind == ServerEventKind::Apply
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

//! The rows of the table, one file for those that have most in common.

mod checker;
mod clerks;
mod core;
mod echo;
mod openraft;
mod scenarios;
mod suite;

use crate::row::Row;

/// All of them, in the order in which they are measured and printed.
pub(crate) const ALL: &[Row] = &[
    scenarios::RAFT_SIM,
    scenarios::KV_SIM,
    suite::DEV_BUILD,
    scenarios::RECORDING,
    echo::ECHO_1,
    echo::ECHO_16,
    clerks::PUT_1,
    clerks::PUT_32,
    clerks::LONG_LOG,
    openraft::OPENRAFT_64,
    openraft::OPENRAFT_1024,
    core::CORE_1,
    core::CORE_64,
    checker::CHECKER,
    scenarios::RAFT_CPU,
    suite::MEMORY,
];

/// The rows of these names, in the order of the table. Without names: all of them, or all that are not slow.
///
/// # Errors
///
/// If there is no row of such a name; the message lists what there is.
pub(crate) fn select(names: &[String], slow_as_well: bool) -> Result<Vec<Row>, String> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|row| row.name == name.as_str())) {
        let all: Vec<&str> = ALL.iter().map(|row| row.name).collect();
        return Err(format!("there is no row '{unknown}'; the rows are {}", all.join(", ")));
    }
    let wanted = |row: &&Row| {
        let named = names.iter().any(|name| name == row.name);
        named || (names.is_empty() && !row.slow) || slow_as_well
    };
    Ok(ALL.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str], slow_as_well: bool) -> Vec<&'static str> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        select(&wanted, slow_as_well).unwrap().iter().map(|row| row.name).collect()
    }

    #[test]
    fn a_row_is_chosen_by_its_whole_name() {
        assert_eq!(names(&["memory", "echo-1"], false), ["echo-1", "memory"], "not echo-16");
        assert!(select(&["echo".to_string()], false).unwrap_err().contains("echo-16"));
    }

    #[test]
    fn slow_rows_are_left_out_unless_asked_for() {
        assert!(!names(&[], false).contains(&"memory"));
        assert_eq!(names(&[], true).len(), ALL.len());
    }

    #[test]
    fn a_goal_is_beyond_what_must_be() {
        for row in ALL {
            for bar in row.bars {
                assert!(bar.reached(bar.goal) > bar.reached(bar.must), "{}: {}", row.name, bar.label);
            }
        }
    }
}

//! The rows of the table, one file for each group of similar rows.

mod checker;
mod clerks;
mod core;
mod echo;
mod go;
mod openraft;
mod scenarios;
mod suite;

use crate::row::Row;

/// All rows, in the order of measurement and of the table.
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
    go::GO,
];

/// Returns the rows of these names, in the order of the table. Without names it returns all rows, with or without the
/// slow ones.
///
/// # Errors
///
/// If there is no row of a given name; the message lists the rows.
pub(crate) fn select(names: &[String], include_slow: bool) -> Result<Vec<Row>, String> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|row| row.name == name.as_str())) {
        let all: Vec<&str> = ALL.iter().map(|row| row.name).collect();
        return Err(format!("there is no row '{unknown}'; the rows are {}", all.join(", ")));
    }
    let wanted = |row: &&Row| {
        let named = names.iter().any(|name| name == row.name);
        named || (names.is_empty() && !row.slow) || include_slow
    };
    Ok(ALL.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str], include_slow: bool) -> Vec<&'static str> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        select(&wanted, include_slow).unwrap().iter().map(|row| row.name).collect()
    }

    #[test]
    fn a_row_is_chosen_by_its_whole_name() {
        assert_eq!(names(&["memory", "echo-1"], false), ["echo-1", "memory"], "not echo-16");
        assert!(select(&["echo".to_string()], false).unwrap_err().contains("echo-16"));
    }

    #[test]
    fn slow_rows_are_left_out_unless_requested() {
        assert!(!names(&[], false).contains(&"memory"));
        assert_eq!(names(&[], true).len(), ALL.len());
    }

    #[test]
    fn a_goal_is_better_than_the_required_value() {
        for row in ALL {
            for target in row.targets {
                assert!(target.reached(target.goal) > target.reached(target.must), "{}: {}", row.name, target.label);
            }
        }
    }
}

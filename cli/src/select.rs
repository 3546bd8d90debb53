//! Which scenarios a list of filters means.

use raftapi::Raft;
use tester::{Part, Scenario};

use crate::Error;

/// The scenarios that at least one of `filters` names, in the order of the table; all if there are no filters. A filter
/// is a part (`3A`), or a piece of a scenario's name.
///
/// # Errors
///
/// If a filter names none; the message lists what there is.
pub(crate) fn select<R: Raft>(all: Vec<Scenario<R>>, filters: &[String]) -> Result<Vec<Scenario<R>>, Error> {
    for filter in filters {
        if !all.iter().any(|scenario| matches(scenario, filter)) {
            let parts: Vec<&str> = Part::ALL.iter().map(|part| part.number()).collect();
            let names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
            return Err(Error::Usage(format!(
                "no part or scenario matches '{filter}'; the parts are {}; the scenarios are {}",
                parts.join(", "),
                names.join(", ")
            )));
        }
    }
    let wanted = |scenario: &Scenario<R>| filters.is_empty() || filters.iter().any(|filter| matches(scenario, filter));
    Ok(all.into_iter().filter(wanted).collect())
}

fn matches<R: Raft>(scenario: &Scenario<R>, filter: &str) -> bool {
    let filter = filter.to_ascii_lowercase();
    scenario.part.number().eq_ignore_ascii_case(&filter) || scenario.name.to_ascii_lowercase().contains(&filter)
}

//! Which scenarios a list of filters means.

use tester::{Part, Scenario};

use crate::Error;

/// The scenarios that at least one of `filters` names, in the order of the table; all if there are no filters. A filter
/// is a part (`3A`), or a piece of a scenario's name.
///
/// # Errors
///
/// If a filter names none; the message lists what there is.
pub(crate) fn select(all: Vec<Scenario>, filters: &[String]) -> Result<Vec<Scenario>, Error> {
    for filter in filters {
        if !all.iter().any(|scenario| matches(scenario, filter)) {
            let parts: Vec<&str> = Part::ALL.iter().map(|part| part.number()).collect();
            let names: Vec<&str> = all.iter().map(|scenario| scenario.about.name).collect();
            return Err(Error::Usage(format!(
                "no part or scenario matches '{filter}'; the parts are {}; the scenarios are {}",
                parts.join(", "),
                names.join(", ")
            )));
        }
    }
    let wanted = |scenario: &Scenario| filters.is_empty() || filters.iter().any(|filter| matches(scenario, filter));
    Ok(all.into_iter().filter(wanted).collect())
}

fn matches(scenario: &Scenario, filter: &str) -> bool {
    let filter = filter.to_ascii_lowercase();
    scenario.about.part.number().eq_ignore_ascii_case(&filter)
        || scenario.about.name.to_ascii_lowercase().contains(&filter)
}

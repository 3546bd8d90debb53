//! Selection of scenarios by filters.

use tester::{Part, Scenario};

use crate::Error;

/// Returns the scenarios that at least one of `filters` names, in the order of the table; all scenarios if there are no
/// filters. A filter is a part (`3A`), a whole scenario name, which selects that scenario alone, or a piece of scenario
/// names.
///
/// # Errors
///
/// Fails if a filter matches nothing. The message lists the parts and the scenarios.
pub(crate) fn select(all: Vec<Scenario>, filters: &[String]) -> Result<Vec<Scenario>, Error> {
    let names: Vec<&'static str> = all.iter().map(|scenario| scenario.info.name).collect();
    for filter in filters {
        if !all.iter().any(|scenario| matches(scenario, filter, &names)) {
            let parts: Vec<&str> = Part::ALL.iter().map(|part| part.number()).collect();
            return Err(Error::Usage(format!(
                "no part or scenario matches '{filter}'; the parts are {}; the scenarios are {}",
                parts.join(", "),
                names.join(", ")
            )));
        }
    }
    let wanted =
        |scenario: &Scenario| filters.is_empty() || filters.iter().any(|filter| matches(scenario, filter, &names));
    Ok(all.into_iter().filter(wanted).collect())
}

fn matches(scenario: &Scenario, filter: &str, names: &[&str]) -> bool {
    let name = scenario.info.name;
    // A replay command names one scenario, whose name may be a piece of another name.
    if names.iter().any(|name| name.eq_ignore_ascii_case(filter)) {
        return name.eq_ignore_ascii_case(filter);
    }
    scenario.info.part.number().eq_ignore_ascii_case(filter)
        || name.to_ascii_lowercase().contains(&filter.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use tester::{ScenarioInfo, ScenarioOutcome};

    use super::*;

    fn selected(filters: &[&str]) -> Vec<&'static str> {
        let scenario = |name, part| {
            let about = ScenarioInfo { name, part, title: String::new(), from_course: true, servers: 3, seconds: 1 };
            Scenario::new(about, |_, _: &_| ScenarioOutcome { stages: Vec::new(), history: None, gave_up: None })
        };
        let all = [("churn_3C", Part::P3C), ("concurrent_4A", Part::P4A), ("persist_concurrent_4A", Part::P4A)];
        let all = all.map(|(name, part)| scenario(name, part)).to_vec();
        let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let selected = select(all, &filters).expect("each filter names something");
        selected.into_iter().map(|scenario| scenario.info.name).collect()
    }

    #[test]
    fn a_filter_is_a_part_a_name_or_a_piece_of_names() {
        assert_eq!(selected(&["4a"]), ["concurrent_4A", "persist_concurrent_4A"]);
        assert_eq!(selected(&["concurrent_4A"]), ["concurrent_4A"], "a whole name is of one scenario");
        assert_eq!(selected(&["concurrent"]), ["concurrent_4A", "persist_concurrent_4A"]);
        assert_eq!(selected(&["3C", "persist"]), ["churn_3C", "persist_concurrent_4A"]);
        assert_eq!(selected(&[]).len(), 3);
    }
}

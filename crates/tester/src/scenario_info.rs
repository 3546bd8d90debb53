//! The description of a scenario: everything about it except its body.

use crate::part::Part;

/// Description of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioInfo {
    /// Name of the scenario and of its test; it ends with the part.
    pub name: &'static str,
    /// The part of the lab to which it belongs.
    pub part: Part,
    /// Title, as the course prints it.
    pub title: String,
    /// Whether it is one of the course's own.
    pub from_course: bool,
    /// Number of servers.
    pub servers: usize,
    /// Approximate duration on threads, in seconds; longer scenarios start first.
    pub seconds: u32,
}

//! Which of our scenarios a Go test is. The name of its function says so, if it was printed: ours are the same names in snake
//! case. Otherwise the title does, with what it says of the network.

use tester::{About, Layer};

use super::line::{Edition, Title};

/// A test of the course that has several titles, and figures for each.
const STAGED: (&str, [&str; 3]) =
    ("one_partition_4A", ["progress in majority", "no progress in minority", "completion after heal"]);

/// Titles that the 2025 edition prints for two tests: over a reliable network and over an unreliable one.
const TWINS: [(&str, [&str; 2]); 2] = [
    ("install snapshots (disconnect)", ["snapshot_install_3D", "snapshot_install_unreliable_3D"]),
    ("install snapshots (crash)", ["snapshot_install_crash_3D", "snapshot_install_un_crash_3D"]),
];

/// A scenario, by its place among the scenarios of the course, and one of its stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) scenario: usize,
    pub(super) stage: usize,
}

/// What a title is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    One(Row),
    /// One of these two; their names.
    OneOf([usize; 2]),
    /// None that is here.
    Unknown,
}

/// The scenarios of the course.
#[derive(Debug)]
pub(super) struct Catalogue(pub(super) Vec<About>);

impl Catalogue {
    /// The titles of a scenario's stages.
    pub(super) fn stages(&self, scenario: usize) -> Vec<&str> {
        let about = &self.0[scenario];
        if about.name == STAGED.0 { STAGED.1.to_vec() } else { vec![about.title.as_str()] }
    }

    /// The scenario with the name of this Go function.
    pub(super) fn by_name(&self, function: &str, edition: Option<Edition>) -> Option<usize> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let wanted = plain(function.strip_prefix("Test")?);
        let found = self.0.iter().position(|about| plain(about.name) == wanted);
        found.filter(|&scenario| self.is_in(scenario, edition))
    }

    /// The stage of a test of this name that begins with this title.
    pub(super) fn stage(&self, scenario: usize, title: &Title) -> usize {
        self.stages(scenario).iter().position(|&stage| stage == title.text).unwrap_or(0)
    }

    /// The scenario, and its stage, with this title.
    pub(super) fn by_title(&self, title: &Title, edition: Option<Edition>) -> Named {
        if edition == Some(Edition::Of2025)
            && title.part.as_deref() == Some("3D")
            && let Some((_, twins)) = TWINS.iter().find(|(text, _)| *text == title.text)
        {
            let twins = twins.map(|name| self.0.iter().position(|about| about.name == name));
            let [Some(reliable), Some(unreliable)] = twins else { return Named::Unknown };
            return match title.reliable {
                Some(true) => Named::One(Row { scenario: reliable, stage: 0 }),
                Some(false) => Named::One(Row { scenario: unreliable, stage: 0 }),
                None => Named::OneOf([reliable, unreliable]),
            };
        }
        let of_part = |about: &About| title.part.as_deref() == Some(about.part.number());
        let mut rows =
            (0..self.0.len()).filter(|&scenario| of_part(&self.0[scenario]) && self.is_in(scenario, edition));
        let row = rows.find_map(|scenario| {
            let stage = self.stages(scenario).iter().position(|&stage| stage == title.text)?;
            Some(Row { scenario, stage })
        });
        row.map_or(Named::Unknown, Named::One)
    }

    /// Whether a test with the name of this function can begin with this title.
    pub(super) fn begins(&self, function: &str, title: &Title) -> bool {
        let Some(scenario) = self.by_name(function, title.edition) else { return false };
        match self.by_title(title, title.edition) {
            Named::One(row) => row.scenario == scenario,
            Named::OneOf(twins) => twins.contains(&scenario),
            Named::Unknown => false,
        }
    }

    /// The key/value tests of 2025 have names of these and are others: their service has versions.
    fn is_in(&self, scenario: usize, edition: Option<Edition>) -> bool {
        edition != Some(Edition::Of2025) || self.0[scenario].part.layer() == Layer::Raft
    }
}

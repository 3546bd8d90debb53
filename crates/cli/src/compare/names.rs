//! The scenario that a Go test corresponds to. If the output has the name of the test's function, the name decides: our
//! names are the Go names in snake case. Otherwise the title decides, together with the kind of network that it names.

use tester::{Layer, ScenarioInfo};

use super::line::{Edition, Title};

/// A test of the course with several titles, each with figures of its own.
const STAGED: (&str, [&str; 3]) =
    ("one_partition_4A", ["progress in majority", "no progress in minority", "completion after heal"]);

/// Titles that the 2025 edition prints for two tests: one over a reliable network, and one over an unreliable network.
const SHARED_TITLES: [(&str, [&str; 2]); 2] = [
    ("install snapshots (disconnect)", ["snapshot_install_3D", "snapshot_install_unreliable_3D"]),
    ("install snapshots (crash)", ["snapshot_install_crash_3D", "snapshot_install_un_crash_3D"]),
];

/// A stage of a scenario. The scenario is an index into the scenarios of the course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StageId {
    pub(super) scenario: usize,
    pub(super) stage: usize,
}

/// The scenario that a title belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TitleMatch {
    One(StageId),
    /// One of these two scenarios.
    OneOf([usize; 2]),
    /// No scenario of the catalogue.
    Unknown,
}

/// The scenarios of the course.
#[derive(Debug)]
pub(super) struct Catalogue(pub(super) Vec<ScenarioInfo>);

impl Catalogue {
    /// Returns the titles of a scenario's stages.
    pub(super) fn stages(&self, scenario: usize) -> Vec<&str> {
        let about = &self.0[scenario];
        if about.name == STAGED.0 { STAGED.1.to_vec() } else { vec![about.title.as_str()] }
    }

    /// Returns the scenario with the name of this Go function.
    pub(super) fn by_name(&self, function: &str, edition: Option<Edition>) -> Option<usize> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let wanted = plain(function.strip_prefix("Test")?);
        let found = self.0.iter().position(|about| plain(about.name) == wanted);
        found.filter(|&scenario| self.is_in(scenario, edition))
    }

    /// Returns the stage of this scenario that begins with this title.
    pub(super) fn stage(&self, scenario: usize, title: &Title) -> usize {
        self.stages(scenario).iter().position(|&stage| stage == title.text).unwrap_or(0)
    }

    /// Returns the scenario and the stage with this title.
    pub(super) fn by_title(&self, title: &Title, edition: Option<Edition>) -> TitleMatch {
        if edition == Some(Edition::Of2025)
            && title.part.as_deref() == Some("3D")
            && let Some((_, pair)) = SHARED_TITLES.iter().find(|(text, _)| *text == title.text)
        {
            let pair = pair.map(|name| self.0.iter().position(|about| about.name == name));
            let [Some(reliable), Some(unreliable)] = pair else { return TitleMatch::Unknown };
            return match title.reliable {
                Some(true) => TitleMatch::One(StageId { scenario: reliable, stage: 0 }),
                Some(false) => TitleMatch::One(StageId { scenario: unreliable, stage: 0 }),
                None => TitleMatch::OneOf([reliable, unreliable]),
            };
        }
        let of_part = |about: &ScenarioInfo| title.part.as_deref() == Some(about.part.number());
        let mut rows =
            (0..self.0.len()).filter(|&scenario| of_part(&self.0[scenario]) && self.is_in(scenario, edition));
        let row = rows.find_map(|scenario| {
            let stage = self.stages(scenario).iter().position(|&stage| stage == title.text)?;
            Some(StageId { scenario, stage })
        });
        row.map_or(TitleMatch::Unknown, TitleMatch::One)
    }

    /// Whether a test with this function name can begin with this title.
    pub(super) fn begins(&self, function: &str, title: &Title) -> bool {
        let Some(scenario) = self.by_name(function, title.edition) else { return false };
        match self.by_title(title, title.edition) {
            TitleMatch::One(row) => row.scenario == scenario,
            TitleMatch::OneOf(pair) => pair.contains(&scenario),
            TitleMatch::Unknown => false,
        }
    }

    /// Whether the edition has this scenario. The key/value tests of 2025 share names with ours but are different
    /// tests: their service has versioned values.
    fn is_in(&self, scenario: usize, edition: Option<Edition>) -> bool {
        edition != Some(Edition::Of2025) || self.0[scenario].part.layer() == Layer::Raft
    }
}

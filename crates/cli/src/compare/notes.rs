//! Known differences between the editions, which a reader needs to compare the figures.

use std::collections::BTreeSet;

use tester::{Layer, ScenarioInfo};

use super::line::Edition;

/// Differences between the 2025 scenarios and ours. Our scenarios are those of 2024.
const OF_2025: [(&str, &str); 7] = [
    ("persist_1_3C", "2025 crashes servers at once and starts them together; 2024, as here, cuts them off, one by one"),
    ("persist_2_3C", "2025 crashes and restarts all five in a round; 2024, as here, cuts them off and restarts three"),
    ("persist_3_3C", "2025 reconnects the second crashed server with the first, before it runs"),
    ("reliable_churn_3C", "2025 reconnects all servers whenever it restarts one: milder than 2024 and here"),
    ("unreliable_churn_3C", "2025 reconnects all servers whenever it restarts one: milder than 2024 and here"),
    ("snapshot_all_crash_3D", "its network is unreliable in 2025, reliable in 2024 and here"),
    ("snapshot_init_3D", "its network is unreliable in 2025, reliable in 2024 and here"),
];

/// Returns one note for each difference that concerns the scenarios of the table.
pub(super) fn notes(abouts: &[&ScenarioInfo], editions: &BTreeSet<Edition>) -> Vec<String> {
    let mut notes = Vec::new();
    let has = |layer: Layer| abouts.iter().any(|about| about.part.layer() == layer);
    let of_2025 = editions.contains(&Edition::Of2025);
    if of_2025 {
        notes.push(
            "bytes, commands: the 2025 edition prints no bytes, and its #Ops is always 0 in tests of Raft".to_string(),
        );
    }
    if has(Layer::Kv) {
        notes.push("bytes: the 2024 edition prints none in tests of the key/value service".to_string());
    }
    if of_2025 {
        for (name, note) in OF_2025 {
            if abouts.iter().any(|about| about.name == name) {
                notes.push(format!("{name}: {note}"));
            }
        }
    }
    if has(Layer::Kv) {
        notes.push(format!(
            "4A, 4B: a client here pauses between two requests, {} ms on average, and Go's does not: divide RPCs by commands",
            tester::PACE.as_millis()
        ));
    }
    if abouts.iter().any(|about| about.name.starts_with("speed_")) {
        notes.push("speed: the course counts none of its commands".to_string());
    }
    notes
}

//! trial
mod act;
mod history;
mod model;
#[path = "../owner/mod.rs"]
mod owner;
mod state;

use model::*;
use stateright::{Checker, Model};

#[test]
fn trial() {
    let get = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |v| v.parse().unwrap());
    let bounds = Bounds {

        terms: get("T", 2),
        proposals: get("P", 1) as u8,
        crashes: get("C", 0) as u8,
        compactions: get("K", 0) as u8,
        reads: get("R", 0) as u8,
        batches: get("B", 1),
        state_survives: get("S", 1) == 1,
    };
    let model = Cluster { bounds, mistake: Mistake::None, story: vec![], sights: vec![], outcomes: Default::default() };
    let begun = std::time::Instant::now();
    let checker = model.checker().threads(2).timeout(std::time::Duration::from_secs(get("W", 60))).spawn_bfs().join();
    eprintln!(
        "{bounds:?}: {} unique, {} total, depth {}, {:?}, done {}, {:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed(),
        checker.is_done(),
        checker.discoveries().keys()
    );
}

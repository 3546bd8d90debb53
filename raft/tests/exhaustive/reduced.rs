//! Explorations by the reduced search: larger bounds, a comparison with the full search, and mistakes that it must
//! find.
//!
//! The largest explorations are a command of their own:
//!
//! ```sh
//! cargo test -p raft --test exhaustive -- --ignored
//! ```

use std::collections::{BTreeSet, VecDeque};

use labstd::time::Instant;
use stateright::Model;

use crate::explorer::Explorer;
use crate::model::{Bounds, Cluster, Mistake};
use crate::reduction::{Reductions, configuration};
use crate::state::{Hashed, State};
use crate::{figure_8_b, leader, log_truncated, print, two_more_leaders, voter_restarted};

/// Two terms, two commands and one restart. `ticks` are those of all leaders together.
fn two_terms(ticks: u8, batches: u64) -> Bounds {
    Bounds { terms: 2, ticks, proposals: 2, crashes: 1, batches, ..Bounds::default() }
}

#[test]
fn two_terms_two_commands_a_tick_and_a_restart() {
    explore("two terms, two commands, a tick and a restart", two_terms(1, 1));
}

#[test]
#[ignore = "larger than the others: cargo test -p raft --test exhaustive -- --ignored"]
fn two_terms_two_commands_and_a_restart_in_two_batches() {
    explore("two terms, two commands and a restart, in two batches", two_terms(0, 2));
}

#[test]
#[ignore = "larger than the others: cargo test -p raft --test exhaustive -- --ignored"]
fn two_elections_and_a_tick_in_two_batches() {
    let bounds = Bounds { elections: 2, ..two_terms(1, 2) };
    explore("two elections, two commands, a tick and a restart, in two batches", bounds);
}

#[test]
fn the_reduced_search_covers_the_full_one() {
    let one_term = Bounds { proposals: 1, crashes: 1, ..Bounds::default() };
    let batches = Bounds { proposals: 2, batches: 2, crashes: 1, ticks: 1, ..Bounds::default() };
    let two_terms = Bounds { terms: 2, elections: 2, proposals: 1, crashes: 1, ticks: 0, ..Bounds::default() };
    for bounds in [one_term, batches, two_terms] {
        let cluster = Cluster::new(bounds);
        let full = all_states(&cluster);
        let configurations: BTreeSet<u64> = full.iter().map(configuration).collect();

        let by_dominance = Explorer::explore(&cluster, Reductions::DOMINANCE, false);
        assert!(
            full.iter().all(|state| by_dominance.dominates(state)),
            "a kept state dominates each state: {bounds:?}"
        );
        assert_eq!(by_dominance.configurations, configurations, "the same configurations occur: {bounds:?}");

        let reduced = Explorer::explore(&cluster, Reductions::ALL, false);
        assert_eq!(reduced.configurations, configurations, "the same configurations occur: {bounds:?}");
        let none = Explorer::explore(&cluster, Reductions::NONE, false);
        assert_eq!(none.states(), full.len(), "without reductions the search is full: {bounds:?}");
        print(&format!(
            "all states: {}; without dominated ones: {}; and informed at once: {}; {bounds:?}\n",
            full.len(),
            by_dominance.states(),
            reduced.states()
        ));
    }
}

#[test]
fn the_reduced_search_finds_a_forgotten_vote() {
    find("Election Safety", Cluster::new(Bounds { crashes: 1, ..Bounds::default() }).with(Mistake::ForgetsItsVote));
}

#[test]
fn the_reduced_search_finds_a_lost_entry() {
    let bounds = Bounds { elections: 2, ..two_terms(1, 1) };
    find("Leader Completeness", Cluster::new(bounds).with(Mistake::LosesItsLastEntry));
}

#[test]
fn the_reduced_search_finds_figure_8() {
    let cluster = Cluster::new(two_more_leaders()).after(figure_8_b());
    find("Leader Completeness", cluster.with(Mistake::CommitsByCounting));
}

/// Explores all states: every rule holds in every state, and every expected event occurs in some state.
fn explore(name: &str, bounds: Bounds) {
    let cluster = Cluster::new(bounds).expected([leader(), log_truncated(), voter_restarted()]);
    let begun = Instant::now();
    let explorer = Explorer::explore(&cluster, Reductions::ALL, false);
    print(&format!(
        "{name}: {} states kept ({} expanded, {} transitions) in {:.1} s; {bounds:?}\n",
        explorer.states(),
        explorer.expanded,
        explorer.transitions,
        begun.elapsed().as_secs_f64()
    ));
    assert_eq!(explorer.broken_rules(), Vec::<&str>::new(), "every rule holds in every state");
    assert_eq!(explorer.missing_events(), Vec::<&str>::new(), "every expected event occurs in some state");
}

/// Explores until a rule is broken, which must be `rule`. Prints a path to it.
fn find(rule: &str, cluster: Cluster) {
    let explorer = Explorer::explore(&cluster, Reductions::ALL, true);
    let path = explorer.path_to(rule);
    let path = path.unwrap_or_else(|| panic!("{:?} breaks {rule}: {:?}", cluster.mistake, explorer.broken_rules()));
    for (state, action) in path {
        eprintln!("{state:?}\n    {action:?}");
    }
}

/// Returns all states of a cluster, by the simplest search.
fn all_states(cluster: &Cluster) -> Vec<State> {
    let mut pending: VecDeque<State> = cluster.init_states().into();
    let mut known: BTreeSet<u64> = pending.iter().map(Hashed::<()>::hash_of).collect();
    let mut all = Vec::new();
    while let Some(state) = pending.pop_front() {
        let mut actions = Vec::new();
        cluster.actions(&state, &mut actions);
        let after = actions.into_iter().filter_map(|action| cluster.next_state(&state, action));
        let allowed = after.filter(|after| cluster.within_boundary(after));
        pending.extend(allowed.filter(|after| known.insert(Hashed::<()>::hash_of(after))));
        all.push(state);
    }
    all
}

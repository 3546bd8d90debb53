//! Every order of events, not a random one. The published model checker `stateright` explores small clusters of three
//! `RawNode`s completely within some bounds. In each state it checks that the five properties of Figure 3 hold, and
//! that confirmed reads see all committed entries. `model.rs` defines the possible actions, `action.rs` their outcomes,
//! `state.rs` a state and its reductions, and `history.rs` the properties. Larger bounds need a search that stateright
//! does not have: `explorer.rs` is this search, `reduction.rs` the reason why it is sound, and `reduced.rs` its tests.
//!
//! Each test prints its bounds and the number of different states. Properties that must hold in at least one state
//! check that rare events occur, such as a truncated log or the commit of an entry of an earlier term. Two mistakes
//! check that a violation would be found. They are made around the node; the node itself contains no code for them.

mod action;
mod explorer;
mod history;
mod model;
#[path = "../owner/mod.rs"]
mod owner;
mod reduced;
mod reduction;
mod state;

use std::io::Write;

use labstd::time::Instant;
use model::{Bounds, Cluster, Mistake, PreludeStep};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// Number of threads that explore.
const THREADS: usize = 2;

#[test]
fn elections_and_crashes() {
    explore_all(
        "elections and crashes",
        Cluster::new(Bounds { terms: 2, crashes: 2, ..Bounds::default() }).expected([leader(), voter_restarted()]),
    );
}

#[test]
fn elections_in_three_terms() {
    explore_all(
        "elections in three terms",
        Cluster::new(Bounds { terms: 3, ..Bounds::default() }).expected([leader(), leader_of_term_3()]),
    );
}

#[test]
fn the_log_of_one_leader() {
    explore_all(
        "the log of one leader",
        Cluster::new(Bounds { proposals: 2, batches: 2, ..Bounds::default() })
            .expected([leader(), all_have_applied(2)]),
    );
}

#[test]
fn the_log_of_one_leader_and_crashes() {
    let bounds = Bounds { proposals: 1, crashes: 2, state_survives: false, ..Bounds::default() };
    explore_all(
        "the log of one leader, and crashes",
        Cluster::new(bounds).expected([leader(), voter_restarted(), all_have_applied(1)]),
    );
}

#[test]
fn the_logs_of_two_leaders() {
    let bounds = Bounds { terms: 2, ticks: 0, proposals: 2, batches: 1, ..Bounds::default() };
    explore_all("the logs of two leaders", Cluster::new(bounds).expected([leader(), log_truncated()]));
}

#[test]
fn snapshots() {
    let bounds = Bounds { proposals: 1, compactions: 1, batches: 2, ..Bounds::default() };
    explore_all("snapshots", Cluster::new(bounds).expected([leader(), snapshot_installed()]));
}

#[test]
fn reads() {
    let bounds = Bounds { terms: 2, ticks: 0, proposals: 2, reads: 1, crashes: 1, batches: 2, ..Bounds::default() };
    explore_all("reads", Cluster::new(bounds).after(one_entry()).expected([read_confirmed(), read_lost()]));
}

#[test]
fn figure_8_from_b_on_with_a_new_entry() {
    let bounds = Bounds { terms: 3, ticks: 0, proposals: 3, batches: 2, ..Bounds::default() };
    explore_all(
        "from Figure 8 (b) on, with a new entry",
        Cluster::new(bounds).after(figure_8_b()).expected([earlier_term_committed(), log_truncated()]),
    );
}

#[test]
fn figure_8_from_b_on_with_two_more_leaders() {
    explore_all(
        "from Figure 8 (b) on, with two more leaders",
        Cluster::new(two_more_leaders()).after(figure_8_b()).expected([leader(), log_truncated()]),
    );
}

#[test]
fn figure_8_is_found_if_old_entries_commit_by_counting() {
    find_violation(
        "Leader Completeness",
        Cluster::new(two_more_leaders()).after(figure_8_b()).with(Mistake::CommitsByCounting),
    );
}

#[test]
fn two_leaders_are_found_if_a_server_forgets_its_vote() {
    let bounds = Bounds { terms: 1, crashes: 1, ..Bounds::default() };
    find_violation("Election Safety", Cluster::new(bounds).with(Mistake::ForgetsItsVote));
}

#[test]
fn a_lost_log_is_replaced() {
    explore_all("the log of a replaced server", Cluster::new(lost_logs()).after(two_entries()).expected([caught_up()]));
}

#[test]
fn a_lost_vote_of_five_servers_is_replaced() {
    explore_all(
        "the vote of a replaced server",
        Cluster::new(lost_votes()).after(one_entry_of_s3()).expected([leader()]),
    );
}

#[test]
fn two_leaders_are_found_if_a_replaced_server_asks_a_majority_only() {
    find_violation(
        "Election Safety",
        Cluster::new(lost_votes()).after(one_entry_of_s3()).with(Mistake::JoinsWithMajority),
    );
}

#[test]
fn a_lost_entry_is_found_if_late_acknowledgements_count() {
    lost_entry_is_found(Mistake::AcceptsLateMessages);
}

#[test]
fn a_lost_entry_is_found_if_a_replaced_server_votes_at_once() {
    lost_entry_is_found(Mistake::VotesAtOnce);
}

#[test]
fn a_lost_entry_is_found_if_a_replaced_server_ignores_the_commit_index() {
    lost_entry_is_found(Mistake::IgnoresCommitIndex);
}

/// Bounds in which a follower loses its log.
fn lost_logs() -> Bounds {
    let candidates = [true, false, true, false, false];
    let may_lose_data = [false, true, false, false, false];
    let bounds = Bounds { terms: 2, ticks: 0, proposals: 2, batches: 3, ..Bounds::default() };
    Bounds { losses: 1, candidates, may_lose_data, split_batches: true, ..bounds }
}

/// Bounds in which a voter of five loses its vote.
fn lost_votes() -> Bounds {
    let candidates = [true, true, false, false, false];
    let may_lose_data = [false, false, true, false, false];
    let bounds = Bounds { servers: 5, terms: 2, ticks: 0, proposals: 1, batches: 2, ..Bounds::default() };
    Bounds { losses: 1, candidates, may_lose_data, ..bounds }
}

/// S3 leads term 1 of five servers and has committed an entry, which all servers have.
fn one_entry_of_s3() -> Vec<PreludeStep> {
    use PreludeStep::{Campaign, Exchange, Lose, Propose};
    let exchanges = || [0, 1, 2, 4].map(|other| Exchange(3, other));
    [Campaign(3)].into_iter().chain(exchanges()).chain([Propose(3)]).chain(exchanges()).chain([Lose]).collect()
}

fn lost_entry_is_found(mistake: Mistake) {
    find_violation("Leader Completeness", Cluster::new(lost_logs()).after(two_entries()).with(mistake));
}

/// S0 leads term 1. All servers have its first entry, and S0 has sent its second one.
fn two_entries() -> Vec<PreludeStep> {
    use PreludeStep::{Campaign, Exchange, Lose, Propose};
    let first = [Campaign(0), Exchange(0, 1), Exchange(0, 2), Propose(0), Exchange(0, 1), Exchange(0, 2)];
    first.into_iter().chain([Lose, Propose(0)]).collect()
}

/// Figure 8 up to just after (b), with three servers. S0 led term 1, has an entry that no other server has, and
/// crashed. Then S2 led term 2 with the vote of S1, has another entry at the same index, and crashed. Both have
/// restarted, and their messages are lost.
fn figure_8_b() -> Vec<PreludeStep> {
    use PreludeStep::{Campaign, Crash, Exchange, Lose, Propose};
    let s0 = [Campaign(0), Exchange(0, 1), Propose(0), Crash(0)];
    let s2 = [Campaign(2), Campaign(2), Exchange(2, 1), Propose(2), Crash(2), Lose];
    s0.into_iter().chain(s2).collect()
}

/// Bounds that include the rest of Figure 8, (c) and (d). The correct node and the node with a mistake are explored
/// within the same bounds.
fn two_more_leaders() -> Bounds {
    Bounds { terms: 4, ticks: 0, proposals: 2, ..Bounds::default() }
}

/// S0 leads term 1 and has committed one entry. All servers have it and know that it is committed.
fn one_entry() -> Vec<PreludeStep> {
    use PreludeStep::{Campaign, Exchange, Lose, Propose, Tick};
    vec![
        Campaign(0),
        Exchange(0, 1),
        Exchange(0, 2),
        Propose(0),
        Exchange(0, 1),
        Exchange(0, 2),
        Tick(0),
        Exchange(0, 1),
        Exchange(0, 2),
        Lose,
    ]
}

/// Explores all states: every rule holds in every state, and every expected event occurs in some state.
fn explore_all(name: &str, cluster: Cluster) {
    let bounds = cluster.bounds;
    let begun = Instant::now();
    let checker = cluster.checker().threads(THREADS).spawn_bfs().join();
    report(name, &bounds, &checker, begun);
    checker.assert_properties();
}

/// Explores until a rule is broken, which must be `rule`. Prints the shortest path to it.
fn find_violation(rule: &'static str, cluster: Cluster) {
    let (bounds, mistake) = (cluster.bounds, cluster.mistake);
    let begun = Instant::now();
    let checker = cluster.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    report(&format!("mistake: {mistake:?}"), &bounds, &checker, begun);
    let broken: Vec<_> = checker.discoveries().into_keys().collect();
    assert!(broken.contains(&rule), "this mistake breaks {rule}: {broken:?}");
    let path = checker.discovery(rule).expect("it was found");
    for (state, action) in path.into_vec() {
        eprintln!("{state:?}");
        if let Some(action) = action {
            eprintln!("    {action:?}");
        }
    }
}

fn report(name: &str, bounds: &Bounds, checker: &impl Checker<Cluster>, begun: Instant) {
    let (unique, all, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    let line = format!(
        "{name}: {unique} states ({all} transitions, up to {depth} steps deep) in {:.1} s; {bounds:?}\n",
        begun.elapsed().as_secs_f64()
    );
    print(&line);
}

/// Prints a line. `eprintln` would not do, because the test runner captures its output.
fn print(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
}

/// "A leader is elected."
fn leader() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a leader is elected", |_, state| state.cores().any(|core| core.is_leader()))
}

fn leader_of_term_3() -> Property<Cluster> {
    Property::<Cluster>::sometimes("term 3 has a leader", |_, state| {
        state.cores().any(|core| core.is_leader() && core.current_term().0 == 3)
    })
}

fn voter_restarted() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a server that has voted for another server restarts", |_, state| {
        state.last.voter_restarted
    })
}

fn all_have_applied(entries: u64) -> Property<Cluster> {
    match entries {
        1 => Property::<Cluster>::sometimes("all have applied 1 entry", |_, state| {
            state.cores().all(|core| core.last_applied().0 == 1)
        }),
        2 => Property::<Cluster>::sometimes("all have applied 2 entries", |_, state| {
            state.cores().all(|core| core.last_applied().0 == 2)
        }),
        _ => unreachable!("there is no such test"),
    }
}

fn snapshot_installed() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a snapshot is installed", |_, state| state.last.snapshot_installed)
}

fn read_confirmed() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a read is confirmed", |_, state| state.last.read_confirmed)
}

fn read_lost() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a read is lost with its leadership", |_, state| state.last.read_lost)
}

fn log_truncated() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a log is truncated", |_, state| state.last.log_truncated)
}

fn caught_up() -> Property<Cluster> {
    Property::<Cluster>::sometimes("a replaced server has caught up", |_, state| state.last.caught_up)
}

fn earlier_term_committed() -> Property<Cluster> {
    Property::<Cluster>::sometimes("an entry of an earlier term is committed", |_, state| {
        state.history.has_committed_an_earlier_term()
    })
}

//! Verdicts and partial linearizations of small histories with known results, and the meaning of a budget.

use linearizability::{
    Model, Operation, Partition, PartitionExplanation, Verdict, kv,
    kv::Kind::{self, Append, Get, Put},
    register::{Access, History, ReadResult, Register},
};

use crate::synthetic::{self, Mistake, Store};

const BUDGET: u64 = 1_000_000;

/// A register that begins with 0, as in the examples of other checkers.
fn register(operations: &[(&str, i64, u64, u64)]) -> History {
    let mut history = vec![Operation { client: 9, call: 0, ret: 0, action: Access::Write(0) }];
    for (client, &(kind, value, call, ret)) in (0..).zip(operations) {
        let action = match kind {
            "put" => Access::Write(value),
            _ => Access::Read(ReadResult::Value(value)),
        };
        // One unit later than the first write, so that the first write comes first.
        history.push(Operation { client, call: call + 1, ret: ret + 1, action });
    }
    History::new(history)
}

fn key_value(operations: &[(u32, Kind, &str, &str, u64, u64)]) -> kv::History {
    let mut history = kv::History::new();
    for &(client, kind, key, value, call, ret) in operations {
        history.add(client, call, ret, kind, key, value);
    }
    history
}

#[test]
fn a_read_during_a_write_may_see_either_value() {
    let history = register(&[("put", 100, 0, 100), ("get", 100, 25, 75), ("get", 0, 30, 60)]);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Ok);
}

#[test]
fn a_read_after_a_new_value_cannot_see_the_old_one() {
    let history = register(&[("put", 200, 0, 100), ("get", 200, 10, 30), ("get", 0, 40, 90)]);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Illegal);
}

#[test]
fn operations_without_duration_are_ordered_by_time() {
    let history = register(&[("put", 100, 0, 100), ("get", 100, 25, 75), ("get", 0, 30, 30), ("get", 0, 30, 30)]);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Ok);
    let history = register(&[("put", 200, 0, 100), ("get", 200, 10, 10), ("get", 200, 10, 10), ("get", 0, 40, 90)]);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Illegal);
}

#[test]
fn intervals_that_touch_overlap() {
    let touching = key_value(&[(0, Put, "k", "v", 10, 20), (1, Get, "k", "", 20, 30)]);
    assert_eq!(touching.check(BUDGET).verdict, Verdict::Ok);
    let apart = key_value(&[(0, Put, "k", "v", 10, 20), (1, Get, "k", "", 21, 30)]);
    assert_eq!(apart.check(BUDGET).verdict, Verdict::Illegal);
}

#[test]
fn an_empty_history_is_linearizable() {
    assert_eq!(History::default().check(0).verdict, Verdict::Ok);
    assert_eq!(kv::History::new().check(0).verdict, Verdict::Ok);
    assert_eq!(linearizability::check(&Register, &[], 0).verdict, Verdict::Ok);
    let no_operations = [Partition { name: "k".to_owned(), operations: Vec::new() }];
    assert_eq!(linearizability::check(&Register, &no_operations, 1).verdict, Verdict::Ok);
    let explained = kv::History::new().explain(BUDGET);
    assert_eq!((explained.verdict, explained.partitions.len()), (Verdict::Ok, 0));
}

/// Two keys, of which `x` is illegal, with the partial linearizations that the search of Wing and Gong finds.
fn two_illegal_keys() -> kv::History {
    key_value(&[
        (0, Get, "x", "w", 0, 100),
        (1, Put, "x", "y", 5, 10),
        (2, Put, "x", "z", 0, 10),
        (1, Get, "x", "y", 20, 30),
        (1, Put, "x", "w", 35, 45),
        (4, Get, "y", "a", 50, 90),
        (5, Get, "x", "z", 25, 35),
        (3, Get, "x", "y", 30, 40),
        (2, Put, "y", "a", 55, 85),
    ])
}

#[test]
fn an_explanation_has_each_operations_longest_sequence() {
    let explained = two_illegal_keys().explain(BUDGET);
    assert_eq!(explained.verdict, Verdict::Illegal);
    let [x, y] = &explained.partitions[..] else { panic!("{} keys", explained.partitions.len()) };

    assert_eq!((x.name.as_str(), x.verdict), ("x", Verdict::Illegal));
    assert_eq!(x.linearizations, [vec![2, 1, 3, 6, 4, 0], vec![1, 2, 5]]);
    assert_eq!(x.states(&x.linearizations[0]), ["'z'", "'y'", "'y'", "'y'", "'w'", "'w'"]);
    assert_eq!(x.states(&x.linearizations[1]), ["'y'", "'z'", "'z'"]);
    assert_eq!(x.longest_containing(), [0, 0, 0, 0, 0, 1, 0].map(Some));
    assert_eq!(x.operations[3].description, "get('x') -> 'y'");
    assert_eq!(x.operations[4].description, "put('x', 'w')");
    assert_eq!((x.operations[5].client, x.operations[5].call, x.operations[5].ret), (5, 25, 35));

    // A Get of a value that is put after the Get's call and before its return. That is legal.
    assert_eq!((y.name.as_str(), y.verdict), ("y", Verdict::Ok));
    assert_eq!(y.linearizations, [vec![1, 0]]);
}

#[test]
fn states_end_before_an_illegal_operation() {
    let explained = two_illegal_keys().explain(BUDGET);
    let x = &explained.partitions[0];
    assert_eq!(x.initial, "''");
    assert_eq!(x.states(&[2, 1, 5, 3]), ["'z'", "'y'"]);
    assert_eq!(x.states(&[1, 99]), ["'y'"]);
    assert!(x.states(&[]).is_empty());
}

#[test]
fn a_check_names_one_illegal_key_an_explanation_all() {
    let history = key_value(&[
        (0, Get, "a", "1", 0, 1),
        (0, Put, "b", "2", 2, 3),
        (0, Get, "b", "2", 4, 5),
        (0, Get, "c", "3", 6, 7),
    ]);
    let checked = history.check(BUDGET);
    assert_eq!((checked.verdict, checked.illegal.len()), (Verdict::Illegal, 1));
    let explained = history.explain(BUDGET);
    let verdicts: Vec<_> = explained.partitions.iter().map(|part| (part.name.as_str(), part.verdict)).collect();
    assert_eq!(verdicts, [("a", Verdict::Illegal), ("b", Verdict::Ok), ("c", Verdict::Illegal)]);
}

#[test]
fn a_register_has_explanations_too() {
    let history = register(&[("put", 200, 0, 100), ("get", 200, 10, 30), ("get", 0, 40, 90)]);
    let explained = history.explain(BUDGET);
    let [all] = &explained.partitions[..] else { panic!("one register") };
    assert_eq!(all.verdict, Verdict::Illegal);
    assert_eq!(all.initial, "absent");
    assert_eq!(all.linearizations, [vec![0, 1, 2]]);
    assert_eq!(all.states(&all.linearizations[0]), ["0", "200", "200"]);
    assert_eq!(all.operations[2].description, "read() -> 200");
    // The longest sequence ends where the stale read does not fit.
    assert_eq!(all.longest_containing(), [Some(0), Some(0), Some(0), None]);
}

/// Twenty concurrent writes, and a read of a value that no client wrote. The search has to try 2^20 sets of writes,
/// because only the read after them shows that there is no linearization.
fn hard() -> Vec<Operation<Access>> {
    let write = |client| Operation { client, call: 0, ret: 10, action: Access::Write(i64::from(client)) };
    let mut operations: Vec<_> = (0..20).map(write).collect();
    operations.push(Operation { client: 20, call: 20, ret: 30, action: Access::Read(ReadResult::Value(-1)) });
    operations
}

/// Many operations one after the other, of which the last is wrong.
fn easy_but_long() -> Vec<Operation<Access>> {
    let write = |time| Operation { client: 0, call: time, ret: time, action: Access::Write(1) };
    let mut operations: Vec<_> = (0..1000).map(write).collect();
    operations.push(Operation { client: 0, call: 1000, ret: 1000, action: Access::Read(ReadResult::Value(2)) });
    operations
}

#[test]
fn a_hard_partition_does_not_hide_an_illegal_easy_one() {
    let hard = Partition { name: "hard".to_owned(), operations: hard() };
    let easy = Partition { name: "easy".to_owned(), operations: easy_but_long() };
    assert_eq!(linearizability::check(&Register, std::slice::from_ref(&hard), 20_000).verdict, Verdict::Unknown);
    for history in [[hard.clone(), easy.clone()], [easy, hard]] {
        let checked = linearizability::check(&Register, &history, 20_000);
        assert_eq!((checked.verdict, checked.illegal), (Verdict::Illegal, vec!["easy".to_owned()]));
        assert_eq!(checked.undecided, ["hard"]);
        let explained = linearizability::explain(&Register, &history, 20_000);
        assert_eq!(explained.verdict, Verdict::Illegal);
    }
}

#[test]
fn a_spent_budget_leaves_the_verdict_unknown() {
    let history = [Partition { name: String::new(), operations: hard() }];
    let mut last_steps = 0;
    for budget in [0, 1, 1_000, 100_000] {
        let checked = linearizability::check(&Register, &history, budget);
        assert_eq!(checked.verdict, Verdict::Unknown);
        assert_eq!(checked, linearizability::check(&Register, &history, budget));
        assert!(checked.steps >= budget && checked.steps <= budget + 21, "{} steps of {budget}", checked.steps);
        assert!(checked.steps > last_steps || budget == 0);
        last_steps = checked.steps;
    }

    let store = Store { operations_per_client: 100, strings: Some(2), puts: 50, ..Store::ONE_KEY };
    let history = synthetic::history(store, 0);
    let checked = history.check(20_000);
    assert_eq!(checked.verdict, Verdict::Unknown);
    assert_eq!(checked, history.check(20_000));
    assert_eq!((checked.illegal.len(), checked.undecided.len()), (0, 1));
}

fn total_length(explanation: &PartitionExplanation) -> usize {
    explanation.linearizations.iter().map(Vec::len).sum()
}

#[test]
fn an_explanation_of_a_long_history_stays_small() {
    let store = Store { operations_per_client: 500, ..Store::ONE_KEY };
    let legal = synthetic::history(store, 0).explain(kv::BUDGET);
    assert_eq!(legal.verdict, Verdict::Ok);
    assert_eq!(total_length(&legal.partitions[0]), 10_000);

    let history = synthetic::history(Store { mistake: Some(Mistake::StaleRead), ..store }, 0);
    let illegal = history.explain(kv::BUDGET);
    assert_eq!(illegal.verdict, Verdict::Illegal);
    let explanation = &illegal.partitions[0];
    assert!(explanation.linearizations.len() <= 100 && total_length(explanation) <= (1 << 20) + 10_000);
    let longest = &explanation.linearizations[0];
    assert!(longest.len() > 4_000, "the mistake is in the middle, and {} operations come before it", longest.len());
    let states = explanation.states(longest);
    assert_eq!(states.len(), longest.len());
    assert!(states.iter().all(|state| state.chars().count() < 100));
}

#[test]
fn a_history_returns_the_added_operations() {
    let added = [
        (3, Append, "k", "one ", 1, 2),
        (4, Get, "k", "one ", 3, 4),
        (5, Put, "l", "", 5, 5),
        (4, Get, "k", "one two", 6, 7),
        (4, Get, "k", "one thrée", 8, 9),
        (4, Get, "l", "", 8, 9),
        (4, Get, "k", "one thrèe", 8, 9),
    ];
    let history = key_value(&added);
    assert_eq!((history.len(), history.is_empty()), (7, false));
    let found: Vec<_> =
        history.operations().map(|one| (one.client, one.kind, one.key, one.value(), one.call, one.ret)).collect();
    let added: Vec<_> = added
        .iter()
        .map(|&(client, kind, key, value, call, ret)| (client, kind, key, value.into(), call, ret))
        .collect();
    assert_eq!(found, added);
}

/// A model with partitions by name, which is how other objects are checked.
#[derive(Clone)]
struct Counter;

impl Model for Counter {
    type Action = (String, u32);
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    /// Adds one and returns the sum.
    fn step(&self, state: &u32, (_, sum): &(String, u32)) -> Option<u32> {
        (state + 1 == *sum).then_some(*sum)
    }

    fn describe_action(&self, (name, sum): &(String, u32)) -> String {
        format!("{name} -> {sum}")
    }

    fn describe_state(&self, state: &u32) -> String {
        state.to_string()
    }
}

#[test]
fn any_object_can_be_checked_by_partition() {
    let one = |name: &str, sum, call, ret| Operation { client: 0, call, ret, action: (name.to_owned(), sum) };
    let mut operations = vec![one("b", 1, 0, 9), one("a", 2, 0, 5), one("a", 1, 3, 9), one("b", 2, 1, 8)];
    let parts = Partition::group_by(operations.clone(), |(name, _)| name);
    assert_eq!(parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(linearizability::check(&Counter, &parts, BUDGET).verdict, Verdict::Ok);
    operations.push(one("b", 3, 0, 0));
    let parts = Partition::group_by(operations, |(name, _)| name);
    assert_eq!(linearizability::check(&Counter, &parts, BUDGET).illegal, ["b"]);
}

//! The checker compared with one that tries every order, on tens of thousands of small histories. Their alphabets are
//! so small that values can be produced in many ways, which is where a wrong shortcut would show.

use linearizability::{
    Model, Operation, Partition, PartitionExplanation, Verdict, kv,
    kv::Kind,
    register::{Access, ReadResult, Register},
};
use proptest::{prelude::*, test_runner::Config};

const BUDGET: u64 = 1_000_000;

/// Whether some order of the operations is legal. It tries all orders and remembers nothing.
fn linearizable<M: Model>(model: &M, operations: &[Operation<M::Action>]) -> bool {
    fn can_complete<M: Model>(model: &M, state: &M::State, left: &[&Operation<M::Action>]) -> bool {
        let Some(first_return) = left.iter().map(|operation| operation.ret).min() else { return true };
        left.iter().enumerate().filter(|(_, operation)| operation.call <= first_return).any(|(index, operation)| {
            let Some(next) = model.step(state, &operation.action) else { return false };
            let mut left = left.to_vec();
            left.remove(index);
            can_complete(model, &next, &left)
        })
    }
    can_complete(model, &model.initial(), &operations.iter().collect::<Vec<_>>())
}

/// One key of the store, as simply as possible.
#[derive(Clone)]
struct Value;

impl Model for Value {
    type Action = (Kind, String);
    type State = String;

    fn initial(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, (kind, value): &(Kind, String)) -> Option<String> {
        match kind {
            Kind::Get => (state == value).then(|| state.clone()),
            Kind::Put => Some(value.clone()),
            Kind::Append => Some(format!("{state}{value}")),
        }
    }

    fn is_read(&self, (kind, _): &(Kind, String)) -> bool {
        *kind == Kind::Get
    }

    fn describe_action(&self, operation: &(Kind, String)) -> String {
        format!("{operation:?}")
    }

    fn describe_state(&self, state: &String) -> String {
        state.clone()
    }
}

/// A random history that is mostly linearizable, or nearly: the operations take effect one after the other, each
/// somewhere in its interval; then some operations swap their intervals.
fn history<T: Clone + std::fmt::Debug + 'static, S>(
    asked: impl Strategy<Value = T> + 'static,
    initial: S,
    effect: fn(&mut S, &T) -> T,
    operations: usize,
) -> impl Strategy<Value = Vec<Operation<T>>>
where
    S: Clone + std::fmt::Debug + 'static,
{
    let one = (asked, 0_u64..6, 0_u64..6, prop::bool::weighted(0.3));
    (prop::collection::vec(one, 0..=operations), prop::collection::vec(any::<prop::sample::Index>(), 0..6)).prop_map(
        move |(drawn, swaps)| {
            let mut state = initial.clone();
            let mut operations: Vec<Operation<T>> = Vec::new();
            for (index, (asked, before, after, long)) in drawn.into_iter().enumerate() {
                let point = 2 * index as u64 + 6;
                let stretch = if long { 3 } else { 1 };
                let (call, ret) = (point.saturating_sub(before * stretch), point + after * stretch);
                let action = effect(&mut state, &asked);
                operations.push(Operation { client: index as u32, call, ret, action });
            }
            // Two operations swap their intervals, which makes some histories illegal.
            for swap in swaps {
                if operations.len() > 1 {
                    let at = swap.index(operations.len() - 1);
                    let (call, ret) = (operations[at].call, operations[at].ret);
                    (operations[at].call, operations[at].ret) = (operations[at + 1].call, operations[at + 1].ret);
                    (operations[at + 1].call, operations[at + 1].ret) = (call, ret);
                }
            }
            operations
        },
    )
}

fn value_history(
    pieces: &'static [&'static str],
    operations: usize,
) -> impl Strategy<Value = Vec<Operation<(Kind, String)>>> {
    let kind = prop_oneof![3 => Just(Kind::Append), 1 => Just(Kind::Put), 3 => Just(Kind::Get)];
    let piece = prop::sample::select(pieces).prop_map(str::to_owned);
    let wrong = prop::option::weighted(0.08, prop::sample::select(pieces));
    let asked = (kind, piece, wrong).prop_map(|(kind, piece, wrong)| match (kind, wrong) {
        // A Get that returns a drawn value.
        (Kind::Get, Some(wrong)) => (Kind::Get, format!("!{wrong}")),
        (kind, _) => (kind, piece),
    });
    history(
        asked,
        String::new(),
        |state, (kind, value)| match kind {
            Kind::Get => (Kind::Get, value.strip_prefix('!').unwrap_or(state).to_owned()),
            Kind::Put => {
                state.clone_from(value);
                (Kind::Put, value.clone())
            }
            Kind::Append => {
                state.push_str(value);
                (Kind::Append, value.clone())
            }
        },
        operations,
    )
}

fn register_history() -> impl Strategy<Value = Vec<Operation<Access>>> {
    let asked = prop_oneof![
        Just(Access::Read(ReadResult::Absent)),
        Just(Access::Read(ReadResult::Unknown)),
        (0_i64..3).prop_map(|value| Access::Read(ReadResult::Value(value))),
        (0_i64..3).prop_map(Access::Write),
        (0_i64..3, 0_i64..3, prop::option::of(Just(true))).prop_map(|(from, to, swapped)| Access::CompareAndSet {
            from,
            to,
            swapped
        }),
    ];
    history(
        (asked, prop::bool::weighted(0.05)),
        None,
        |state: &mut Option<i64>, &(asked, wrong)| {
            let done = match asked {
                Access::Read(ReadResult::Value(_)) if !wrong => {
                    Access::Read(state.map_or(ReadResult::Absent, ReadResult::Value))
                }
                Access::Read(_) => asked,
                Access::Write(value) => {
                    *state = Some(value);
                    asked
                }
                Access::CompareAndSet { from, to, swapped } => {
                    let swaps = *state == Some(from);
                    if swaps {
                        *state = Some(to);
                    }
                    Access::CompareAndSet { from, to, swapped: swapped.map(|_| swaps != wrong) }
                }
            };
            (done, wrong)
        },
        7,
    )
    .prop_map(|operations| {
        let without_mark =
            |Operation { client, call, ret, action: (action, _) }| Operation { client, call, ret, action };
        operations.into_iter().map(without_mark).collect()
    })
}

fn verdict(linearizable: bool) -> Verdict {
    if linearizable { Verdict::Ok } else { Verdict::Illegal }
}

/// Asserts that every sequence of an explanation is a legal prefix of an order in time, and complete if the history is
/// linearizable.
fn assert_sound<T>(operations: &[Operation<T>], explanation: &PartitionExplanation) {
    if explanation.verdict == Verdict::Ok {
        assert_eq!(explanation.linearizations.len(), 1);
        assert_eq!(explanation.linearizations[0].len(), operations.len());
    }
    for (index, sequence) in explanation.linearizations.iter().enumerate() {
        assert_eq!(explanation.states(sequence).len(), sequence.len());
        assert!(!explanation.linearizations[..index].contains(sequence), "{sequence:?} occurs twice");
        let mut left: Vec<usize> = (0..operations.len()).collect();
        for &next in sequence {
            let first_return = left.iter().map(|&operation| operations[operation].ret).min().unwrap();
            assert!(operations[next].call <= first_return, "operation {next} comes too early in {sequence:?}");
            left.retain(|&operation| operation != next);
        }
    }
    let lengths: Vec<usize> = explanation.linearizations.iter().map(Vec::len).collect();
    assert!(lengths.is_sorted_by(|a, b| a >= b), "longest first");
}

fn assert_agreement_on_values(operations: &[Operation<(Kind, String)>]) -> bool {
    let expected = linearizable(&Value, operations);
    let mut history = kv::History::new();
    for Operation { client, call, ret, action: (kind, value) } in operations {
        history.add(*client, *call, *ret, *kind, "k", value);
    }
    for (recorded, operation) in history.operations().zip(operations) {
        assert_eq!((recorded.kind, recorded.value().into_owned()), operation.action);
    }
    assert_eq!(history.check(BUDGET).verdict, verdict(expected));
    let explained = history.explain(BUDGET);
    assert_eq!(explained.verdict, verdict(expected));
    if let [explanation] = &explained.partitions[..] {
        assert_sound(operations, explanation);
    }
    let generic = linearizability::check(&Value, &Partition::whole(operations.to_vec()), BUDGET);
    assert_eq!(generic.verdict, verdict(expected));
    expected
}

/// The number of histories that each property is tested on: `PROPTEST_CASES`, or `default`.
fn cases(default: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn checkers_agree_on_values_of_one_letter(operations in value_history(&["", "a", "aa"], 8)) {
        assert_agreement_on_values(&operations);
    }

    #[test]
    fn checkers_agree_on_values_with_ambiguous_pieces(operations in value_history(&["a", "b", "ab", "ba", "aba"], 8)) {
        assert_agreement_on_values(&operations);
    }

    #[test]
    fn checkers_agree_on_values_with_distinct_pieces(
        operations in value_history(&["a", "b", "c", "d", "e", "f", "g", "h", "ab", ""], 9)
    ) {
        assert_agreement_on_values(&operations);
    }

    #[test]
    fn checkers_agree_on_registers(operations in register_history()) {
        let expected = linearizable(&Register, &operations);
        let partitions = Partition::whole(operations.clone());
        prop_assert_eq!(linearizability::check(&Register, &partitions, BUDGET).verdict, verdict(expected));
        let explained = linearizability::explain(&Register, &partitions, BUDGET);
        prop_assert_eq!(explained.verdict, verdict(expected));
        if let [explanation] = &explained.partitions[..] {
            assert_sound(&operations, explanation);
        }
    }
}

/// The properties above would mean nothing if all histories had the same verdict.
#[test]
fn random_histories_have_both_verdicts() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let strategy = value_history(&["a", "b", "ab", "ba", "aba"], 8);
    let legal =
        (0..1000).filter(|_| assert_agreement_on_values(&strategy.new_tree(&mut runner).unwrap().current())).count();
    assert!((100..=900).contains(&legal), "{legal} of 1000 histories are linearizable");
}

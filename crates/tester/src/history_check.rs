//! Check of the clients' history after a run: whether it is linearizable, and if not, which operations to look at.

use std::collections::BTreeMap;

use linearizability::kv::BUDGET;
use linearizability::{DescribedOperation, PartitionExplanation, Verdict};
use record::{EventKind, Linearizable};

use crate::scenario::ClientHistory;
use diagnosis::Rule;

/// Keys whose linearizations the record gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrdersToRecord {
    /// Keys that are not linearizable or not decided.
    OfUnverifiedKeys,
    /// All keys.
    OfAllKeys,
}

/// Maximum number of recorded orders of one key.
const ORDERS_MAX: usize = 20;

/// Maximum number of operations in all recorded orders of one key; the longest order is always recorded.
const ORDERED_OPERATIONS_MAX: usize = 200_000;

/// Maximum number of operations that are named as unable to come next.
const NAMED_MAX: usize = 3;

/// Possible causes if a history is not linearizable.
const CAUSES: [Rule; 7] = [
    Rule::RestoreSnapshotOnStart,
    Rule::InstallResetsService,
    Rule::ReadsNeedQuorum,
    Rule::ExecuteOnce,
    Rule::ReplyToOwnEntryOnly,
    Rule::RetryUntilReply,
    Rule::UniqueClientId,
];

/// Result of a history check.
#[derive(Debug)]
pub(crate) struct HistoryCheck {
    pub(crate) verdict: Verdict,
    /// Description of the problem; empty if the history is linearizable.
    pub(crate) text: String,
    /// Possible causes, the most likely first.
    pub(crate) likely: Vec<Rule>,
    /// Events for the record.
    pub(crate) events: Vec<EventKind>,
}

/// Checks the history of the clients.
pub(crate) fn check_history(client_history: &ClientHistory, orders: OrdersToRecord) -> HistoryCheck {
    let checked = client_history.history.check(BUDGET);
    if checked.verdict == Verdict::Ok && orders == OrdersToRecord::OfUnverifiedKeys {
        return HistoryCheck { verdict: Verdict::Ok, text: String::new(), likely: Vec::new(), events: Vec::new() };
    }
    let explained = client_history.history.explain(BUDGET);
    let with = |verdict| explained.partitions.iter().filter(move |key| key.verdict == verdict);
    let text = match checked.verdict {
        Verdict::Ok => String::new(),
        Verdict::Illegal => {
            let illegal: Vec<&PartitionExplanation> = with(Verdict::Illegal).collect();
            let candidates = illegal.iter().filter_map(|key| first_unexplained(key));
            let first_unexplained = candidates.min_by_key(|operation| operation.ret);
            let first_unexplained = first_unexplained
                .map(|operation| format!("; the first result that no order explains: {}", describe(operation)));
            let details: String = illegal.iter().map(|key| format!("\n{}", describe_longest_order(key))).collect();
            format!(
                "the history of the clients is not linearizable: no order of the operations on {} explains all \
                 results{}{details}",
                keys(&illegal),
                first_unexplained.unwrap_or_default()
            )
        }
        Verdict::Unknown => format!(
            "the checker gave up after {} steps: it cannot decide whether the history of {} is linearizable",
            checked.steps,
            keys(&with(Verdict::Unknown).collect::<Vec<_>>())
        ),
    };
    let mut events = Vec::new();
    let mut numbers = numbers_by_key(client_history);
    for key in &explained.partitions {
        let numbers = numbers.remove(key.name.as_str()).unwrap_or_default();
        if key.verdict != Verdict::Ok || orders == OrdersToRecord::OfAllKeys {
            events.push(linearized_event(key, &numbers));
        }
    }
    let likely = if checked.verdict == Verdict::Illegal { CAUSES.to_vec() } else { Vec::new() };
    HistoryCheck { verdict: checked.verdict, text, likely, events }
}

/// Returns the numbers of the operations on each key, in the order of the history. An explanation has its operations in
/// the same order.
fn numbers_by_key(client_history: &ClientHistory) -> BTreeMap<&str, Vec<u64>> {
    let mut numbers = BTreeMap::<&str, Vec<u64>>::new();
    for (operation, &number) in client_history.history.operations().zip(&client_history.numbers) {
        numbers.entry(operation.key).or_default().push(number);
    }
    numbers
}

/// Returns the event that records the result for a key.
fn linearized_event(key: &PartitionExplanation, numbers: &[u64]) -> EventKind {
    let mut left = ORDERED_OPERATIONS_MAX;
    let mut orders = Vec::new();
    for order in key.linearizations.iter().take(ORDERS_MAX) {
        if order.len() > left && !orders.is_empty() {
            break;
        }
        left = left.saturating_sub(order.len());
        orders.push(order.iter().map(|&operation| numbers[operation]).collect());
    }
    let linearizable = match key.verdict {
        Verdict::Ok => Linearizable::Yes,
        Verdict::Illegal => Linearizable::No,
        Verdict::Unknown => Linearizable::Unknown,
    };
    EventKind::HistoryChecked { key: key.name.clone(), linearizable, orders }
}

/// Formats `key '3'`, or `keys '3', '5'`.
fn keys(keys: &[&PartitionExplanation]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("'{}'", key.name)).collect();
    format!("{} {}", if quoted.len() == 1 { "key" } else { "keys" }, quoted.join(", "))
}

/// Returns the first operation of a key whose result no order explains, if there is exactly one. This operation is in
/// none of the orders found, and every other such operation was called after its reply, so it had to come later.
fn first_unexplained(key: &PartitionExplanation) -> Option<&DescribedOperation> {
    let found = key.longest_containing();
    let in_none =
        || key.operations.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(operation, _)| operation);
    let first = in_none().min_by_key(|operation| operation.ret)?;
    let alone = in_none().filter(|operation| operation.call <= first.ret).count() == 1;
    alone.then_some(first)
}

/// Describes the longest order of a key's operations, and the operations that cannot come next.
fn describe_longest_order(key: &PartitionExplanation) -> String {
    let longest = key.linearizations.first().map_or(&[][..], Vec::as_slice);
    let states = key.states(longest);
    let value = states.last().unwrap_or(&key.initial);
    let mut ordered = vec![false; key.operations.len()];
    longest.iter().for_each(|&operation| ordered[operation] = true);
    let left = || key.operations.iter().zip(&ordered).filter(|(_, ordered)| !**ordered).map(|(operation, _)| operation);
    // An operation that was called after another one's reply has to come after that one.
    let first_answer = left().map(|operation| operation.ret).min().unwrap_or(u64::MAX);
    let mut next: Vec<&DescribedOperation> = left().filter(|operation| operation.call <= first_answer).collect();
    next.sort_by_key(|operation| operation.ret);
    let named: Vec<String> = next.iter().take(NAMED_MAX).map(|operation| describe(operation)).collect();
    let more = next.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let (length, all) = (longest.len(), key.operations.len());
    let (value, named) = (value.as_str(), named.join("; "));
    format!(
        "key '{}': {length} of its {all} operations can be put in order, and its value is then {value}; none of the \
         operations that could come next fits that value: {named}{more}",
        key.name
    )
}

/// Formats `client 3, get('0') -> 'x 0 0 y', from 1.2034 s to 1.2101 s`.
fn describe(operation: &DescribedOperation) -> String {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let DescribedOperation { client, call, ret, description } = operation;
    format!("client {client}, {description}, from {:.4} s to {:.4} s", seconds(*call), seconds(*ret))
}

#[cfg(test)]
mod tests {
    use linearizability::kv::{History, Kind};

    use super::*;

    /// Returns a history of operations (client, call, return, kind, key, value), numbered from 100.
    fn client_history(operations: &[(u32, u64, u64, Kind, &str, &str)]) -> ClientHistory {
        let mut history = History::new();
        for &(client, call, ret, kind, key, value) in operations {
            history.add(client, call * 1_000_000, ret * 1_000_000, kind, key, value);
        }
        ClientHistory { history, numbers: (100..).take(operations.len()).collect() }
    }

    /// Returns a history in which key 'a' is linearizable, and client 2 reads a replaced value of key 'b'.
    fn stale_read() -> ClientHistory {
        client_history(&[
            (0, 0, 10, Kind::Put, "a", "1"),
            (1, 0, 10, Kind::Put, "b", "old"),
            (0, 11, 20, Kind::Get, "a", "1"),
            (1, 11, 20, Kind::Put, "b", "new"),
            (2, 30, 40, Kind::Get, "b", "old"),
            (1, 50, 60, Kind::Get, "b", "new"),
        ])
    }

    #[test]
    fn the_text_of_a_stale_read_names_key_client_and_time() {
        let result = check_history(&stale_read(), OrdersToRecord::OfUnverifiedKeys);
        assert_eq!(result.verdict, Verdict::Illegal);
        assert_eq!(
            result.text,
            "the history of the clients is not linearizable: no order of the operations on key 'b' explains all \
             results; the first result that no order explains: client 2, get('b') -> 'old', from 0.0300 s to 0.0400 \
             s\nkey 'b': 2 of its 4 operations can be put in order, and its value is then 'new'; none of the \
             operations that could come next fits that value: client 2, get('b') -> 'old', from 0.0300 s to 0.0400 s"
        );
    }

    #[test]
    fn linearizations_are_recorded_as_operation_numbers() {
        let events = check_history(&stale_read(), OrdersToRecord::OfUnverifiedKeys).events;
        let [EventKind::HistoryChecked { key, linearizable, orders }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((key.as_str(), *linearizable), ("b", Linearizable::No));
        assert_eq!(orders[0], [101, 103]);
        let all = check_history(&stale_read(), OrdersToRecord::OfAllKeys).events;
        let yes = EventKind::HistoryChecked {
            key: "a".to_string(),
            linearizable: Linearizable::Yes,
            orders: vec![vec![100, 102]],
        };
        assert_eq!(all[0], yes);
        assert_eq!(all[1], events[0]);
    }

    #[test]
    fn of_two_contradicting_results_neither_is_called_the_first() {
        // Each of the two readers alone could be right about which of two concurrent writes came last.
        let client_history = client_history(&[
            (0, 0, 10, Kind::Put, "k", "0"),
            (1, 0, 10, Kind::Put, "k", "1"),
            (2, 20, 40, Kind::Get, "k", "0"),
            (3, 20, 40, Kind::Get, "k", "1"),
        ]);
        let text = check_history(&client_history, OrdersToRecord::OfUnverifiedKeys).text;
        assert!(!text.contains("the first result that no order explains"), "{text}");
        assert!(text.contains("key 'k': 3 of its 4 operations can be put in order"), "{text}");
    }

    #[test]
    fn a_linearizable_history_has_no_text_and_optional_orders() {
        let fine = client_history(&[(0, 0, 10, Kind::Put, "k", "0"), (1, 20, 30, Kind::Get, "k", "0")]);
        let result = check_history(&fine, OrdersToRecord::OfUnverifiedKeys);
        assert_eq!((result.verdict, result.text.as_str(), result.events.len()), (Verdict::Ok, "", 0));
        assert_eq!(check_history(&fine, OrdersToRecord::OfAllKeys).events.len(), 1);
    }

    #[test]
    fn many_long_orders_are_cut_but_the_longest_is_kept() {
        let numbers: Vec<u64> = (0..ORDERED_OPERATIONS_MAX as u64 + 10).collect();
        let one = client_history(&[(0, 0, 1, Kind::Put, "k", "")]);
        let mut explanation = one.history.explain(BUDGET).partitions.remove(0);
        explanation.linearizations = vec![(0..numbers.len()).collect(), vec![0]];
        let EventKind::HistoryChecked { orders, .. } = linearized_event(&explanation, &numbers) else {
            panic!("the event has another kind")
        };
        assert_eq!(orders, std::slice::from_ref(&numbers));
        explanation.linearizations = vec![vec![0]; ORDERS_MAX + 1];
        let EventKind::HistoryChecked { orders, .. } = linearized_event(&explanation, &numbers) else {
            panic!("the event has another kind")
        };
        assert_eq!(orders.len(), ORDERS_MAX);
    }
}

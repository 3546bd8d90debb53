//! What a run's clients saw, judged when it is over: whether it is linearizable, and if not, what a learner has to look at.

use std::collections::BTreeMap;

use linearizability::kv::BUDGET;
use linearizability::{Described, Explanation, Verdict};
use record::{EventKind, Legal};

use crate::diagnosis::Rule;
use crate::scenario::ClientHistory;

/// Of which keys the record gets the orders that the checker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrdersToRecord {
    /// Of those that are not linearizable, or not decided.
    OfUnverifiedKeys,
    /// Of all.
    OfAllKeys,
}

/// How many orders of a key are recorded at most.
const ORDERS_MAX: usize = 20;

/// How many operations all recorded orders of a key have at most, but for the longest order, which is always there.
const ORDERED_OPERATIONS_MAX: usize = 200_000;

/// How many operations that cannot come next are named.
const NAMED_MAX: usize = 3;

/// What may be the cause if a history is not linearizable.
const CAUSES: [Rule; 7] = [
    Rule::RestoreSnapshotOnStart,
    Rule::InstallResetsService,
    Rule::ReadsNeedQuorum,
    Rule::ExecuteOnce,
    Rule::ReplyToOwnEntryOnly,
    Rule::RetryUntilReply,
    Rule::UniqueClientId,
];

/// What was found.
#[derive(Debug)]
pub(crate) struct HistoryCheck {
    pub(crate) verdict: Verdict,
    /// What is wrong; nothing if the history is linearizable.
    pub(crate) text: String,
    /// What may be the cause of that, the likeliest first.
    pub(crate) likely: Vec<Rule>,
    /// For the record.
    pub(crate) events: Vec<EventKind>,
}

/// Judges what clients asked and were answered.
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
            let illegal: Vec<&Explanation> = with(Verdict::Illegal).collect();
            let culprits = illegal.iter().filter_map(|key| first_unexplained(key));
            let first_unexplained = culprits.min_by_key(|operation| operation.ret);
            let first_unexplained =
                first_unexplained.map(|operation| format!("; the first answer that none explains: {}", describe(operation)));
            let details: String = illegal.iter().map(|key| format!("\n{}", describe_longest_order(key))).collect();
            format!(
                "the history of the clients is not linearizable: no order of the operations on {} explains all answers{}{details}",
                keys(&illegal),
                first_unexplained.unwrap_or_default()
            )
        }
        Verdict::Unknown => format!(
            "the checker gave up after {} steps: it cannot say whether the history of {} is linearizable",
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

/// The numbers of the operations on each key, in the order of the history: that of an explanation's operations.
fn numbers_by_key(client_history: &ClientHistory) -> BTreeMap<&str, Vec<u64>> {
    let mut numbers = BTreeMap::<&str, Vec<u64>>::new();
    for (operation, &number) in client_history.history.operations().zip(&client_history.numbers) {
        numbers.entry(operation.key).or_default().push(number);
    }
    numbers
}

/// What was found about a key, for the record.
fn linearized_event(key: &Explanation, numbers: &[u64]) -> EventKind {
    let mut left = ORDERED_OPERATIONS_MAX;
    let mut orders = Vec::new();
    for order in key.linearizations.iter().take(ORDERS_MAX) {
        if order.len() > left && !orders.is_empty() {
            break;
        }
        left = left.saturating_sub(order.len());
        orders.push(order.iter().map(|&operation| numbers[operation]).collect());
    }
    let legal = match key.verdict {
        Verdict::Ok => Legal::Yes,
        Verdict::Illegal => Legal::No,
        Verdict::Unknown => Legal::Unknown,
    };
    EventKind::Linearized { key: key.name.clone(), legal, orders }
}

/// `key '3'`, or `keys '3', '5'`
fn keys(keys: &[&Explanation]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("'{}'", key.name)).collect();
    format!("{} {}", if quoted.len() == 1 { "key" } else { "keys" }, quoted.join(", "))
}

/// The first operation of a key whose answer no order explains, if there is one: it is in no order that was found, and
/// what else is in none was called when that one had been answered, so that it had to come later.
fn first_unexplained(key: &Explanation) -> Option<&Described> {
    let found = key.largest();
    let in_none =
        || key.operations.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(operation, _)| operation);
    let first = in_none().min_by_key(|operation| operation.ret)?;
    let alone = in_none().filter(|operation| operation.call <= first.ret).count() == 1;
    alone.then_some(first)
}

/// How far the longest order of a key's operations gets, and what cannot come next.
fn describe_longest_order(key: &Explanation) -> String {
    let longest = key.linearizations.first().map_or(&[][..], Vec::as_slice);
    let states = key.states(longest);
    let value = states.last().unwrap_or(&key.initial);
    let mut ordered = vec![false; key.operations.len()];
    longest.iter().for_each(|&operation| ordered[operation] = true);
    let left = || key.operations.iter().zip(&ordered).filter(|(_, ordered)| !**ordered).map(|(operation, _)| operation);
    // What was called after another was answered has to come after that one.
    let first_answer = left().map(|operation| operation.ret).min().unwrap_or(u64::MAX);
    let mut next: Vec<&Described> = left().filter(|operation| operation.call <= first_answer).collect();
    next.sort_by_key(|operation| operation.ret);
    let named: Vec<String> = next.iter().take(NAMED_MAX).map(|operation| describe(operation)).collect();
    let more = next.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let (length, all) = (longest.len(), key.operations.len());
    let (value, named) = (value.as_str(), named.join("; "));
    format!(
        "key '{}': {length} of its {all} operations can be put in order, and its value is then {value}; what would have to \
         come next does not fit that: {named}{more}",
        key.name
    )
}

/// `client 3, get('0') -> 'x 0 0 y', from 1.2034 s to 1.2101 s`
fn describe(operation: &Described) -> String {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let Described { client, call, ret, description } = operation;
    format!("client {client}, {description}, from {:.4} s to {:.4} s", seconds(*call), seconds(*ret))
}

#[cfg(test)]
mod tests {
    use linearizability::kv::{History, Kind};

    use super::*;

    /// Operations of clients: client, call, return, kind, key, value; numbered from 100 on.
    fn client_history(operations: &[(u32, u64, u64, Kind, &str, &str)]) -> ClientHistory {
        let mut history = History::new();
        for &(client, call, ret, kind, key, value) in operations {
            history.add(client, call * 1_000_000, ret * 1_000_000, kind, key, value);
        }
        ClientHistory { history, numbers: (100..).take(operations.len()).collect() }
    }

    /// Key 'a' is fine; on key 'b' client 2 reads what had been replaced.
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
    fn the_sentence_on_a_stale_read_names_the_key_the_client_the_operation_and_the_time() {
        let result = check_history(&stale_read(), OrdersToRecord::OfUnverifiedKeys);
        assert_eq!(result.verdict, Verdict::Illegal);
        assert_eq!(
            result.text,
            "the history of the clients is not linearizable: no order of the operations on key 'b' explains all answers; \
             the first answer that none explains: client 2, get('b') -> 'old', from 0.0300 s to 0.0400 s\n\
             key 'b': 2 of its 4 operations can be put in order, and its value is then 'new'; what would have to come next \
             does not fit that: client 2, get('b') -> 'old', from 0.0300 s to 0.0400 s"
        );
    }

    #[test]
    fn what_the_checker_found_is_recorded_with_the_numbers_of_the_operations() {
        let events = check_history(&stale_read(), OrdersToRecord::OfUnverifiedKeys).events;
        let [EventKind::Linearized { key, legal, orders }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((key.as_str(), *legal), ("b", Legal::No));
        assert_eq!(orders[0], [101, 103]);
        let all = check_history(&stale_read(), OrdersToRecord::OfAllKeys).events;
        let yes = EventKind::Linearized { key: "a".to_string(), legal: Legal::Yes, orders: vec![vec![100, 102]] };
        assert_eq!(all[0], yes);
        assert_eq!(all[1], events[0]);
    }

    #[test]
    fn of_two_answers_that_contradict_each_other_none_is_called_the_first() {
        // Each of two readers alone could be right about which of two concurrent writes came last.
        let client_history = client_history(&[
            (0, 0, 10, Kind::Put, "k", "0"),
            (1, 0, 10, Kind::Put, "k", "1"),
            (2, 20, 40, Kind::Get, "k", "0"),
            (3, 20, 40, Kind::Get, "k", "1"),
        ]);
        let text = check_history(&client_history, OrdersToRecord::OfUnverifiedKeys).text;
        assert!(!text.contains("the first answer that none explains"), "{text}");
        assert!(text.contains("key 'k': 3 of its 4 operations can be put in order"), "{text}");
    }

    #[test]
    fn a_linearizable_history_has_no_text_and_orders_only_if_they_are_wanted() {
        let fine = client_history(&[(0, 0, 10, Kind::Put, "k", "0"), (1, 20, 30, Kind::Get, "k", "0")]);
        let result = check_history(&fine, OrdersToRecord::OfUnverifiedKeys);
        assert_eq!((result.verdict, result.text.as_str(), result.events.len()), (Verdict::Ok, "", 0));
        assert_eq!(check_history(&fine, OrdersToRecord::OfAllKeys).events.len(), 1);
    }

    #[test]
    fn many_long_orders_are_cut_but_the_longest_is_there() {
        let numbers: Vec<u64> = (0..ORDERED_OPERATIONS_MAX as u64 + 10).collect();
        let one = client_history(&[(0, 0, 1, Kind::Put, "k", "")]);
        let mut explanation = one.history.explain(BUDGET).partitions.remove(0);
        explanation.linearizations = vec![(0..numbers.len()).collect(), vec![0]];
        let EventKind::Linearized { orders, .. } = linearized_event(&explanation, &numbers) else { panic!("it is one") };
        assert_eq!(orders, std::slice::from_ref(&numbers));
        explanation.linearizations = vec![vec![0]; ORDERS_MAX + 1];
        let EventKind::Linearized { orders, .. } = linearized_event(&explanation, &numbers) else { panic!("it is one") };
        assert_eq!(orders.len(), ORDERS_MAX);
    }
}

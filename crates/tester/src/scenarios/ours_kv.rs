//! Our own scenarios about clients that retry, and about answers to the wrong operation. They catch a service that
//! executes an operation twice, never, or for the wrong client.
//!
//! They intercept single messages of a clerk. The end of a message shows whether it belongs to a clerk; the content of
//! a message depends on the service under test.

use labrpc::{Direction, Network, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::ServerId;

use super::kv_wait::{AFTER_AN_ELECTION, SOON, wait_until};
use super::lost_reply::{LostReply, lose_reply};
use super::part_4a::{CAUSES_OF_WAITING, expect_appended, expect_appended_once};
use super::part_4b::MAX_RAFT_STATE;
use crate::kv::appends::element;
use crate::kv::in_process::{is_for, is_of_clerk, is_of_server};
use crate::kv::{Clerk, KvTest, Pending};
use crate::violation::Violation;
use diagnosis::Rule;

/// Length of a value in characters; only messages that carry such a value are at least this long.
pub(super) const CHARS: usize = 1000;

/// Reason why a retried operation must be answered.
const WHY_RETRY_NEEDS_ANSWER: &str = "its reply was lost, and its clerk retried; the operation has been executed \
                                      before, but the client still waits for the answer";

/// Likely causes if it is not answered.
const CAUSES_OF_NO_ANSWER: [Rule; 3] = [Rule::AnswerDuplicates, Rule::AnswerWaitingClients, Rule::TryAnotherServer];

/// An append whose reply is lost is retried: it is executed once, and answered twice.
///
/// Then the same with a `Put`. Before the retry, another client reads the value and puts another one. A second
/// execution of the first Put would undo the second Put.
pub fn lost_reply(test: &KvTest, network: &Network) {
    const ROUNDS: u64 = 5;
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    let mut other = test.clerk(&all);
    for round in 0..ROUNDS {
        let (_, lost_reply, append) = lose_reply_to_append(test, network, clerk, round);
        lost_reply.release(network);
        clerk = append.expect_within(SOON, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
        expect_appended_once(&other.get("x"), &[(0, 2 * round + 2)], &lost_reply.causes_of_second_execution());

        let [first, second] = ["first", "second"].map(|value| format!("{value} {round}"));
        clerk.get("y");
        let lost_reply = lose_reply(network, clerk.id(), test.leader());
        let (value, key) = (first.clone(), "y");
        let put = Pending::start("a Put whose reply was lost", move || {
            clerk.put(key, &value);
            clerk
        });
        lost_reply.wait(&put);
        let seen = other.get(key) == first;
        other.put(key, &second);
        lost_reply.release(network);
        clerk = put.expect_within(SOON, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
        let value = other.get(key);
        // A Put that took effect only with its retry may come last.
        if seen && value != second {
            Violation::safety(
                &[Rule::ExecuteOnce, Rule::RetryKeepsNumber],
                format!(
                    "a Get returned '{first}', then '{second}' was put and acknowledged, but now a Get returns \
                     '{value}': the first Put was executed again when its clerk lost the reply and retried"
                ),
            );
        }
    }
}

/// A clerk whose first servers do not lead tries the others, until the leader executes its operation.
///
/// A new clerk knows no leader, so most of these clerks begin with a server that does not lead.
pub fn refused(test: &KvTest, network: &Network) {
    const CLERKS: u32 = 8;
    let all = test.servers();
    let leader = test.leader();
    let mut reader = test.clerk(&[leader]);
    for number in 0..CLERKS {
        let mut clerk = test.clerk(&all);
        let (id, refused) = (clerk.id(), Arc::new(AtomicUsize::new(0)));
        let refusals = Arc::clone(&refused);
        network.intercept(move |message| {
            let replies = is_of_clerk(message, id) && message.direction == Direction::Reply;
            refusals.fetch_add(usize::from(replies && !is_for(message, leader)), SeqCst);
            Verdict::Pass
        });
        let key = format!("key {number}");
        clerk.append(&key, &element(number, 0));
        network.stop_intercepting();
        let (value, refused) = (reader.get(&key), refused.load(SeqCst));
        let causes = [Rule::TryAnotherServer, Rule::RetryUntilReply, Rule::ReadsNeedQuorum];
        if value != element(number, 0) && refused > 0 {
            Violation::safety(
                &causes,
                format!(
                    "a clerk took its append to an empty key for done, and the value of the key is '{value}'; the clerk \
                     had {refused} replies of servers that do not lead, and a refusal has nothing to do with the \
                     operation: it must be sent to another server"
                ),
            );
        }
    }
}

/// If a leader executes an operation and crashes before its reply arrives, then the next leader does not execute the
/// operation again.
pub fn next_leader(test: &KvTest, network: &Network) {
    const ROUNDS: u64 = 3;
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    let mut reader = test.clerk(&all);
    for round in 0..ROUNDS {
        let (leader, lost_reply, append) = lose_reply_to_append(test, network, clerk, round);
        test.cluster().crash(leader);
        lost_reply.release(network);
        clerk = append.expect_within(AFTER_AN_ELECTION, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
        expect_appended_once(&reader.get("x"), &[(0, 2 * round + 2)], &lost_reply.causes_of_second_execution());
        test.cluster().start(leader);
        test.connect_all();
    }
}

/// If a leader crashes just after it replicated an entry, then the next leader has the entry in its log and gets the
/// retry: two entries for one operation, neither of them applied yet.
pub fn twice_in_the_log(test: &KvTest, network: &Network) {
    const ROUNDS: u64 = 3;
    const KEY: &str = "x";
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    let mut reader = test.clerk(&all);
    let mut expected = String::new();
    for round in 0..ROUNDS {
        let short = element(0, round);
        clerk.append(KEY, &short);
        let leader = test.leader();
        // From the long entry on, the leader receives no acknowledgment.
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let progress = Arc::clone(&shared);
        network.intercept(move |message| {
            let (sent, acknowledged) = &*progress;
            if !is_of_server(message, leader) {
                return Verdict::Pass;
            }
            if message.direction == Direction::Request {
                if message.bytes.len() >= CHARS {
                    sent.store(true, SeqCst);
                }
                return Verdict::Pass;
            }
            if !sent.load(SeqCst) {
                return Verdict::Pass;
            }
            acknowledged.fetch_add(1, SeqCst);
            Verdict::Drop
        });
        let long = long(&format!("long {round}"));
        let append = append_in_background(clerk, KEY, long.clone());
        // Either both followers have the entry, or it does not matter which of them is elected.
        wait_until(SOON, || shared.1.load(SeqCst) >= 2);
        test.cluster().crash(leader);
        network.stop_intercepting();
        let why = "its leader crashed, and its clerk retried at another server, which already had the entry in its \
                   log, but had not applied it; when this server applies the second entry of the same operation, the \
                   client still waits for the answer";
        clerk = append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        expected = expected + &short + &long;
        let value = reader.get(KEY);
        if value != expected {
            let times = value.matches(&long).count();
            Violation::safety(
                &[Rule::CheckDuplicateAtApply, Rule::ExecuteOnce, Rule::RetryKeepsNumber],
                format!(
                    "an append was sent to a leader, which crashed, and then to the next leader, which already had \
                     its entry in the log; now the value has {} bytes instead of {}, and it contains the appended \
                     text {times} times: an operation must be executed once, however often it is in the log",
                    value.len(),
                    expected.len()
                ),
            );
        }
        test.cluster().start(leader);
        test.connect_all();
    }
}

/// If another leader's entry overwrites the entry of a waiting client, then the client does not get the result of the
/// other entry.
///
/// Some clients call a disconnected leader. Meanwhile the majority executes other operations at the same indexes. After
/// the heal, no client may get a success for an operation that was not executed.
///
/// The clients start one after the other. A server that polls whether it still leads therefore polls at a different
/// moment for each of them, and at least one client learns first which entry took its index.
pub fn anothers_result(test: &KvTest, _network: &Network) {
    const ROUNDS: u32 = 5;
    const APPENDERS: u32 = 6;
    const BETWEEN: Duration = Duration::from_millis(15);
    const MEANWHILE: usize = 10;
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    clerk.put("known", "value");
    for round in 0..ROUNDS {
        let leader = test.leader();
        let majority = test.others(leader);
        test.cluster().partition(&[&majority, &[leader]]);
        let mut reader = test.clerk(&[leader]);
        let mut ids = vec![reader.id()];
        let get = Pending::start("a Get to a leader that is cut off", move || reader.get("known"));
        let mut appends = Vec::new();
        for number in 0..APPENDERS {
            test.sleep(BETWEEN);
            let clerk = test.clerk(&[leader]);
            ids.push(clerk.id());
            let key = format!("own {round} {number}");
            appends.push((append_in_background(clerk, &key, element(number, 0)), key, element(number, 0)));
        }
        test.sleep(BETWEEN);

        let mut in_majority = test.clerk(&majority);
        for number in 0..MEANWHILE {
            in_majority.put(&format!("other {number}"), "other");
        }
        test.connect_all();
        ids.into_iter().for_each(|id| test.cluster().connect_clerk(id, &all));
        let why = "it was sent to a disconnected leader, which must report its lost leadership when it hears from the next leader";
        for (append, key, appended) in appends {
            append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
            let value = clerk.get(&key);
            if value != appended {
                Violation::safety(
                    &[Rule::ReplyToOwnEntryOnly],
                    format!(
                        "an append of '{appended}' to an empty key, sent to a disconnected leader, was acknowledged \
                         after the heal, but the value is '{value}': its client got the result of another operation, \
                         which had taken its index"
                    ),
                );
            }
        }
        let value = get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        if value != "value" {
            Violation::safety(
                &[Rule::ReplyToOwnEntryOnly],
                format!(
                    "a Get of key 'known', which always was 'value', was sent to a disconnected leader and returned \
                     '{value}' after the heal: it got the result of another operation, which had taken its index"
                ),
            );
        }
    }
}

/// A client that waits at a disconnected leader is told when another server leads, even if there are no other
/// operations, so that no other entry takes the index of its entry.
pub fn lost_entry(test: &KvTest, _network: &Network) {
    const ROUNDS: u64 = 3;
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    for round in 0..ROUNDS {
        let key = format!("own {round}");
        clerk.put(&key, "");
        let leader = test.leader();
        test.cluster().partition(&[&[leader], &test.others(leader)]);
        let asking = test.clerk(&[leader]);
        let id = asking.id();
        let append = append_in_background(asking, &key, element(0, 0));
        wait_until(AFTER_AN_ELECTION, || test.cluster().leader().is_some_and(|(_, leads)| leads != leader));
        test.connect_all();
        test.cluster().connect_clerk(id, &all);
        let why = "it was sent to a disconnected leader, and its entry is lost because another leader was elected; \
                   there were no other operations, so nothing is applied at its index: its server must check whether \
                   it still leads";
        append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        expect_appended(&clerk.get(&key), &[(0, 1)]);
    }
}

/// An operation that was executed before a snapshot is not executed again after all servers restart from it.
pub fn duplicate_after_snapshot(test: &KvTest, network: &Network) {
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    let mut other = test.clerk(&all);
    clerk.append("x", &element(0, 0));
    let lost_reply = lose_reply(network, clerk.id(), test.leader());
    let append = append_in_background(clerk, "x", element(0, 1));
    lost_reply.wait(&append);
    fill_log(test, &mut other);

    all.iter().for_each(|&server| test.cluster().crash(server));
    all.iter().for_each(|&server| test.cluster().start(server));
    test.connect_all();
    // Wait until the servers have replayed their logs.
    expect_appended(&other.get("x"), &[(0, 2)]);
    lost_reply.release(network);
    append.expect_within(AFTER_AN_ELECTION, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
    expect_appended_once(&other.get("x"), &[(0, 2)], &lost_reply.causes_of_second_execution_after_snapshot());
}

/// An operation that was executed before a snapshot is not executed again by a server that got the snapshot from its
/// leader.
///
/// A follower is disconnected while a client appends, so it learns of the append only from a snapshot. Then it is
/// elected, because the votes for all other servers are lost.
pub fn duplicate_after_install(test: &KvTest, network: &Network) {
    const LEADS: Duration = Duration::from_secs(6);
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    let mut other = test.clerk(&all);
    clerk.append("x", &element(0, 0));
    let leader = test.leader();
    let [behind, third] = test.others(leader)[..] else { panic!("there are three servers") };
    test.cluster().partition(&[&[leader, third], &[behind]]);
    let lost_reply = lose_reply(network, clerk.id(), leader);
    let append = append_in_background(clerk, "x", element(0, 1));
    lost_reply.wait(&append);
    fill_log(test, &mut other);

    // Without the third server, nothing is committed before the server behind has caught up.
    test.cluster().crash(third);
    test.connect_all();
    other.put("filler", "");
    lost_reply.only_elected(network, behind);
    test.cluster().start(third);
    test.connect_all();
    test.cluster().crash(leader);
    wait_until(LEADS, || test.cluster().leader().is_some_and(|(_, leader)| leader == behind));
    lost_reply.release(network);
    append.expect_within(AFTER_AN_ELECTION, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
    expect_appended_once(&other.get("x"), &[(0, 2)], &lost_reply.causes_of_second_execution_after_snapshot());
}

/// Writes so much that every participating server must have taken a snapshot.
fn fill_log(test: &KvTest, clerk: &mut Clerk) {
    let value = "filler ".repeat(10);
    for _ in 0..10 * MAX_RAFT_STATE / value.len() {
        clerk.put("filler", &value);
    }
    test.check_log_size(MAX_RAFT_STATE);
}

/// Appends the two elements of `round` to `x`, and waits until the reply to the second append is lost. Returns the
/// leader that executed it, and the append, which is still in progress.
fn lose_reply_to_append(
    test: &KvTest,
    network: &Network,
    mut clerk: Clerk,
    round: u64,
) -> (ServerId, LostReply, Pending<Clerk>) {
    clerk.append("x", &element(0, 2 * round));
    let leader = test.leader();
    let lost_reply = lose_reply(network, clerk.id(), leader);
    let append = append_in_background(clerk, "x", element(0, 2 * round + 1));
    lost_reply.wait(&append);
    (leader, lost_reply, append)
}

/// Appends `value` in the background.
fn append_in_background(mut clerk: Clerk, key: &str, value: String) -> Pending<Clerk> {
    let key = key.to_string();
    Pending::start(format!("an Append of client {}", clerk.client()), move || {
        clerk.append(&key, &value);
        clerk
    })
}

/// Returns a value that is long enough to recognize its message in the network.
pub(super) fn long(text: &str) -> String {
    format!("{text} ").repeat(CHARS / (text.len() + 1) + 1)
}

//! Our own scenarios about clients that ask again, and about answers that belong to another question: what a service does
//! twice, never, or for the wrong client.
//!
//! They take single messages of a clerk out of the network's hands. Whether a message is a clerk's is known from its end;
//! what is in it is the business of the service under test.

use labrpc::{Direction, Network, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::ServerId;

use super::lost_reply::{LostReply, lose_reply};
use super::part_4a::{CAUSES_OF_WAITING, expect_appended, expect_appended_once};
use super::part_4b::MAX_RAFT_STATE;
use crate::diagnosis::Rule;
use crate::kv::appends::element;
use crate::kv::in_process::is_of_server;
use crate::kv::{Clerk, KvTest, Pending};
use crate::violation::Violation;

/// How long a service may take for an operation while nothing is wrong with its servers and the network.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// How long it may take while it has to elect a leader first.
pub(super) const AFTER_AN_ELECTION: Duration = Duration::from_secs(6);

/// Only a message that carries a value of this many characters is as long as this.
pub(super) const CHARS: usize = 1000;

/// Why an operation that was asked for again has to be answered.
const WHY_RETRY_NEEDS_ANSWER: &str = "its reply was lost, and its clerk asked again; that it has been executed already does not \
                           mean that nobody waits for the answer";

/// What may be the cause if it is not.
const CAUSES_OF_NO_ANSWER: [Rule; 3] = [Rule::AnswerDuplicates, Rule::AnswerWaitingClients, Rule::TryAnotherServer];

/// An append whose reply is lost is asked for again: it is executed once, and answered twice.
///
/// Then the same with a `Put`, and before it is asked for again, another client puts something else, having seen the value:
/// done again, the first would undo the second.
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
        // One that took effect only when it was asked for again, may come last.
        if seen && value != second {
            Violation::safety(
                &[Rule::ExecuteOnce, Rule::RetryKeepsNumber],
                format!(
                    "a Get returned '{first}', then '{second}' was put and acknowledged, but now a Get returns '{value}': the \
                 first Put was executed again when its clerk had lost the reply and asked again"
                ),
            );
        }
    }
}

/// What was executed by a leader that crashes before anybody hears of it, the next leader does not execute again.
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

/// What a leader that crashed had only just begun, the next leader finds in its log, and is asked for again: two entries
/// for one operation, neither of them applied yet.
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
        // From the long entry on, the leader hears of no success.
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
        // Both followers have the entry, or it makes no difference which of them is elected.
        wait_until(SOON, || shared.1.load(SeqCst) >= 2);
        test.cluster().crash(leader);
        network.stop_intercepting();
        let why = "its leader crashed, and its clerk asked another server, which had the entry in its log already, not \
                   applied yet: when it comes to the second entry of the same operation, somebody waits for the answer";
        clerk = append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        expected = expected + &short + &long;
        let value = reader.get(KEY);
        if value != expected {
            let times = value.matches(&long).count();
            Violation::safety(
                &[Rule::CheckDuplicateAtApply, Rule::ExecuteOnce, Rule::RetryKeepsNumber],
                format!(
                    "an append was asked of a leader, which crashed, and then of the next one, which had its entry in the log \
                 already; now the value has {} bytes instead of {}, and what was appended is in it {times} times: an \
                 operation must be executed once, however often it is in the log",
                    value.len(),
                    expected.len()
                ),
            );
        }
        test.cluster().start(leader);
        test.connect_all();
    }
}

/// Whoever waits for an entry that is overwritten by another leader's is not given that one's result.
///
/// Some clients ask a leader that is cut off. Meanwhile the majority executes other operations, at the same indexes. After
/// the heal nobody may be told that all is done, who has not really been served.
///
/// The clients ask one after the other: a server that looks now and then whether it still leads looks for each of them at
/// another moment, and at least one of them learns first what has come to its index.
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
        let why = "it was asked of a leader that was cut off, which has to say so when it hears of the next leader";
        for (append, key, appended) in appends {
            append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
            let value = clerk.get(&key);
            if value != appended {
                Violation::safety(
                    &[Rule::ReplyToOwnEntryOnly],
                    format!(
                        "an append of '{appended}' to an empty key, asked of a leader that was cut off, was acknowledged after \
                     the heal, but the value is '{value}': whoever waited for it was given the answer to another operation, \
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
                    "a Get of key 'known', which always was 'value', was asked of a leader that was cut off and returned \
                 '{value}' after the heal: it was given the answer to another operation, which had taken its index"
                ),
            );
        }
    }
}

/// Whoever waits at a leader that was cut off is told when another leads, also if nothing else is asked of anybody, so that
/// no other entry takes the index of the one that it waits for.
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
        let why = "it was asked of a leader that was cut off, and is lost, since another was elected meanwhile; nothing else \
                   was asked, so nothing is applied at its index: its server has to look whether it still leads";
        append.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        expect_appended(&clerk.get(&key), &[(0, 1)]);
    }
}

/// What was executed before a snapshot is not executed again after all servers have come back with it.
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
    // Not before they have replayed what they had.
    expect_appended(&other.get("x"), &[(0, 2)]);
    lost_reply.release(network);
    append.expect_within(AFTER_AN_ELECTION, WHY_RETRY_NEEDS_ANSWER, &CAUSES_OF_NO_ANSWER);
    expect_appended_once(&other.get("x"), &[(0, 2)], &lost_reply.causes_of_second_execution_after_snapshot());
}

/// What was executed before a snapshot is not executed again by a server that was given the snapshot by its leader.
///
/// A follower is cut off while a client appends, so that it learns of that from a snapshot alone. Then it is elected: the
/// votes for everybody else are lost.
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

    // Without the third, nothing is committed before the one behind has caught up.
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

/// Writes so much that every server that takes part must have made a snapshot.
fn fill_log(test: &KvTest, clerk: &mut Clerk) {
    let value = "filler ".repeat(10);
    for _ in 0..10 * MAX_RAFT_STATE / value.len() {
        clerk.put("filler", &value);
    }
    test.check_log_size(MAX_RAFT_STATE);
}

/// Two appends to `x`, the elements of `round`; waits until the reply to the second is lost. Returns the leader that had
/// executed it, and the append, which goes on.
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

/// Waits until `holds`, but not for longer than `timeout`. Whether it holds.
pub(super) fn wait_until(timeout: Duration, holds: impl Fn() -> bool) -> bool {
    const POLL_INTERVAL: Duration = Duration::from_millis(1);
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > timeout {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

/// A value that nobody overlooks in the network.
pub(super) fn long(text: &str) -> String {
    format!("{text} ").repeat(CHARS / (text.len() + 1) + 1)
}

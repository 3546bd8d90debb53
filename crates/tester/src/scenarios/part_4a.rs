//! Part 4A: the key/value service without snapshots, in addition to the [generic test](super::kv_generic).

use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::ServerId;

use crate::cluster::ELECTION_TIMEOUT;
use crate::kv::appends::{self, element};
use crate::kv::{KvTest, Pending};
use crate::violation::Violation;
use diagnosis::Rule;

/// Likely causes if an operation has no answer after its leader was disconnected.
pub(super) const CAUSES_OF_WAITING: [Rule; 3] =
    [Rule::DetectLostLeadership, Rule::TryAnotherServer, Rule::AnswerWaitingClients];

/// One client runs one operation after the other: at least three of them per heartbeat interval.
pub fn speed(test: &KvTest) {
    const OPERATIONS: u64 = 1000;
    const HEARTBEAT: Duration = Duration::from_millis(100);
    const A_HEARTBEAT: u32 = 3;
    let mut clerk = test.clerk(&test.servers());
    // Waits for a leader.
    clerk.get("x");

    let begun = Instant::now();
    for number in 0..OPERATIONS {
        clerk.append("x", &element(0, number));
    }
    let took = begun.elapsed();
    expect_appended(&clerk.get("x"), &[(0, OPERATIONS)]);
    let limit = HEARTBEAT / A_HEARTBEAT;
    let each = took / OPERATIONS as u32;
    if each > limit {
        Violation::limit(
            &[Rule::ReplicateImmediately],
            format!(
                "an operation took {:.1} ms on average, more than {:.1} ms: an operation must not wait for the next heartbeat",
                each.as_secs_f64() * 1e3,
                limit.as_secs_f64() * 1e3
            ),
        );
    }
}

/// Many clients append to one key over an unreliable network: every element is there once, in its client's order.
pub fn unreliable_one_key(test: &KvTest) {
    const CLIENTS: u32 = 5;
    const EACH: u64 = 10;
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    clerk.put("k", "");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut clerk = test.clerk(&all);
            let work = move || (0..EACH).for_each(|number| clerk.append("k", &element(client, number)));
            thread::spawn(format!("client-{client}"), work)
        })
        .collect();
    for client in clients {
        client.join().expect("a client that does not panic");
    }
    let counts: Vec<(u32, u64)> = (0..CLIENTS).map(|client| (client, EACH)).collect();
    expect_appended(&clerk.get("k"), &counts);
}

/// A majority without the old leader continues; the minority with the old leader does not; its operations complete
/// after the heal.
pub fn one_partition(test: &KvTest) {
    const HEAL: Duration = Duration::from_secs(3);
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    clerk.put("1", "13");

    test.begin_stage("progress in majority");
    let leader = test.leader();
    let mut majority = test.others(leader);
    let mut minority: Vec<ServerId> = majority.split_off(all.len() / 2 + 1);
    minority.push(leader);
    test.cluster().partition(&[&majority, &minority]);
    let mut in_majority = test.clerk(&majority);
    let (mut writer, mut reader) = (test.clerk(&minority), test.clerk(&minority));
    in_majority.put("1", "14");
    expect_value("1", &in_majority.get("1"), &["14"]);
    test.end_stage();

    test.begin_stage("no progress in minority");
    let (writer_id, reader_id) = (writer.id(), reader.id());
    let put = Pending::start("a Put to the minority", move || writer.put("1", "15"));
    let get = Pending::start("a Get to the minority", move || reader.get("1"));
    test.sleep(ELECTION_TIMEOUT);
    let done = [
        ("Put", put.is_done_within(Duration::ZERO), Rule::AnswerAfterApply),
        ("Get", get.is_done_within(Duration::ZERO), Rule::ReadsNeedQuorum),
    ];
    for (name, done, rule) in done {
        if done {
            Violation::safety(
                &[rule, Rule::CommitMajority],
                format!(
                    "a {name} was answered by a leader that is disconnected from the majority: it cannot know whether it \
                     still leads"
                ),
            );
        }
    }
    expect_value("1", &in_majority.get("1"), &["14"]);
    in_majority.put("1", "16");
    expect_value("1", &in_majority.get("1"), &["16"]);
    test.end_stage();

    test.begin_stage("completion after heal");
    test.connect_all();
    test.cluster().connect_clerk(writer_id, &all);
    test.cluster().connect_clerk(reader_id, &all);
    test.sleep(ELECTION_TIMEOUT);
    let why = "it was sent to a disconnected leader, and the network was healed 1 s earlier";
    put.expect_within(HEAL, why, &CAUSES_OF_WAITING);
    // The Get began before the majority wrote anything, and ends after its last write.
    expect_value("1", &get.expect_within(HEAL, why, &CAUSES_OF_WAITING), &["14", "15", "16"]);
    expect_value("1", &clerk.get("1"), &["15"]);
    test.end_stage();
}

/// Fails the run if `value` is not one of `expected`.
pub(super) fn expect_value(key: &str, value: &str, expected: &[&str]) {
    if !expected.contains(&value) {
        let expected: Vec<String> = expected.iter().map(|value| format!("'{value}'")).collect();
        Violation::safety(
            &[
                Rule::RestoreSnapshotOnStart,
                Rule::InstallResetsService,
                Rule::ReadsNeedQuorum,
                Rule::RetryUntilReply,
                Rule::ReplyToOwnEntryOnly,
            ],
            format!("a Get of key '{key}' returned '{value}' instead of {}", expected.join(" or ")),
        );
    }
}

/// Fails the run if `value` is not the concatenation of the clients' elements; each client has appended the given
/// number.
pub(super) fn expect_appended(value: &str, counts: &[(u32, u64)]) {
    expect_appended_once(value, counts, &[]);
}

/// Like [`expect_appended`]; `twice` contains the likely causes if an element is there twice.
pub(super) fn expect_appended_once(value: &str, counts: &[(u32, u64)], twice: &[Rule]) {
    if let Err(wrong) = appends::check(value, counts) {
        let known = wrong.kind == appends::AppendErrorKind::Duplicated && !twice.is_empty();
        let likely = if known { twice } else { wrong.likely() };
        Violation::safety(
            likely,
            format!("the value to which clients appended has {} bytes: {}", value.len(), wrong.text),
        );
    }
}

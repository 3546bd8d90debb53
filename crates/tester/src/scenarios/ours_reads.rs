//! Our own scenarios about reads: a Get that does not go through the log must still know the committed entries, and
//! that its server leads.

use labrpc::{Direction, Network, Verdict};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::ServerId;

use super::kv_wait::{AFTER_AN_ELECTION, SOON, wait_until};
use super::ours_kv::{CHARS, long};
use super::part_4a::CAUSES_OF_WAITING;
use crate::kv::in_process::{is_for, is_of_server};
use crate::kv::{Clerk, ClerkId, KvTest, Pending};
use crate::violation::Violation;
use diagnosis::Rule;

/// A new leader that has committed nothing in its term does not know which entries are committed. It must find out,
/// even if its first operation is a Get.
///
/// The old leader brings an entry to one follower, gets the acknowledgment, and answers the client; no more requests
/// reach that follower. Then the old leader is disconnected, and only that follower can be elected.
pub fn first_get(test: &KvTest, network: &Network) {
    const ROUNDS: usize = 3;
    let mut clerk = test.clerk(&test.servers());
    for round in 0..ROUNDS {
        let old = format!("old {round}");
        clerk.put("x", &old);
        let leader = test.leader();
        let next_ones = test.others(leader);
        let next = next_ones[0];
        let sent = AtomicBool::new(false);
        network.intercept(move |message| {
            let between_servers = message.end.as_str().starts_with('S');
            if !between_servers || message.direction == Direction::Reply {
                return Verdict::Pass;
            }
            let entries = is_of_server(message, leader) && is_for(message, next) && !sent.load(SeqCst);
            // The last message that arrives.
            if entries && message.bytes.len() >= CHARS {
                sent.store(true, SeqCst);
            }
            if entries { Verdict::Pass } else { Verdict::Drop }
        });
        let new = long(&format!("new {round}"));
        let (mut writer, value) = (test.clerk(&[leader]), new.clone());
        let writer_id = writer.id();
        let put = Pending::start("a Put", move || writer.put("x", &value));
        let acknowledged = put.is_done_within(SOON);
        test.cluster().partition(&[&[leader], &next_ones]);
        network.stop_intercepting();
        let get = get_in_background(test.clerk(&next_ones));
        let why = "it was the first operation after an election: a leader must commit an entry of its own term to \
                   know which entries are committed, and must not wait until a client writes";
        let value = get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        if acknowledged && value != new {
            Violation::safety(
                &[Rule::CommitBeforeFirstRead],
                format!(
                    "a Get returned '{}', though '{}' had been put and acknowledged before the Get began. The Get was \
                     the first operation after an election: the new leader had the entry, but did not yet know that \
                     it was committed; it must commit an entry of its own term before it answers",
                    beginning(&value),
                    beginning(&new)
                ),
            );
        }
        test.connect_all();
        test.cluster().connect_clerk(writer_id, &test.servers());
        put.expect_within(AFTER_AN_ELECTION, "everything was healed", &CAUSES_OF_WAITING);
    }
}

/// A disconnected leader that still believes that it leads answers no Get with an overwritten value.
///
/// The scenario runs three times. First, the leader is only disconnected. The second time, the replies to its last
/// messages arrive late: after the new value was written and after the Get began. They prove that it led when it sent
/// the messages, and nothing about the present. The third time, another Get began earlier, and the replies are valid
/// for that one.
pub fn cut_off_get(test: &KvTest, network: &Network) {
    for timing in [Timing::CutOff, Timing::LateReplies, Timing::LateRepliesForAnother] {
        round(test, network, timing);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    CutOff,
    LateReplies,
    LateRepliesForAnother,
}

fn round(test: &KvTest, network: &Network, timing: Timing) {
    const BEGUN: Duration = Duration::from_millis(50);
    const ANSWERED: Duration = Duration::from_millis(500);
    let all = test.servers();
    let mut clerk = test.clerk(&all);
    clerk.put("x", "old");
    let leader = test.leader();
    let others = test.others(leader);
    if timing != Timing::CutOff {
        network.intercept(move |message| {
            let reply = is_of_server(message, leader) && message.direction == Direction::Reply;
            if reply { Verdict::Hold } else { Verdict::Pass }
        });
    }
    let early = (timing == Timing::LateRepliesForAnother).then(|| ask(test, leader));
    if timing != Timing::CutOff {
        let held = |server| network.held().iter().any(|held| is_for(&held.message(), server));
        wait_until(SOON, || others.iter().all(|&server| held(server)));
    }
    test.cluster().partition(&[&[leader], &others]);

    let mut writer = test.clerk(&others);
    let put = Pending::start("a Put to a majority", move || writer.put("x", "new"));
    put.expect_within(AFTER_AN_ELECTION, "its servers are a majority, and must elect a leader", &CAUSES_OF_WAITING);
    let late = ask(test, leader);
    test.sleep(BEGUN);
    network.stop_intercepting();
    for message in network.held() {
        message.release();
    }
    let answered = late.get.is_done_within(ANSWERED);
    test.connect_all();
    for pending in [Some(&late), early.as_ref()].into_iter().flatten() {
        test.cluster().connect_clerk(pending.clerk, &all);
    }
    let why = "its leader was disconnected, and must report its lost leadership when it hears from the next leader";
    let value = late.get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
    if value != "new" {
        let likely: &[Rule] =
            if answered { &[Rule::ReadsNeedQuorum] } else { &[Rule::ReplyToOwnEntryOnly, Rule::ReadsNeedQuorum] };
        let how = match (answered, timing) {
            (true, Timing::CutOff) => "by a disconnected leader that did not confirm its leadership with a majority",
            (true, Timing::LateReplies) => {
                "by a disconnected leader, when it got late replies to messages from before the Get began; these \
                 replies say nothing about the current leader"
            }
            (true, Timing::LateRepliesForAnother) => {
                "by a disconnected leader, when it got late replies to messages for another Get, from before this Get \
                 began; these replies say nothing about the current leader"
            }
            (false, _) => "after the heal, with the result of another operation, or by a server that lacked that Put",
        };
        Violation::safety(
            likely,
            format!(
                "a Get returned '{value}', though 'new' had been put by a majority and acknowledged before the Get \
                 began; it was answered {how}"
            ),
        );
    }
    if let Some(early) = early {
        early.get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
    }
}

/// A Get in progress, and its clerk.
struct PendingGet {
    clerk: ClerkId,
    get: Pending<String>,
}

/// Sends a Get of `x` to one server only.
fn ask(test: &KvTest, server: ServerId) -> PendingGet {
    let clerk = test.clerk(&[server]);
    PendingGet { clerk: clerk.id(), get: get_in_background(clerk) }
}

fn get_in_background(mut clerk: Clerk) -> Pending<String> {
    Pending::start(format!("a Get of client {}", clerk.client()), move || clerk.get("x"))
}

fn beginning(text: &str) -> String {
    text.chars().take(8).collect()
}

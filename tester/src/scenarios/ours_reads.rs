//! Our own scenarios about reads: a Get that is not put into the log must still know what is committed, and that its server
//! leads.

use labrpc::{Direction, Network, Verdict};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::ServerId;

use super::ours_kv::{AFTER_AN_ELECTION, CHARS, SOON, long, wait_until};
use super::part_4a::CAUSES_OF_WAITING;
use crate::diagnosis::Rule;
use crate::kv::in_process::{is_for, is_of_server};
use crate::kv::{Clerk, ClerkId, KvTest, Pending};
use crate::violation::Violation;

/// A new leader that has committed nothing in its term yet does not know what is committed; when the first that it is asked
/// is a Get, it finds out.
///
/// The old leader brings an entry to one follower, hears that it arrived, and answers the client; nothing more reaches that
/// follower. Then the old leader is cut off: only that follower can be elected.
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
            // The last that arrives.
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
        let why = "it was the first thing asked after an election: a leader must commit something of its own term to know \
                   what is committed, and must not wait for a client to write something";
        let value = get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
        if acknowledged && value != new {
            Violation::safety(
                &[Rule::CommitBeforeFirstRead],
                format!(
                    "a Get returned '{}', though '{}' had been put and acknowledged before it began: it was the first thing asked \
                 after an election, and the new leader had the entry, but did not know yet that it was committed; it must \
                 commit something of its own term before it answers",
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

/// A leader that is cut off, and still believes that it leads, answers no Get with a value that has been overwritten.
///
/// Three times over. First it is merely cut off. Then the replies to its last messages come late: after the new value was
/// written, and after the Get began. They show that it led when it sent the messages, and nothing about now. The third time
/// another Get has begun before, for which those replies are good.
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
    put.expect_within(AFTER_AN_ELECTION, "its servers are a majority, and have to elect a leader", &CAUSES_OF_WAITING);
    let late = ask(test, leader);
    test.sleep(BEGUN);
    network.stop_intercepting();
    for message in network.held() {
        message.release();
    }
    let answered = late.get.is_done_within(ANSWERED);
    test.connect_all();
    for asked in [Some(&late), early.as_ref()].into_iter().flatten() {
        test.cluster().connect_clerk(asked.clerk, &all);
    }
    let why = "its leader was cut off, and has to say that it leads no longer when it hears of the next one";
    let value = late.get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
    if value != "new" {
        let likely: &[Rule] =
            if answered { &[Rule::ReadsNeedQuorum] } else { &[Rule::ReplyToOwnEntryOnly, Rule::ReadsNeedQuorum] };
        let how = match (answered, timing) {
            (true, Timing::CutOff) => "by a leader that was cut off, and did not ask anybody whether it still led",
            (true, Timing::LateReplies) => {
                "by a leader that was cut off, when it got late replies to what it had sent before the Get began, which say \
                 nothing about who leads now"
            }
            (true, Timing::LateRepliesForAnother) => {
                "by a leader that was cut off, when it got late replies to what it had sent for another Get, before this one \
                 began, which say nothing about who leads now"
            }
            (false, _) => {
                "after the heal, with the answer to another operation, or by a server that had missed that Put"
            }
        };
        Violation::safety(
            likely,
            format!(
                "a Get returned '{value}', though 'new' had been put by a majority and acknowledged before it began; it was \
             answered {how}"
            ),
        );
    }
    if let Some(early) = early {
        early.get.expect_within(AFTER_AN_ELECTION, why, &CAUSES_OF_WAITING);
    }
}

/// A Get under way, and whose it is.
struct PendingGet {
    clerk: ClerkId,
    get: Pending<String>,
}

/// Asks one server alone for the value of `x`.
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

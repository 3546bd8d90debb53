//! A reply that is lost, so that its clerk asks again: what comes then is held until the story lets it go. It can tell whether
//! the clerk asks in the same words, for a service that executes something twice may have been asked for two things.

use labrpc::{Direction, Message, Network, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::ServerId;

use super::ours_kv::{SOON, wait_until};
use crate::diagnosis::Rule;
use crate::kv::in_process::{is_for, is_of_clerk, is_of_server};
use crate::kv::{ClerkId, Pending};

/// A reply that is lost, and what its clerk asks next, which is held.
pub(super) struct LostReply {
    clerk: ClerkId,
    leader: ServerId,
    lost: Arc<AtomicBool>,
    /// What the request said whose reply was lost, as a number: the requests that are let go are compared with it.
    request_fingerprint: Arc<AtomicU64>,
    /// Whether it was asked again in other words.
    retry_differs: AtomicBool,
}

/// Loses the next reply of `leader` to `clerk`, and from then on holds all that the clerk asks of anybody.
pub(super) fn lose_reply(network: &Network, clerk: ClerkId, leader: ServerId) -> LostReply {
    let lost_reply = LostReply {
        clerk,
        leader,
        lost: Arc::default(),
        request_fingerprint: Arc::default(),
        retry_differs: AtomicBool::new(false),
    };
    network.intercept(lost_reply.interceptor());
    lost_reply
}

impl LostReply {
    fn interceptor(&self) -> impl Fn(&Message<'_>) -> Verdict + Send + Sync + use<> {
        let (clerk, leader, lost, request_fingerprint) = (self.clerk, self.leader, Arc::clone(&self.lost), Arc::clone(&self.request_fingerprint));
        move |message| {
            if !is_of_clerk(message, clerk) {
                return Verdict::Pass;
            }
            match message.direction {
                Direction::Request if lost.load(SeqCst) => Verdict::Hold,
                Direction::Request => {
                    // A clerk has one request under way, so this is the one whose reply is lost.
                    request_fingerprint.store(fingerprint(message.bytes), SeqCst);
                    Verdict::Pass
                }
                Direction::Reply if is_for(message, leader) && !lost.swap(true, SeqCst) => Verdict::Drop,
                _ => Verdict::Pass,
            }
        }
    }

    /// Goes on with it, and lets nobody but `server` be elected.
    pub(super) fn only_elected(&self, network: &Network, server: ServerId) {
        let interceptor = self.interceptor();
        network.intercept(move |message| {
            let vote = message.direction == Direction::Reply && message.method == "Raft.RequestVote";
            if vote && !is_of_server(message, server) { Verdict::Drop } else { interceptor(message) }
        });
    }

    /// Waits until the reply is lost. That does not come about if the server does not lead any more; then the clerk was
    /// answered by another, and there is nothing to see.
    pub(super) fn wait<T: Send + 'static>(&self, operation: &Pending<T>) {
        wait_until(SOON, || self.lost.load(SeqCst) || operation.is_done_within(Duration::ZERO));
    }

    /// Lets everything go on.
    pub(super) fn release(&self, network: &Network) {
        network.stop_intercepting();
        for message in network.held() {
            let other = fingerprint(message.message().bytes) != self.request_fingerprint.load(SeqCst);
            if message.message().direction == Direction::Request && is_of_clerk(&message.message(), self.clerk) && other
            {
                self.retry_differs.store(true, SeqCst);
            }
            message.release();
        }
    }

    /// What may be the cause if the operation was executed twice.
    pub(super) fn causes_of_second_execution(&self) -> Vec<Rule> {
        let other = self.retry_differs.load(SeqCst);
        vec![if other { Rule::RetryKeepsNumber } else { Rule::ExecuteOnce }]
    }

    /// The same, if there was a snapshot in between.
    pub(super) fn causes_of_second_execution_after_snapshot(&self) -> Vec<Rule> {
        let other = self.retry_differs.load(SeqCst);
        if other { vec![Rule::RetryKeepsNumber] } else { vec![Rule::DuplicateTableInSnapshot, Rule::ExecuteOnce] }
    }
}

/// A number that two messages have in common if they say the same, and hardly otherwise (FNV-1a).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

//! A lost reply, so that its clerk retries. The retry is held until the scenario releases it. The retry is compared
//! with the first request: if they differ, then a service that executes both may have been asked for two operations.

use labrpc::{Direction, Message, Network, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::ServerId;

use super::kv_wait::{SOON, wait_until};
use crate::kv::in_process::{is_for, is_of_clerk, is_of_server};
use crate::kv::{ClerkId, Pending};
use diagnosis::Rule;

/// A lost reply, and the clerk's next requests, which are held.
pub(super) struct LostReply {
    clerk: ClerkId,
    leader: ServerId,
    lost: Arc<AtomicBool>,
    /// Fingerprint of the request whose reply was lost, to compare with the released requests.
    request_fingerprint: Arc<AtomicU64>,
    /// Whether the retry differed from the request.
    retry_differs: AtomicBool,
}

/// Drops the next reply of `leader` to `clerk`, and from then on holds all requests of the clerk.
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
        let (clerk, leader, lost, request_fingerprint) =
            (self.clerk, self.leader, Arc::clone(&self.lost), Arc::clone(&self.request_fingerprint));
        move |message| {
            if !is_of_clerk(message, clerk) {
                return Verdict::Pass;
            }
            match message.direction {
                Direction::Request if lost.load(SeqCst) => Verdict::Hold,
                Direction::Request => {
                    // A clerk has one request in flight, so this is the request whose reply is lost.
                    request_fingerprint.store(fingerprint(message.bytes), SeqCst);
                    Verdict::Pass
                }
                Direction::Reply if is_for(message, leader) && !lost.swap(true, SeqCst) => Verdict::Drop,
                _ => Verdict::Pass,
            }
        }
    }

    /// Keeps intercepting, and also drops the votes for every server except `server`.
    pub(super) fn only_elected(&self, network: &Network, server: ServerId) {
        let interceptor = self.interceptor();
        network.intercept(move |message| {
            let vote = message.direction == Direction::Reply && message.method == "Raft.RequestVote";
            if vote && !is_of_server(message, server) { Verdict::Drop } else { interceptor(message) }
        });
    }

    /// Waits until the reply is lost. This does not happen if the server no longer leads; then another server has
    /// answered the clerk, and there is nothing to test.
    pub(super) fn wait<T: Send + 'static>(&self, operation: &Pending<T>) {
        wait_until(SOON, || self.lost.load(SeqCst) || operation.is_done_within(Duration::ZERO));
    }

    /// Stops intercepting and releases all held messages.
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

    /// Returns the likely causes if the operation was executed twice.
    pub(super) fn causes_of_second_execution(&self) -> Vec<Rule> {
        let other = self.retry_differs.load(SeqCst);
        vec![if other { Rule::RetryKeepsNumber } else { Rule::ExecuteOnce }]
    }

    /// Returns the likely causes if the operation was executed twice and there was a snapshot in between.
    pub(super) fn causes_of_second_execution_after_snapshot(&self) -> Vec<Rule> {
        let other = self.retry_differs.load(SeqCst);
        if other { vec![Rule::RetryKeepsNumber] } else { vec![Rule::DuplicateTableInSnapshot, Rule::ExecuteOnce] }
    }
}

/// Returns a hash (FNV-1a) that is equal for equal messages, and almost certainly differs otherwise.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

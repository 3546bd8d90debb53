//! The lock and the threads of a server, and its calls.

use bytes::Bytes;
use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raft_rs::eraftpb::{Message, MessageType};
use raftapi::{ApplyMsg, Persister};

use crate::messages;
use crate::node::Node;

/// Duration of one tick of `raft-rs`, which counts its timeouts in ticks. Commands are sent with the next tick, so the
/// commands of a tick share their messages.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Server {
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) node: Mutex<Node>,
    /// Signalled when there are undelivered messages, and when the server is killed.
    pub(crate) to_apply: Condvar,
}

/// The threads.
impl Server {
    /// Runs the ticker thread.
    pub(crate) fn tick(self: &Arc<Server>) {
        while !self.node.lock().is_killed() {
            thread::sleep(TICK);
            self.update(Node::tick);
        }
    }

    /// Runs the applier thread: it delivers committed commands.
    pub(crate) fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let messages = {
                let mut node = self.node.lock();
                self.to_apply.wait_while(&mut node, |node| !node.has_undelivered() && !node.is_killed());
                if node.is_killed() {
                    return;
                }
                node.take_undelivered()
            };
            for message in messages {
                if apply_ch.send(message).is_err() {
                    return;
                }
            }
        }
    }
}

/// The calls.
impl Server {
    /// Handles a request of another server; returns the responses to it, at most one.
    pub(crate) fn handle(self: &Arc<Server>, request: &Bytes) -> Vec<Bytes> {
        let request = messages::decode(request);
        let from = request.from;
        let responses = self.update(|node| node.step(request));
        assert!(responses.iter().all(|response| response.to == from), "a response is for the sender of the request");
        responses.iter().map(messages::encode).collect()
    }

    /// Changes the node under the lock, has the changes saved, and then makes the calls that follow from them. Returns
    /// the responses that follow.
    fn update(self: &Arc<Server>, change: impl FnOnce(&mut Node)) -> Vec<Message> {
        let messages = {
            let mut node = self.node.lock();
            if node.is_killed() {
                return Vec::new();
            }
            change(&mut node);
            node.process_ready()
        };
        self.to_apply.notify_all();
        let is_request = |message: &Message| messages::method(message.get_msg_type()).is_some();
        let (requests, responses): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_request);
        requests.into_iter().for_each(|request| self.call(&request));
        responses
    }

    /// Sends a request. Its outcome changes the node: the responses if it arrived, and otherwise the fact that it may
    /// not have arrived.
    fn call(self: &Arc<Server>, request: &Message) {
        let (to, kind) = (request.to, request.get_msg_type());
        let method = messages::method(kind).expect("it is a request");
        let me = Arc::clone(self);
        let on_reply = move |reply: Option<Vec<Bytes>>| {
            let responses = me.update(|node| {
                let arrived = reply.is_some();
                reply.into_iter().flatten().for_each(|response| node.step(messages::decode(&response)));
                node.report_outcome(to, kind == MessageType::MsgSnapshot, arrived);
            });
            assert!(responses.is_empty(), "nobody responds to a response");
        };
        self.peers[messages::server_of(to).0].call_async(method, &messages::encode(request), on_reply);
    }
}

//! The core of `raft-rs`: three `RawNode`s with their `MemStorage`s, driven by one thread as its documentation
//! describes, with a queue between them.

use std::collections::VecDeque;

use raft_rs::eraftpb::{ConfState, Entry, Message, MessageType};
use raft_rs::storage::MemStorage;
use raft_rs::{Config, RawNode};
use slog::{Discard, Logger, o};

type Node = RawNode<MemStorage>;

/// Three nodes, of which the first is the leader.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    /// The in-flight messages.
    queue: VecDeque<Message>,
    /// Number of commands that each node has applied.
    applied: Vec<usize>,
}

impl Cluster {
    /// Makes a cluster that has elected its leader.
    pub(crate) fn new() -> Cluster {
        let nodes = (1..=3).map(|id| {
            let config = Config {
                // All pending entries go into one message.
                max_size_per_msg: 1 << 20,
                ..Config::new(id)
            };
            let storage = MemStorage::new_with_conf_state(ConfState::from((vec![1, 2, 3], vec![])));
            RawNode::new(&config, storage, &Logger::root(Discard, o!())).expect("the configuration is valid")
        });
        let mut cluster = Cluster { nodes: nodes.collect(), queue: VecDeque::new(), applied: vec![0; 3] };
        cluster.nodes[0].campaign().expect("the node can campaign");
        cluster.pump();
        cluster
    }

    /// Proposes these commands, several of them in one message, and delivers messages until all three nodes have
    /// applied them.
    pub(crate) fn replicate(&mut self, commands: &[[u8; 16]]) {
        let expected = self.applied[0] + commands.len();
        let leader = &mut self.nodes[0];
        match commands {
            [command] => leader.propose(Vec::new(), command.to_vec()).expect("the leader accepts the command"),
            _ => leader.step(proposal(commands)).expect("the leader accepts the commands"),
        }
        self.pump();
        assert!(self.applied.iter().all(|&applied| applied == expected), "all nodes have applied all commands");
    }

    fn pump(&mut self) {
        loop {
            for (node, applied) in self.nodes.iter_mut().zip(&mut self.applied) {
                while node.has_ready() {
                    carry_out(node, applied, &mut self.queue);
                }
            }
            if self.queue.is_empty() {
                return;
            }
            while let Some(message) = self.queue.pop_front() {
                self.nodes[message.to as usize - 1].step(message).expect("a node accepts the messages of another");
            }
        }
    }
}

/// Makes one message that proposes all commands.
fn proposal(commands: &[[u8; 16]]) -> Message {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgPropose);
    message.from = 1;
    let entry = |command: &[u8; 16]| Entry { data: command.to_vec().into(), ..Entry::default() };
    message.entries = commands.iter().map(entry).collect::<Vec<_>>().into();
    message
}

/// Carries out the `Ready` of a node.
fn carry_out(node: &mut Node, applied: &mut usize, queue: &mut VecDeque<Message>) {
    let mut apply = |entries: Vec<Entry>| *applied += entries.iter().filter(|entry| !entry.data.is_empty()).count();
    let mut ready = node.ready();
    queue.extend(ready.take_messages());
    apply(ready.take_committed_entries());
    let storage = node.raft.raft_log.store.clone();
    storage.wl().append(ready.entries()).expect("memory does not fail");
    if let Some(hard_state) = ready.hs() {
        storage.wl().set_hardstate(hard_state.clone());
    }
    queue.extend(ready.take_persisted_messages());
    let mut rest = node.advance(ready);
    if let Some(commit) = rest.commit_index() {
        storage.wl().mut_hard_state().set_commit(commit);
    }
    queue.extend(rest.take_messages());
    apply(rest.take_committed_entries());
    node.advance_apply();
}

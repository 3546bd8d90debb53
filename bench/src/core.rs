//! The core of our Raft alone: three servers, driven by one thread, with a queue between them.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::core::{AppendEntriesArgs, AppendEntriesReply, Core, Effects, SentRequest};
use raftapi::{ApplyMsg, ServerId};

/// Three servers, of which the first is the leader.
pub(crate) struct Cluster {
    servers: Vec<Core>,
    /// The in-flight messages.
    queue: VecDeque<Message>,
    /// Number of commands that each server has applied.
    applied: Vec<usize>,
}

enum Message {
    Request { to: ServerId, args: AppendEntriesArgs, sent: SentRequest },
    Reply { from: ServerId, sent: SentRequest, reply: AppendEntriesReply },
}

const LEADER: ServerId = ServerId(0);

impl Cluster {
    /// Makes a cluster that has elected its leader.
    pub(crate) fn new() -> Cluster {
        let mut servers: Vec<Core> = (0..3).map(|id| Core::new(ServerId(id), 3)).collect();
        let requests = servers[LEADER.0].election_timeout().request_votes;
        for (peer, args) in requests {
            let (reply, _saved) = servers[peer.0].handle_request_vote(args);
            let _elected = servers[LEADER.0].handle_request_vote_reply(peer, args.term, reply);
        }
        assert!(servers[LEADER.0].is_leader(), "all servers have voted for it");
        Cluster { servers, queue: VecDeque::new(), applied: vec![0; 3] }
    }

    /// Proposes these commands, one after the other, and delivers messages until all three servers have applied them.
    pub(crate) fn replicate(&mut self, commands: &[[u8; 16]]) {
        let expected = self.applied[0] + commands.len();
        self.propose(commands);
        while let Some(message) = self.queue.pop_front() {
            self.deliver(message);
        }
        assert!(self.applied.iter().all(|&applied| applied == expected), "all servers have applied all commands");
    }

    fn propose(&mut self, commands: &[[u8; 16]]) {
        let commands = commands.iter().map(|command| Bytes::copy_from_slice(command));
        let (_, effects) = self.servers[LEADER.0].propose_many(commands).expect("the leader accepts the commands");
        self.carry_out(LEADER, &effects);
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request { to, args, sent } => {
                let (reply, effects) = self.servers[to.0].handle_append_entries(args);
                self.carry_out(to, &effects);
                self.queue.push_back(Message::Reply { from: to, sent, reply });
            }
            Message::Reply { from, sent, reply } => {
                let effects = self.servers[LEADER.0].handle_append_entries_reply(from, &sent, reply);
                self.carry_out(LEADER, &effects);
            }
        }
    }

    /// Carries out the effects of a step. Nothing is saved; the log stays in the core's memory.
    fn carry_out(&mut self, who: ServerId, effects: &Effects) {
        let core = &mut self.servers[who.0];
        if effects.commit_advanced.is_some() {
            let commands = core.take_committed();
            self.applied[who.0] +=
                commands.iter().filter(|message| matches!(message, ApplyMsg::Command { .. })).count();
        }
        for to in effects.replicate_to.iter() {
            let entries = core.append_entries(to);
            let notice = || if core.needs_commit_notice(to) { core.heartbeat(to) } else { None };
            if let Some((args, sent)) = entries.or_else(notice) {
                self.queue.push_back(Message::Request { to, args, sent });
            }
        }
    }
}

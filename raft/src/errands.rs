//! What an event leaves to be done when the lock is released: telling others, and sending.
//!
//! The thread that brought the event does it. So if the network takes no time, a command goes out on the thread of the client
//! that proposed it, and everything up to its commitment happens there, without a hand-over between threads
//! ([`ClientEnd::call_promptly`](labrpc::ClientEnd::call_promptly)); and if it does, a thread of the network's waits for the
//! answer and goes on from there. The replicators (`replicator.rs`) do what a moment has to bring about, and what is left when
//! one thread has sent for long enough: it may be that of a client, who wants to go on.

use labrpc::Prompt;
use labstd::sync::Arc;
use raftapi::{Index, ServerId};

use crate::core::{RequestVoteArgs, Sent, Servers};
use crate::reads::Reader;
use crate::replicator::{self, Reply, Request};
use crate::server::Shared;

/// How many requests a thread sends for one event. An event leaves one a peer; its answers may leave more, if others have
/// proposed meanwhile.
const SENT_FOR_ONE_EVENT_MAX: usize = 8;

/// What is left to be done after an event.
#[derive(Default)]
pub(crate) struct Errands {
    /// A leader has committed more, and the consumer is to be told at once: clients wait.
    pub(crate) deliver: bool,
    /// Reads that are settled: with an index if they are confirmed.
    pub(crate) settled: Vec<(Reader, Option<Index>)>,
    /// A candidate asks for votes.
    pub(crate) vote_requests: Vec<(ServerId, RequestVoteArgs)>,
    /// A leader has something for these peers.
    pub(crate) to_serve: Servers,
    /// More may be proposed at this very moment: to peers that cannot be reached without delay the replicators send, which
    /// take all of it together.
    pub(crate) more_may_come: bool,
}

/// Who sends what a leader has for its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// The thread that has brought the event.
    Here,
    /// The same if it takes no time; else the peers' replicators.
    HereIfAtOnce,
    /// The peers' replicators.
    ByReplicators,
}

impl Shared {
    /// Does what is left, and what that leaves.
    pub(crate) fn run(self: &Arc<Self>, errands: Errands) {
        let more_may_come = errands.more_may_come;
        let to_serve = self.tell(errands);
        self.serve_peers(to_serve, more_may_come);
    }

    /// Sends to these peers; to those that cannot be reached at once not if `more_may_come`, but wakes their replicators.
    ///
    /// What goes to a peer is looked up when it is the peer's turn: by then more may have come together, or another thread
    /// may have sent it.
    pub(crate) fn serve_peers(self: &Arc<Self>, mut to_serve: Servers, more_may_come: bool) {
        let (mut peer, mut sent_so_far) = (ServerId(Servers::MAX - 1), 0);
        // In turns: answers may bring more for the peer that has given them.
        while let Some(next) = to_serve.next_after(peer) {
            peer = next;
            to_serve.remove(peer);
            if more_may_come && !self.peers[peer.0].takes_no_time() {
                self.replicate[peer.0].notify_one();
                continue;
            }
            let Some((request, sent)) = self.request_for(peer) else { continue };
            sent_so_far += 1;
            let Prompt::Done(reply) = replicator::send(self, peer, &request, sent) else { continue };
            let sending = match sent_so_far < SENT_FOR_ONE_EVENT_MAX {
                true => Sending::Here,
                false => Sending::ByReplicators,
            };
            let more = self.answered(peer, &sent, reply, sending);
            to_serve = to_serve.and(self.tell(more));
        }
    }

    fn request_for(&self, peer: ServerId) -> Option<(Request, Sent)> {
        if self.killed() { None } else { replicator::next_request(&mut self.state.lock(), peer) }
    }

    /// Gives the outcome of a request to the core.
    pub(crate) fn answered(&self, peer: ServerId, sent: &Sent, reply: Option<Reply>, sending: Sending) -> Errands {
        if self.killed() {
            return Errands::default();
        }
        let mut state = self.state.lock();
        let link = &mut state.links[peer.0];
        link.answered_in_a_row = if reply.is_some() { link.answered_in_a_row.saturating_add(1) } else { 0 };
        let effects = match reply {
            Some(Reply::AppendEntries(reply)) => state.core.handle_append_entries_reply(peer, sent, reply),
            Some(Reply::InstallSnapshot(reply)) => state.core.handle_install_snapshot_reply(peer, sent, reply),
            None => state.core.request_failed(peer, sent),
        };
        self.carry_out(&mut state, effects, sending)
    }

    /// Tells those who wait for something; what is to be sent to the peers of a leader is left.
    fn tell(self: &Arc<Self>, errands: Errands) -> Servers {
        let Errands { deliver, settled, vote_requests, to_serve, .. } = errands;
        if deliver {
            let _told = self.deliver();
        }
        settled.into_iter().for_each(|(reader, index)| reader.tell(index));
        self.ask_for_votes(vote_requests);
        to_serve
    }
}

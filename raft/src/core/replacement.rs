//! Replacement of a server that has lost its data. The paper assumes that saved state is never lost. A server that
//! comes back without it could give a second vote in one term, or help to elect a leader without an entry that it had
//! acknowledged. So an empty server takes the place of the lost one in these steps:
//!
//! 1. Every other server that has its data gives an answer: its term and its commit index. Before it answers, it saves
//!    that the server was replaced, restarts the server's [`Progress`](super::Progress)
//!    ([`peer_replaced`](Core::peer_replaced)), and from then on discards messages of the lost server.
//! 2. The new server starts in the highest term of the answers, with its own vote given in that term. The lost server
//!    may have voted in any term up to this one, so the new server never votes in them.
//! 3. It stores and acknowledges entries at once. An acknowledgement says that all entries up to an index are stored,
//!    and this is true.
//! 4. It neither votes nor starts an election until it has stored everything up to the highest commit index of the
//!    answers, and until the leader that it follows has committed an entry of its own term ([`Core::set_catch_up`]).
//!
//! # Why this is safe
//!
//! Let `L` be a leader that committed an entry with the lost server's acknowledgement. `L` counted it before it
//! answered, because afterwards it discards it. If `L` still leads the same term, its answer included the entry's
//! index. If another server leads a later term, it was elected by servers that had the entry: all voters except the
//! new server, which has not voted. So that leader has the entry, before its first own entry. In both cases the new
//! server has the entry when it votes again.
//!
//! A vote of the lost server counts only for a candidate of that term. The candidate had that term when it answered,
//! because it had asked for the vote before. So the new server never votes in that term again. Both arguments need the
//! answer of *every* other server: the candidate or the leader may be the one that did not answer.

use raftapi::{Index, ServerId};

use super::{Core, Effects, Role};

impl Core {
    /// Declares that this server has lost its data, and must store everything up to `index` before it votes. Call this
    /// on a restarted server before its first event. The saved term must be the highest term of the other servers'
    /// answers, with this server's vote given to itself, or a later term.
    pub fn set_catch_up(&mut self, index: Index) {
        self.catch_up_to = Some(index);
    }

    /// Returns the index that this replaced server must store before it votes; `None` if it may vote.
    pub fn catch_up_to(&self) -> Option<Index> {
        self.catch_up_to
    }

    /// Handles the replacement of `peer` by a server without data. Nothing that the peer acknowledged before is true
    /// any more.
    pub fn peer_replaced(&mut self, peer: ServerId) -> Effects {
        let mut effects = Effects::default();
        let last_index = self.log.last_index();
        match &mut self.role {
            Role::Leader { peers, .. } => {
                if let Some(progress) = peers.get_mut(peer) {
                    progress.restart(last_index);
                }
                self.replicate_to_peer(peer, &mut effects);
            }
            Role::Candidate { votes } => {
                votes.remove(&peer);
            }
            Role::Follower { .. } => {}
        }
        effects
    }

    /// Lets a replaced server vote again if it has stored everything that it must store.
    pub(super) fn note_caught_up(&mut self) {
        let of_this_term = self.log.term(self.commit_index) == Some(self.current_term);
        if of_this_term && self.catch_up_to.is_some_and(|index| index <= self.commit_index) {
            self.catch_up_to = None;
        }
    }
}

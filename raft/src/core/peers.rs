//! The followers of a leader: one [`Progress`] for each other server (Figure 2, "volatile state on leaders").

use raftapi::ServerId;
use smallvec::SmallVec;

use super::Progress;

/// The progress of each other server. There are few servers, and every reply looks at all of them, so a vector holds
/// them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Peers {
    /// The leader, which has no entry here.
    me: ServerId,
    /// Ordered by server, without the leader.
    others: Vec<Progress>,
}

impl Peers {
    /// Creates the progress of each of the `servers` except `me`, all equal to `begin`.
    pub(super) fn new(me: ServerId, servers: usize, begin: &Progress) -> Peers {
        Peers { me, others: vec![begin.clone(); servers - 1] }
    }

    pub(super) fn get(&self, peer: ServerId) -> Option<&Progress> {
        self.others.get(self.position(peer)?)
    }

    pub(super) fn get_mut(&mut self, peer: ServerId) -> Option<&mut Progress> {
        let position = self.position(peer)?;
        self.others.get_mut(position)
    }

    /// Returns all of them, in the order of the servers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ServerId, &Progress)> {
        let me = self.me.0;
        (0..).map(move |position| ServerId(position + usize::from(position >= me))).zip(&self.others)
    }

    /// Returns the highest value above `floor` that at least `count` servers have reached. The leader counts with its
    /// `own` value.
    pub(super) fn reached_by<T>(&self, count: usize, floor: T, own: T, of_peer: impl Fn(&Progress) -> T) -> Option<T>
    where
        T: Copy + Ord,
    {
        let reached = self.others.iter().map(of_peer).chain([own]);
        // Most replies raise only the value of the peer that replied, so few values are above the floor.
        let mut above: SmallVec<[T; 8]> = reached.filter(|&value| value > floor).collect();
        let position = above.len().checked_sub(count)?;
        above.sort_unstable();
        Some(above[position])
    }

    fn position(&self, peer: ServerId) -> Option<usize> {
        (peer != self.me).then(|| peer.0 - usize::from(peer.0 > self.me.0))
    }
}

#[cfg(test)]
mod tests {
    use raftapi::Index;

    use super::*;

    fn peers(me: usize, servers: usize) -> Peers {
        Peers::new(ServerId(me), servers, &Progress::new(Index(1)))
    }

    #[test]
    fn each_other_server_has_its_own_progress() {
        for servers in 1..6 {
            for me in 0..servers {
                let mut peers = peers(me, servers);
                let others: Vec<ServerId> = (0..servers).filter(|&server| server != me).map(ServerId).collect();
                for &peer in &others {
                    *peers.get_mut(peer).expect("a peer") = Progress::new(Index(10 + peer.0 as u64));
                }
                assert_eq!(peers.iter().map(|(peer, _)| peer).collect::<Vec<_>>(), others);
                for (peer, progress) in peers.iter() {
                    assert_eq!(progress.next_index(), Index(11 + peer.0 as u64));
                    assert_eq!(peers.get(peer).map(Progress::next_index), Some(progress.next_index()));
                }
                assert!(peers.get(ServerId(me)).is_none() && peers.get(ServerId(servers)).is_none());
            }
        }
    }

    #[test]
    fn reached_by_agrees_with_a_full_sort() {
        let next_indexes = [7, 3, 5, 3];
        for own in [1, 4, 5, 9] {
            let mut peers = peers(2, 5);
            for (position, next) in next_indexes.into_iter().enumerate() {
                peers.others[position] = Progress::new(Index(next - 1));
            }
            let mut in_order: Vec<u64> = next_indexes.into_iter().chain([own]).collect();
            in_order.sort_unstable_by(|a, b| b.cmp(a));
            for count in 1..=5 {
                for floor in 0..10 {
                    let reached = peers.reached_by(count, Index(floor), Index(own), Progress::next_index);
                    let expected = Some(Index(in_order[count - 1])).filter(|&index| index > Index(floor));
                    assert_eq!(reached, expected, "{count} of {in_order:?}, above {floor}");
                }
            }
        }
    }
}

//! A set of servers that fits into one word, so copying it is cheap.

use std::fmt;

use raftapi::ServerId;

/// A set of a cluster's servers. A cluster has at most [`ServerSet::MAX`] of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerSet(u64);

impl ServerSet {
    /// The largest number of servers in a cluster, one for each bit of a word. A larger cluster would only be slower:
    /// the leader sends every entry to all servers and waits for half of them.
    pub const MAX: usize = u64::BITS as usize;

    /// Adds a server, if it is not in the set.
    ///
    /// # Panics
    ///
    /// If its number is not below [`ServerSet::MAX`].
    pub fn insert(&mut self, server: ServerId) {
        self.0 |= bit(server);
    }

    /// Removes a server, if it is in the set.
    pub fn remove(&mut self, server: ServerId) {
        self.0 &= !bit(server);
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the servers that are in this set or in `other`.
    #[must_use]
    pub fn union(self, other: ServerSet) -> ServerSet {
        ServerSet(self.0 | other.0)
    }

    /// Returns the first server after `server`, in the order of their numbers. After the last one it wraps around to
    /// the first.
    pub fn next_after(self, server: ServerId) -> Option<ServerId> {
        let behind = self.0 & u64::MAX.checked_shl(server.0 as u32 + 1).unwrap_or(0);
        ServerSet(behind).first().or_else(|| self.first())
    }

    /// Returns the servers in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = ServerId> {
        let mut left = self;
        std::iter::from_fn(move || {
            let first = left.first()?;
            left.remove(first);
            Some(first)
        })
    }

    fn first(self) -> Option<ServerId> {
        (!self.is_empty()).then(|| ServerId(self.0.trailing_zeros() as usize))
    }
}

fn bit(server: ServerId) -> u64 {
    assert!(server.0 < ServerSet::MAX, "a cluster has at most {} servers, so {server} does not exist", ServerSet::MAX);
    1 << server.0
}

impl FromIterator<ServerId> for ServerSet {
    fn from_iter<I: IntoIterator<Item = ServerId>>(servers: I) -> ServerSet {
        let mut set = ServerSet::default();
        servers.into_iter().for_each(|server| set.insert(server));
        set
    }
}

impl fmt::Debug for ServerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(servers: &[usize]) -> ServerSet {
        servers.iter().copied().map(ServerId).collect()
    }

    #[test]
    fn a_set_has_each_server_once_and_in_order() {
        let mut servers = set(&[63, 0, 5, 5]);
        assert_eq!(servers.iter().collect::<Vec<_>>(), [ServerId(0), ServerId(5), ServerId(63)]);
        servers.remove(ServerId(5));
        servers.remove(ServerId(6));
        assert_eq!(servers, set(&[0, 63]));
        assert_eq!(servers.union(set(&[1])), set(&[0, 1, 63]));
        assert!(ServerSet::default().is_empty() && !servers.is_empty());
    }

    #[test]
    fn next_after_wraps_around() {
        let servers = set(&[1, 4, 63]);
        let after = |server| servers.next_after(ServerId(server)).map(|next| next.0);
        assert_eq!([0, 1, 3, 4, 62, 63].map(after), [1, 4, 4, 63, 63, 1].map(Some));
        assert_eq!(ServerSet::default().next_after(ServerId(0)), None);
    }

    #[test]
    #[should_panic = "a cluster has at most 64 servers"]
    fn a_server_number_beyond_the_maximum_is_refused() {
        set(&[64]);
    }
}

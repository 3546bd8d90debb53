//! A set of servers, small enough to be handed from function to function at no cost.

use std::fmt;

use raftapi::ServerId;

/// Some of a cluster's servers, of which there are at most [`ServerSet::MAX`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerSet(u64);

impl ServerSet {
    /// How many servers a cluster can have. More would only be slower: every entry goes to all of them, and waits for half.
    pub const MAX: usize = u64::BITS as usize;

    /// Adds a server, if it is not there.
    ///
    /// # Panics
    ///
    /// If its number is not below [`ServerSet::MAX`].
    pub fn insert(&mut self, server: ServerId) {
        self.0 |= bit(server);
    }

    /// Takes a server out, if it is there.
    pub fn remove(&mut self, server: ServerId) {
        self.0 &= !bit(server);
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All that are in this set or in the `other`.
    #[must_use]
    pub fn union(self, other: ServerSet) -> ServerSet {
        ServerSet(self.0 | other.0)
    }

    /// The first one after `server`, in the order of their numbers; after the last comes the first again.
    pub fn next_after(self, server: ServerId) -> Option<ServerId> {
        let behind = self.0 & u64::MAX.checked_shl(server.0 as u32 + 1).unwrap_or(0);
        ServerSet(behind).first().or_else(|| self.first())
    }

    /// All of them, in the order of their numbers.
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
    assert!(
        server.0 < ServerSet::MAX,
        "a cluster has {} servers at most, and {server} is not one of them",
        ServerSet::MAX
    );
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
    #[should_panic = "a cluster has 64 servers at most"]
    fn a_server_number_beyond_the_maximum_is_refused() {
        set(&[64]);
    }
}

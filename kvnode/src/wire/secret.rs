//! Who a server is, and the secret by which the servers of a cluster know each other.

use std::fmt;

use raftapi::ServerId;
use snow::params::HashChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

/// The fewest bytes that a secret may have. What goes over the network lets somebody who listens try out guesses, as many as
/// they like; so a secret must be one that nobody guesses.
pub const SECRET_BYTES_MIN: usize = 16;

/// The secret that all servers of a cluster share, as a key. It is never shown.
#[derive(Clone)]
pub struct Secret(pub(crate) [u8; 32]);

impl Secret {
    /// From what the operator wrote down: random bytes, in whatever spelling. White space around it does not count, so that
    /// a file may end with a new line.
    ///
    /// # Errors
    ///
    /// One line, if it is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(text: &[u8]) -> Result<Secret, String> {
        let text = text.trim_ascii();
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "the cluster's secret has {} bytes, which can be guessed: use {SECRET_BYTES_MIN} random ones at least, \
                 such as `openssl rand -hex 32` prints",
                text.len()
            ));
        }
        let mut hash = DefaultResolver.resolve_hash(&HashChoice::Blake2s).expect("snow is built with BLAKE2");
        hash.input(b"kvnode: the secret of a cluster\0");
        hash.input(text);
        let mut key = [0; 32];
        hash.result(&mut key);
        Ok(Secret(key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Which server of which cluster this is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's name. It keeps servers of different clusters apart that know the same secret; it is no secret itself.
    pub cluster: String,
    /// This server.
    pub me: ServerId,
    /// How many servers the cluster has, this one included: their ids are below it.
    pub servers: usize,
    /// What only servers of the cluster know.
    pub secret: Secret,
}

impl Identity {
    /// Whether `id` is another server of this cluster.
    pub(crate) fn is_peer(&self, id: ServerId) -> bool {
        id != self.me && id.0 < self.servers
    }
}

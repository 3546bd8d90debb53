//! The identity of a server, and the secret by which the servers of a cluster authenticate each other.

use std::fmt;
use std::sync::Arc;

use raftapi::ServerId;
use snow::params::HashChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

use super::Greeter;

/// The fewest bytes of a secret. An eavesdropper on the network can try any number of guesses offline, so a secret must
/// be impossible to guess.
pub const SECRET_BYTES_MIN: usize = 16;

/// The secret that all servers of a cluster share, as a key. It is never shown.
#[derive(Clone)]
pub struct Secret(pub(crate) [u8; 32]);

impl Secret {
    /// Derives the key from the operator's text: random bytes, in any spelling. White space around the text is ignored,
    /// so that a file may end with a newline.
    ///
    /// # Errors
    ///
    /// One line, if the text is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(text: &[u8]) -> Result<Secret, String> {
        let text = text.trim_ascii();
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "the cluster's secret has {} bytes, which can be guessed: use at least {SECRET_BYTES_MIN} random bytes, \
                 such as the output of `openssl rand -hex 32`",
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

impl Secret {
    /// Returns the key of servers on one machine that were given no secret. Any process on this machine may know it.
    pub fn of_loopback() -> Secret {
        Secret::new(b"servers of one machine, without a secret").expect("the text is long enough")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The identity of a server within its cluster.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's name. It tells apart clusters that share the same secret. It is not secret itself.
    pub cluster: String,
    /// The id of this server.
    pub me: ServerId,
    /// The number of servers in the cluster, with this one. Their ids are below it.
    pub servers: usize,
    /// The secret that only the servers of the cluster know.
    pub secret: Secret,
    /// The author and reader of greetings between this server and the others.
    pub greeter: Arc<dyn Greeter>,
}

impl Identity {
    /// Returns whether `id` is another server of this cluster.
    pub(crate) fn is_peer(&self, id: ServerId) -> bool {
        id != self.me && id.0 < self.servers
    }
}

//! The greetings that two servers exchange after they have authenticated each other, before the first message. The wire
//! does not know their content: the owner of a server decides which other servers it admits.

use std::fmt;

use bytes::Bytes;
use raftapi::ServerId;

/// Author and reader of greetings. The methods are called on the threads of connections, several at once. They must
/// return within [`Limits::handshake`](super::Limits::handshake).
pub trait Greeter: fmt::Debug + Send + Sync {
    /// Returns the greeting for server `to`, to which this server has connected.
    ///
    /// # Errors
    ///
    /// One clause, if this server cannot greet now.
    fn greeting(&self, to: ServerId) -> Result<Bytes, String>;

    /// Returns the answer to the greeting of server `from`, which has connected to this server. The result says whether
    /// `from` is admitted, with the reason if it is not. The answer is sent in both cases.
    fn answer(&self, from: ServerId, greeting: &Bytes) -> (Bytes, Result<(), String>);

    /// Reads the answer of server `to` to this server's greeting.
    ///
    /// # Errors
    ///
    /// One clause that says which server refuses the other, and why.
    fn accept(&self, to: ServerId, answer: &Bytes) -> Result<(), String>;
}

/// The greeter of servers that keep no record of each other: it admits every authenticated server. For tests and
/// measurements of the wire alone.
#[derive(Clone, Copy, Debug)]
pub struct AdmitAll;

impl Greeter for AdmitAll {
    fn greeting(&self, _to: ServerId) -> Result<Bytes, String> {
        Ok(Bytes::new())
    }

    fn answer(&self, _from: ServerId, _greeting: &Bytes) -> (Bytes, Result<(), String>) {
        (Bytes::new(), Ok(()))
    }

    fn accept(&self, _to: ServerId, _answer: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

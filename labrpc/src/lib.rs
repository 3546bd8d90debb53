//! The unreliable in-process network of the lab.
//!
//! (Interfaces only so far.)
#![allow(missing_docs, unused_variables, dead_code)]

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The name of an end or of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

#[derive(Clone)]
pub struct Network {}

#[derive(Clone)]
pub struct ClientEnd {}

impl ClientEnd {
    /// `None` is the lab's `false`.
    pub fn call<Args, Reply>(&self, method: &str, args: &Args) -> Option<Reply>
    where
        Args: Serialize + 'static,
        Reply: DeserializeOwned + 'static,
    {
        None
    }
}

pub struct Server {}

pub struct Service {}

impl Service {
    pub fn new(name: &'static str) -> Service {
        Service {}
    }

    /// A handler that may block: it runs on a pooled thread and can be abandoned.
    pub fn method<Args, Reply>(
        self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        self
    }

    /// A handler that never blocks (beyond a short lock): it may run on the caller's thread.
    pub fn nonblocking_method<Args, Reply>(
        self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        self
    }
}

//! What a server offers: services, their methods, and the typed handlers behind them. A handler sees a value of its own
//! that was decoded from bytes, and what it returns is encoded at once: nothing but bytes crosses the network.

use std::any::{self, TypeId};
use std::fmt;

use labstd::sync::Arc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, Sealed};
use crate::packet::Packet;

/// A named set of methods, such as `Raft` with `AppendEntries` and `RequestVote`. A [`Server`](crate::Server) has one
/// or more of them.
pub struct Service {
    name: &'static str,
    /// In the order of their names. There are few: to look at one after the other is the fastest way to find one.
    methods: Vec<(&'static str, Arc<Method>)>,
}

/// One method of a service, its types forgotten but for their names.
pub(crate) struct Method {
    pub(crate) types: Types,
    pub(crate) handler: Handler,
}

/// How a method is run. Each decodes the arguments, runs what the service has given, and encodes the reply.
pub(crate) enum Handler {
    /// It never blocks: it runs on the caller's thread.
    Prompt(Box<Replies>),
    /// It may block, and therefore has to run where it can be abandoned.
    Blocking(Box<Replies>),
    /// It never blocks, and its answer may come later.
    Deferred(Box<Defers>),
}

type Replies = dyn Fn(&[u8]) -> Packet + Send + Sync;
type Defers = dyn Fn(&[u8], Sealed) + Send + Sync;

/// The types of a method's arguments and reply, as a caller or a handler has them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    args: Type,
    reply: Type,
}

#[derive(Clone, Copy)]
struct Type {
    id: TypeId,
    name: &'static str,
}

/// The name follows from the id.
impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        self.id == other.id
    }
}

impl Eq for Type {}

impl Service {
    /// A service without methods.
    pub fn new(name: &'static str) -> Service {
        Service { name, methods: Vec::new() }
    }

    /// Adds a method whose handler may block: it runs on a pooled thread, and a caller whose server is removed or whose
    /// end is disabled meanwhile does not wait for it.
    ///
    /// # Panics
    ///
    /// If the service has a method of this name.
    #[must_use]
    pub fn method<Args, Reply>(
        self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let run = self.reply_to(name, handler);
        self.with::<Args, Reply>(name, Handler::Blocking(run))
    }

    /// Adds a method whose handler never blocks, short locks apart: it runs on the caller's thread, which costs no
    /// hand-over but cannot be abandoned.
    ///
    /// # Panics
    ///
    /// If the service has a method of this name.
    #[must_use]
    pub fn nonblocking_method<Args, Reply>(
        self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let run = self.reply_to(name, handler);
        self.with::<Args, Reply>(name, Handler::Prompt(run))
    }

    /// Adds a method whose handler never blocks, short locks apart, but may leave the answer to somebody else: it is given an
    /// [`Answer`] to give then or later, on any thread. The handler runs on the caller's thread, and no thread waits for the
    /// answer but the caller's, which stops waiting when its server is removed or its end is disabled.
    ///
    /// # Panics
    ///
    /// If the service has a method of this name.
    #[must_use]
    pub fn deferred_method<Args, Reply>(
        self,
        name: &'static str,
        handler: impl Fn(Args, Answer<Reply>) + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let service = self.name;
        let run = move |bytes: &[u8], answer: Sealed| handler(decode(service, name, bytes), Answer::new(answer));
        self.with::<Args, Reply>(name, Handler::Deferred(Box::new(run)))
    }

    /// A handler that replies at its end, its types forgotten.
    fn reply_to<Args, Reply>(
        &self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Box<Replies>
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let service = self.name;
        Box::new(move |bytes: &[u8]| Packet::of(&handler(decode(service, name, bytes))))
    }

    fn with<Args: 'static, Reply: 'static>(mut self, name: &'static str, handler: Handler) -> Service {
        assert!(self.find(name).is_none(), "service {} has two methods {name}", self.name);
        let place = self.methods.partition_point(|(other, _)| *other < name);
        self.methods.insert(place, (name, Arc::new(Method { types: Types::of::<Args, Reply>(), handler })));
        self
    }

    /// The name given at the making.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The names of its methods, in order.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().map(|&(name, _)| name)
    }

    pub(crate) fn find(&self, method: &str) -> Option<&Arc<Method>> {
        self.methods.iter().find(|(name, _)| *name == method).map(|(_, method)| method)
    }
}

fn decode<Args: DeserializeOwned>(service: &str, method: &str, bytes: &[u8]) -> Args {
    labgob::decode(bytes)
        .unwrap_or_else(|error| panic!("the arguments of {service}.{method} do not survive encoding: {error}"))
}

impl Types {
    pub(crate) fn of<Args: 'static, Reply: 'static>() -> Types {
        Types { args: Type::of::<Args>(), reply: Type::of::<Reply>() }
    }
}

impl Type {
    fn of<T: 'static>() -> Type {
        Type { id: TypeId::of::<T>(), name: any::type_name::<T>() }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.args.name, self.reply.name)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("methods", &self.methods().collect::<Vec<_>>())
            .finish()
    }
}

//! Services, their methods, and the typed handlers behind them. A handler receives its own value, decoded from bytes,
//! and its result is encoded at once. So only bytes cross the network.

use std::any::{self, TypeId};
use std::fmt;

use labstd::sync::Arc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, ErasedAnswer};
use crate::payload::Payload;

/// A named set of methods, such as `Raft` with `AppendEntries` and `RequestVote`. A [`Server`](crate::Server) has one
/// or more of them.
pub struct Service {
    name: &'static str,
    /// The methods, sorted by name. There are few, so a linear search is the fastest way to find one.
    methods: Vec<(&'static str, Arc<Method>)>,
}

/// One method of a service. Of its types only the ids and the names are left.
pub(crate) struct Method {
    pub(crate) types: Types,
    pub(crate) handler: Handler,
}

/// The handler of a method. It decodes the arguments, calls the service's function, and encodes the reply.
pub(crate) enum Handler {
    /// A handler that never blocks; it runs on the caller's thread.
    Inline(Box<ReplyFn>),
    /// A handler that may block; it runs on a pooled thread, so that its caller can abandon it.
    Blocking(Box<ReplyFn>),
    /// A handler that never blocks and may answer later.
    Deferred(Box<AnswerFn>),
}

type ReplyFn = dyn Fn(&[u8]) -> Payload + Send + Sync;
type AnswerFn = dyn Fn(&[u8], ErasedAnswer) + Send + Sync;

/// The types of a method's arguments and reply, as its caller or its handler declares them.
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

/// Compares the ids alone, because the name follows from the id.
impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        self.id == other.id
    }
}

impl Eq for Type {}

impl Service {
    /// Makes a service without methods.
    pub fn new(name: &'static str) -> Service {
        Service { name, methods: Vec::new() }
    }

    /// Adds a method whose handler may block. The handler runs on a pooled thread. Its caller stops waiting when the
    /// server is removed or the caller's end is disabled.
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
        let run = self.erase_types(name, handler);
        self.with::<Args, Reply>(name, Handler::Blocking(run))
    }

    /// Adds a method whose handler never blocks, except on short locks. The handler runs on the caller's thread. That
    /// saves a handover between threads, but the caller cannot abandon the handler.
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
        let run = self.erase_types(name, handler);
        self.with::<Args, Reply>(name, Handler::Inline(run))
    }

    /// Adds a method whose handler never blocks, except on short locks, and may answer later. The handler receives an
    /// [`Answer`], which any thread may give at any time. The handler runs on the caller's thread. Only the caller's
    /// thread waits for the answer, and it stops waiting when the server is removed or the caller's end is disabled.
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
        let run = move |bytes: &[u8], answer: ErasedAnswer| handler(decode(service, name, bytes), Answer::new(answer));
        self.with::<Args, Reply>(name, Handler::Deferred(Box::new(run)))
    }

    /// Wraps a handler that returns its reply into a function from bytes to a payload.
    fn erase_types<Args, Reply>(
        &self,
        name: &'static str,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Box<ReplyFn>
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let service = self.name;
        Box::new(move |bytes: &[u8]| Payload::encode(&handler(decode(service, name, bytes))))
    }

    fn with<Args: 'static, Reply: 'static>(mut self, name: &'static str, handler: Handler) -> Service {
        assert!(self.find(name).is_none(), "service {} has two methods {name}", self.name);
        let index = self.methods.partition_point(|(other, _)| *other < name);
        self.methods.insert(index, (name, Arc::new(Method { types: Types::of::<Args, Reply>(), handler })));
        self
    }

    /// The name that the service was made with.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the names of the methods, sorted.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().map(|&(name, _)| name)
    }

    pub(crate) fn find(&self, method: &str) -> Option<&Arc<Method>> {
        self.methods.iter().find(|(name, _)| *name == method).map(|(_, method)| method)
    }
}

#[inline]
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

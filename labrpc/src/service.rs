//! What a server offers: services, their methods, and the typed handlers behind them. A handler sees a value of its own
//! that was decoded from bytes, and what it returns is encoded at once: nothing but bytes crosses the network.

use std::any::{self, TypeId};
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use labstd::sync::Arc;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A named set of methods, such as `Raft` with `AppendEntries` and `RequestVote`. A [`Server`](crate::Server) has one
/// or more of them.
pub struct Service {
    name: &'static str,
    methods: BTreeMap<&'static str, Arc<Method>>,
}

/// One method of a service, its types forgotten but for their names.
pub(crate) struct Method {
    pub(crate) types: Types,
    /// Whether the handler may block, and therefore has to run where it can be abandoned.
    pub(crate) blocks: bool,
    /// Decodes the arguments, runs the handler, encodes its reply.
    pub(crate) run: Box<Handler>,
}

type Handler = dyn Fn(&[u8]) -> Bytes + Send + Sync;

/// The types of a method's arguments and reply, as a caller or a handler has them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    args: Type,
    reply: Type,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Type {
    id: TypeId,
    name: &'static str,
}

impl Service {
    /// A service without methods.
    pub fn new(name: &'static str) -> Service {
        Service { name, methods: BTreeMap::new() }
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
        self.with(name, true, handler)
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
        self.with(name, false, handler)
    }

    fn with<Args, Reply>(
        mut self,
        name: &'static str,
        blocks: bool,
        handler: impl Fn(Args) -> Reply + Send + Sync + 'static,
    ) -> Service
    where
        Args: DeserializeOwned + 'static,
        Reply: Serialize + 'static,
    {
        let service = self.name;
        let run = Box::new(move |bytes: &[u8]| {
            let args = labgob::decode::<Args>(bytes)
                .unwrap_or_else(|error| panic!("the arguments of {service}.{name} do not survive encoding: {error}"));
            labgob::encode(&handler(args))
        });
        let method = Method { types: Types::of::<Args, Reply>(), blocks, run };
        let before = self.methods.insert(name, Arc::new(method));
        assert!(before.is_none(), "service {service} has two methods {name}");
        self
    }

    /// The name given at the making.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The names of its methods, in order.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.methods.keys().copied()
    }

    pub(crate) fn find(&self, method: &str) -> Option<&Arc<Method>> {
        self.methods.get(method)
    }
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
        f.debug_struct("Service").field("name", &self.name).field("methods", &self.methods.keys()).finish()
    }
}

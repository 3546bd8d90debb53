//! The configuration of a network: its ends, its servers, and the connections and faults between them.

use std::collections::BTreeMap;

use ids::ServerId;
use labstd::sync::{Arc, Weak};
use record::Loss;

use crate::Name;
use crate::server::RegisteredServer;
use crate::trace::Target;
use crate::waits::Waits;

/// The value that [`Shared`](crate::shared::Shared) keeps under its lock.
pub(crate) struct Config {
    pub(crate) reliable: bool,
    pub(crate) long_reordering: bool,
    pub(crate) ends: BTreeMap<Name, EndConfig>,
    pub(crate) servers: BTreeMap<Name, ServerSlot>,
    /// Number of ends that have had each name so far.
    made: BTreeMap<Name, u64>,
}

/// The configuration of one end.
pub(crate) struct EndConfig {
    pub(crate) enabled: bool,
    pub(crate) server: Option<Name>,
    /// The calls that wait on the end; they also tell this end from a later one of the same name.
    pub(crate) waits: Weak<Waits>,
}

/// The slot of one server name: the present server, or the id of the last one.
pub(crate) struct ServerSlot {
    pub(crate) server: Option<Arc<RegisteredServer>>,
    pub(crate) id: Option<ServerId>,
}

/// The part of the configuration that concerns one end.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) version: RouteVersion,
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    /// The server, if the end is enabled and connected and the server exists. It is not owned, because a server may own
    /// ends.
    pub(crate) server: Weak<RegisteredServer>,
}

/// The version of a route, which a call keeps to notice changes.
#[derive(Clone, Default)]
pub(crate) struct RouteVersion {
    /// The version of the configuration that the route was read from; 0 is older than any.
    pub(crate) config_version: u64,
    /// The server that the end is connected to.
    pub(crate) target: Option<Target>,
}

impl Config {
    /// Makes the configuration of a reliable network without ends and servers.
    pub(crate) fn new() -> Config {
        Config {
            reliable: true,
            long_reordering: false,
            ends: BTreeMap::new(),
            servers: BTreeMap::new(),
            made: BTreeMap::new(),
        }
    }

    /// Counts a new end of this name. Returns how many there have been, with the new one.
    pub(crate) fn count_end(&mut self, name: &Name) -> u64 {
        let made = self.made.entry(name.clone()).or_default();
        *made += 1;
        *made
    }

    /// Returns the configuration of the end of this name.
    ///
    /// # Panics
    ///
    /// If there is no such end.
    pub(crate) fn end_config(&mut self, end: &Name) -> &mut EndConfig {
        self.ends.get_mut(end).unwrap_or_else(|| panic!("there is no end {end}"))
    }

    /// Returns the configuration of this very end, not that of a later end with the same name.
    fn end_config_of(&self, name: &Name, waits: &Arc<Waits>) -> Option<&EndConfig> {
        self.ends.get(name).filter(|end_config| std::ptr::eq(end_config.waits.as_ptr(), Arc::as_ptr(waits)))
    }

    /// Returns the part of the configuration, which has this version, that concerns one end.
    pub(crate) fn route(&self, config_version: u64, name: &Name, waits: &Arc<Waits>) -> Route {
        let mut route = Route {
            version: RouteVersion { config_version, target: None },
            unreliable: !self.reliable,
            long_reordering: self.long_reordering,
            ..Route::default()
        };
        let Some(end_config) = self.end_config_of(name, waits) else { return route };
        if let Some(name) = &end_config.server {
            let slot = self.servers.get(name);
            let id = slot.and_then(|slot| slot.id);
            route.version.target = Some(id.map_or_else(|| Target::Named(name.clone()), Target::Server));
            if let Some(server) = slot.and_then(|slot| slot.server.as_ref())
                && end_config.enabled
            {
                route.server = Arc::downgrade(server);
            }
        }
        route
    }

    /// Checks that a call on this end that `server` handles may still be answered.
    ///
    /// # Errors
    ///
    /// If the end was disabled or deleted, or the server was removed or replaced.
    pub(crate) fn check_alive(
        &self,
        name: &Name,
        waits: &Arc<Waits>,
        server: &Arc<RegisteredServer>,
    ) -> Result<(), Loss> {
        let end_config = self.end_config_of(name, waits).ok_or(Loss::Abandoned)?;
        if !end_config.enabled {
            return Err(Loss::Unreachable);
        }
        let present = self.servers.get(server.name()).and_then(|slot| slot.server.as_ref());
        if present.is_some_and(|present| Arc::ptr_eq(present, server)) { Ok(()) } else { Err(Loss::ServerGone) }
    }
}

//! The selection of a record's events.

use std::collections::BTreeSet;

use ids::ServerId;
use record::{Event, Topic};

use super::spans_all_columns;
use crate::Error;
use crate::args::LogArgs;
use crate::moment::Moment;
use crate::server_filter::ServerFilter;

/// The events to print.
#[derive(Debug)]
pub(super) struct Selection {
    topics: BTreeSet<Topic>,
    /// The selected servers; `None` stands for events without a server. The empty set selects everything.
    servers: BTreeSet<Option<ServerId>>,
    /// Limits in nanoseconds, both inclusive.
    from: u64,
    to: u64,
}

impl Selection {
    /// The selection that `args` describe, for the record of a cluster with `servers` servers.
    ///
    /// # Errors
    ///
    /// Fails if `args` name a server that the cluster does not have, or if the end of the time range is before its
    /// start.
    pub(super) fn new(args: &LogArgs, servers: usize) -> Result<Selection, Error> {
        let exists = |filter: &&ServerFilter| filter.0.is_none_or(|server| server.0 < servers);
        if let Some(ServerFilter(Some(missing))) = args.servers.iter().find(|filter| !exists(filter)) {
            let servers_there = match servers {
                0 => "it has no servers".to_string(),
                1 => "it has only S0".to_string(),
                servers => format!("it has S0 to S{}", servers - 1),
            };
            return Err(Error::Usage(format!("the record has no server {missing}; {servers_there}")));
        }
        let (from, to) = (args.from.unwrap_or(Moment(0)), args.to.unwrap_or(Moment(u64::MAX)));
        if from > to {
            return Err(Error::Usage("--from is later than --to, so no event can be selected".to_string()));
        }
        let mut topics: BTreeSet<Topic> = args.topics.iter().copied().collect();
        if topics.is_empty() {
            topics.extend(Topic::ALL);
        }
        args.ignore.iter().for_each(|topic| {
            topics.remove(topic);
        });
        Ok(Selection { topics, servers: args.servers.iter().map(|filter| filter.0).collect(), from: from.0, to: to.0 })
    }

    /// Whether the events of a server, or the events without a server (`None`), are selected.
    pub(super) fn has_server(&self, server: Option<ServerId>) -> bool {
        self.servers.is_empty() || self.servers.contains(&server)
    }

    /// Whether the event is selected, apart from its time.
    pub(super) fn has(&self, event: &Event) -> bool {
        self.topics.contains(&event.kind.topic()) && (spans_all_columns(event) || self.has_server(event.server))
    }

    pub(super) fn is_before(&self, event: &Event) -> bool {
        event.at < self.from
    }

    pub(super) fn is_after(&self, event: &Event) -> bool {
        event.at > self.to
    }
}

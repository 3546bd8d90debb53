//! The selection of a record's events.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use ids::ServerId;
use record::{Event, Topic};

use super::spans_all_columns;
use crate::Error;
use crate::args::LogArgs;

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

/// A server, such as `2` or `S2`, or `tester`, which includes the network and the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerFilter(pub(crate) Option<ServerId>);

impl FromStr for ServerFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerFilter, String> {
        if text.eq_ignore_ascii_case("tester") {
            return Ok(ServerFilter(None));
        }
        let number = text.strip_prefix(['S', 's']).unwrap_or(text);
        match number.parse() {
            Ok(number) => Ok(ServerFilter(Some(ServerId(number)))),
            Err(_) => Err("a server is a number, such as 2, or 'tester' for everything else".to_string()),
        }
    }
}

/// A time on the run's clock, in nanoseconds: `1.25` and `1.25s` are seconds, `250ms` are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let (number, per_second) = match text.strip_suffix("ms") {
            Some(number) => (number, 1000.0),
            None => (text.strip_suffix('s').unwrap_or(text), 1.0),
        };
        let seconds = number.parse::<f64>().ok().map(|number| number / per_second);
        let nanos = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(|time| time.as_nanos());
        match nanos.map(u64::try_from) {
            Some(Ok(nanos)) => Ok(Moment(nanos)),
            _ => Err("a time is in seconds, such as 1.25 or 1.25s, or in milliseconds, such as 250ms".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_seconds_unless_they_name_a_unit() {
        for (text, nanos) in [
            ("0", 0),
            ("1.25", 1_250_000_000),
            ("1.25s", 1_250_000_000),
            ("250ms", 250_000_000),
            ("0.0001", 100_000),
            ("0.1ms", 100_000),
            ("119.9999", 119_999_900_000),
        ] {
            assert_eq!(text.parse(), Ok(Moment(nanos)), "{text}");
        }
        for wrong in ["", "s", "ms", "1.2.3", "-1", "inf", "NaN", "1h", "1 s", "1e30"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn servers_are_numbers_with_or_without_their_letter() {
        assert_eq!("2".parse(), Ok(ServerFilter(Some(ServerId(2)))));
        assert_eq!("S12".parse(), Ok(ServerFilter(Some(ServerId(12)))));
        assert_eq!("tester".parse(), Ok(ServerFilter(None)));
        for wrong in ["", "S", "-1", "SS1", "leader"] {
            assert!(wrong.parse::<ServerFilter>().is_err(), "{wrong}");
        }
    }
}

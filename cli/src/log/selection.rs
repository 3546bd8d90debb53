//! Which events of a record somebody wants to see.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use record::{Event, ServerId, Topic};

use super::is_for_all;
use crate::Error;
use crate::args::LogArgs;

/// What was asked for.
#[derive(Debug)]
pub(super) struct Selection {
    topics: BTreeSet<Topic>,
    /// `None` among them is what is no server; none at all: everything.
    places: BTreeSet<Option<ServerId>>,
    /// In nanoseconds, both included.
    from: u64,
    to: u64,
}

impl Selection {
    /// What `args` ask for, of the record of a cluster with so many servers.
    ///
    /// # Errors
    ///
    /// If they ask for a server that the cluster does not have, or for a time that ends before it begins.
    pub(super) fn new(args: &LogArgs, servers: usize) -> Result<Selection, Error> {
        let has = |place: &&Place| place.0.is_none_or(|server| server.0 < servers);
        if let Some(Place(Some(missing))) = args.servers.iter().find(|place| !has(place)) {
            let there_are = match servers {
                0 => "it has none".to_string(),
                1 => "it has only S0".to_string(),
                servers => format!("it has S0 to S{}", servers - 1),
            };
            return Err(Error::Usage(format!("there is no server {missing} in this record; {there_are}")));
        }
        let (from, to) = (args.from.unwrap_or(Moment(0)), args.to.unwrap_or(Moment(u64::MAX)));
        if from > to {
            return Err(Error::Usage("--from is later than --to; nothing lies between them".to_string()));
        }
        let mut topics: BTreeSet<Topic> = args.topics.iter().copied().collect();
        if topics.is_empty() {
            topics.extend(Topic::ALL);
        }
        args.ignore.iter().for_each(|topic| {
            topics.remove(topic);
        });
        Ok(Selection { topics, places: args.servers.iter().map(|place| place.0).collect(), from: from.0, to: to.0 })
    }

    /// Whether the events of a server, or of what is no server, are wanted.
    pub(super) fn has_server(&self, server: Option<ServerId>) -> bool {
        self.places.is_empty() || self.places.contains(&server)
    }

    /// Whether the event is wanted, whatever its time.
    pub(super) fn has(&self, event: &Event) -> bool {
        self.topics.contains(&event.kind.topic()) && (is_for_all(event) || self.has_server(event.server))
    }

    pub(super) fn is_before(&self, event: &Event) -> bool {
        event.at < self.from
    }

    pub(super) fn is_after(&self, event: &Event) -> bool {
        event.at > self.to
    }
}

/// A server, as `2` or `S2`; or `tester`, which is also the network and the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) Option<ServerId>);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if text.eq_ignore_ascii_case("tester") {
            return Ok(Place(None));
        }
        let number = text.strip_prefix(['S', 's']).unwrap_or(text);
        match number.parse() {
            Ok(number) => Ok(Place(Some(ServerId(number)))),
            Err(_) => Err("a server is a number, such as 2; all that is no server is 'tester'".to_string()),
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
    fn times_are_in_seconds_unless_they_say_otherwise() {
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
        assert_eq!("2".parse(), Ok(Place(Some(ServerId(2)))));
        assert_eq!("S12".parse(), Ok(Place(Some(ServerId(12)))));
        assert_eq!("tester".parse(), Ok(Place(None)));
        for wrong in ["", "S", "-1", "SS1", "leader"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}

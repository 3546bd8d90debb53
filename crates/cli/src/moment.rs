//! A time on a run's clock, as an argument.

use std::str::FromStr;
use std::time::Duration;

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
}

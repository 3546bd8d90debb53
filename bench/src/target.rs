//! Performance targets: the unit of a figure, the direction in which it is better, and the values that it should reach.

use std::fmt;

/// The target of one figure of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The label of this figure within the row; empty if it is the only one.
    pub(crate) label: &'static str,
    /// The unit of the figure.
    pub(crate) unit: Unit,
    /// The value that the project has to reach.
    pub(crate) must: f64,
    /// The best value that is known to be possible.
    pub(crate) goal: f64,
}

/// The unit of a figure. It determines whether more or less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Time: less is better.
    Seconds,
    /// Memory, in millions of bytes: less is better.
    Megabytes,
    /// Operations per second: more is better.
    EachSecond,
    /// Our cost, divided by that of the other side: less is better.
    TimesTheCost,
    /// Our speed, divided by that of the other side: more is better.
    TimesTheSpeed,
}

/// The level that a figure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// Neither the required value nor the goal.
    Nothing,
    /// The required value.
    Must,
    /// The goal.
    Goal,
}

impl Target {
    /// Returns the level that `value` reaches.
    pub(crate) fn reached(&self, value: f64) -> Reached {
        let reaches = |limit: f64| if self.unit.more_is_better() { value >= limit } else { value <= limit };
        match (reaches(self.goal), reaches(self.must)) {
            (true, _) => Reached::Goal,
            (false, true) => Reached::Must,
            (false, false) => Reached::Nothing,
        }
    }
}

impl Unit {
    fn more_is_better(self) -> bool {
        matches!(self, Unit::EachSecond | Unit::TimesTheSpeed)
    }

    /// Formats the value with three significant digits and its unit.
    pub(crate) fn show(self, value: f64) -> String {
        let digits = |value: f64, unit: &str| {
            let decimals = if value >= 100.0 { 0 } else { usize::from(value < 100.0) + usize::from(value < 10.0) };
            let text = format!("{value:.decimals$}");
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            format!("{text} {unit}").trim_end().to_string()
        };
        match self {
            Unit::Seconds if value < 1e-3 => digits(value * 1e6, "us"),
            Unit::Seconds if value < 0.1 => digits(value * 1e3, "ms"),
            Unit::Seconds => digits(value, "s"),
            Unit::Megabytes => digits(value, "MB"),
            Unit::EachSecond if value >= 1e6 => digits(value / 1e6, "M/s"),
            Unit::EachSecond if value >= 1e3 => digits(value / 1e3, "k/s"),
            Unit::EachSecond => digits(value, "/s"),
            Unit::TimesTheCost | Unit::TimesTheSpeed => digits(value, "times"),
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reached::Nothing => "MISSES must",
            Reached::Must => "reaches must",
            Reached::Goal => "reaches goal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_determines_which_figure_is_better() {
        let target = |unit, must, goal| Target { label: "", unit, must, goal };
        let time = target(Unit::Seconds, 0.4, 0.2);
        assert_eq!([0.5, 0.4, 0.2].map(|value| time.reached(value)), [Reached::Nothing, Reached::Must, Reached::Goal]);
        let speed = target(Unit::EachSecond, 100.0, 200.0);
        assert_eq!(
            [99.0, 100.0, 200.0].map(|value| speed.reached(value)),
            [Reached::Nothing, Reached::Must, Reached::Goal]
        );
    }

    #[test]
    fn a_figure_has_three_significant_digits() {
        let shown = [
            (Unit::Seconds, 0.4, "0.4 s"),
            (Unit::Seconds, 0.000_004, "4 us"),
            (Unit::Seconds, 0.000_000_312, "0.31 us"),
            (Unit::Seconds, 0.0092, "9.2 ms"),
            (Unit::Seconds, 120.0, "120 s"),
            (Unit::EachSecond, 1_700_000.0, "1.7 M/s"),
            (Unit::EachSecond, 122_400.0, "122 k/s"),
            (Unit::TimesTheCost, 1.118, "1.12 times"),
            (Unit::Megabytes, 400.0, "400 MB"),
        ];
        for (unit, value, text) in shown {
            assert_eq!(unit.show(value), text);
        }
    }
}

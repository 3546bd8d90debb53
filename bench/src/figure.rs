//! A figure: its unit, which of two is the better one, and what it should be.

use std::fmt;

/// What a row has to reach in one of its figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    /// What this figure is, among those of the row; empty if it is the only one.
    pub(crate) label: &'static str,
    /// What it is counted in.
    pub(crate) unit: Unit,
    /// Without this the project is not as fast as it has to be.
    pub(crate) must: f64,
    /// This is as fast as it is known how to be.
    pub(crate) goal: f64,
}

/// What a figure is counted in. Whether more or less of it is better goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of time: less is better.
    Seconds,
    /// Of memory, in millions of bytes: less is better.
    Megabytes,
    /// Something done in a second: more is better.
    EachSecond,
    /// What ours costs, divided by what it is compared with: less is better.
    TimesTheCost,
    /// What ours does in a time, divided by what it is compared with: more is better.
    TimesTheSpeed,
}

/// How far a figure comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// Not even what it must.
    Nothing,
    /// What it must.
    Must,
    /// The goal.
    Goal,
}

impl Bar {
    /// How far `value` comes.
    pub(crate) fn reached(&self, value: f64) -> Reached {
        let reaches = |bar: f64| if self.unit.more_is_better() { value >= bar } else { value <= bar };
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

    /// The value with three digits that count, and its unit.
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
    fn which_of_two_figures_is_better_depends_on_the_unit() {
        let bar = |unit, must, goal| Bar { label: "", unit, must, goal };
        let time = bar(Unit::Seconds, 0.4, 0.2);
        assert_eq!([0.5, 0.4, 0.2].map(|value| time.reached(value)), [Reached::Nothing, Reached::Must, Reached::Goal]);
        let speed = bar(Unit::EachSecond, 100.0, 200.0);
        assert_eq!(
            [99.0, 100.0, 200.0].map(|value| speed.reached(value)),
            [Reached::Nothing, Reached::Must, Reached::Goal]
        );
    }

    #[test]
    fn a_figure_is_shown_with_three_digits_that_count() {
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

//! Progress in a terminal: one bar for all runs, and above it one for each running scenario.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counts::{BatchCounts, ScenarioCounts};

/// Maximum number of scenarios that have bars at the same time.
const SHOWN_MAX: usize = 12;

/// Interval at which the spinner and the elapsed time advance.
const TICK: Duration = Duration::from_millis(100);

/// Progress bars on a screen.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    /// The bars of the scenarios, by scenario index.
    scenarios: BTreeMap<usize, ProgressBar>,
}

impl Bars {
    /// Bars that are not drawn yet.
    pub(super) fn new(target: ProgressDrawTarget) -> Bars {
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(ProgressBar::no_length());
        total.set_style(style("{spinner} {msg}  [{elapsed}]"));
        total.enable_steady_tick(TICK);
        Bars { all, total, scenarios: BTreeMap::new() }
    }

    /// Draws the changes after a run of the scenario with this index started or ended.
    pub(super) fn draw(&mut self, batch: &BatchCounts, index: usize) {
        if let Some(total) = batch.total
            && self.total.length().is_none()
        {
            self.total.set_length(total as u64);
            self.total.set_style(style("{bar:16} {msg}  [{elapsed}, {eta} left]"));
        }
        self.total.set_position(batch.done() as u64);
        // All numbers are set at once, because the numbers that are drawn between two calls must add up.
        let of_all = batch.total.map_or(String::new(), |total| format!("/{total}"));
        let BatchCounts { passed, not_passed, .. } = batch;
        self.total.set_message(format!("{}{of_all} runs: {passed} passed, {not_passed} failed", batch.done()));
        // In an endless batch all scenarios are always running.
        let Some(total) = batch.scenarios[index].total.filter(|_| batch.total.is_some()) else { return };
        let counts = &batch.scenarios[index];
        if !self.scenarios.contains_key(&index) {
            if self.scenarios.len() >= SHOWN_MAX {
                return;
            }
            let bar = self.all.insert_before(&self.total, ProgressBar::new(total as u64));
            bar.set_style(scenario_style(counts));
            bar.set_prefix(counts.name);
            bar.enable_steady_tick(TICK);
            self.scenarios.insert(index, bar);
        }
        let bar = &self.scenarios[&index];
        if counts.not_passed == 1 || counts.is_complete() {
            bar.set_style(scenario_style(counts));
        }
        if counts.not_passed > 0 {
            bar.set_message(format!("{} failed", counts.not_passed));
        }
        bar.set_position(counts.done() as u64);
        if counts.is_complete() {
            bar.abandon();
        }
    }

    /// Removes the bar of the scenario with this index if no run is left; its lines replace the bar.
    pub(super) fn remove(&mut self, batch: &BatchCounts, index: usize) {
        if batch.scenarios[index].is_complete()
            && let Some(bar) = self.scenarios.remove(&index)
        {
            self.all.remove(&bar);
        }
    }

    /// Calls `act` while nothing is drawn.
    pub(super) fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        self.all.suspend(act)
    }

    /// Clears the bars from the screen.
    pub(super) fn clear(&self) {
        self.total.disable_steady_tick();
        self.scenarios.values().for_each(ProgressBar::finish_and_clear);
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }
}

/// Whether standard output goes to the terminal as well, and may be coloured there.
pub(super) fn paints_output() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Red after the first failure, green when all runs have passed.
fn scenario_style(counts: &ScenarioCounts) -> ProgressStyle {
    let color = match counts {
        ScenarioCounts { not_passed: 1.., .. } => "red",
        counts if counts.is_complete() => "green",
        _ => "cyan",
    };
    style(&format!("{{spinner:.{color}}} {{prefix:34.{color}}} {{bar:20.{color}}} {{pos}}/{{len}} {{msg}}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are right").tick_chars("|/-\\ ").progress_chars("=> ")
}

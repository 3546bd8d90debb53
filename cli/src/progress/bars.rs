//! In a terminal: a bar for everything, and above it one for each scenario under way.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Board, Counts};

/// How many scenarios have a bar of their own at once.
const SHOWN_MAX: usize = 12;

/// How often what turns goes on, and the time.
const TICK: Duration = Duration::from_millis(100);

/// Bars on a screen.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    /// By place.
    scenarios: BTreeMap<usize, ProgressBar>,
}

impl Bars {
    /// Nothing is drawn yet.
    pub(super) fn new(target: ProgressDrawTarget) -> Bars {
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(ProgressBar::no_length());
        total.set_style(style("{spinner} {msg}  [{elapsed}]"));
        total.enable_steady_tick(TICK);
        Bars { all, total, scenarios: BTreeMap::new() }
    }

    /// Draws what has changed with a run of the scenario at a place.
    pub(super) fn draw(&mut self, board: &Board, place: usize) {
        if let Some(total) = board.total
            && self.total.length().is_none()
        {
            self.total.set_length(total as u64);
            self.total.set_style(style("{bar:16} {msg}  [{elapsed}, {eta} left]"));
        }
        self.total.set_position(board.done() as u64);
        // All numbers at once: what is drawn between two calls has to add up.
        let of_all = board.total.map_or(String::new(), |total| format!("/{total}"));
        let Board { passed, not_passed, .. } = board;
        self.total.set_message(format!("{}{of_all} runs: {passed} passed, {not_passed} failed", board.done()));
        // Without an end all scenarios are always under way.
        let Some(total) = board.scenarios[place].total.filter(|_| board.total.is_some()) else { return };
        let counts = &board.scenarios[place];
        if !self.scenarios.contains_key(&place) {
            if self.scenarios.len() >= SHOWN_MAX {
                return;
            }
            let bar = self.all.insert_before(&self.total, ProgressBar::new(total as u64));
            bar.set_style(scenario_style(counts));
            bar.set_prefix(counts.name);
            bar.enable_steady_tick(TICK);
            self.scenarios.insert(place, bar);
        }
        let bar = &self.scenarios[&place];
        if counts.not_passed == 1 || counts.complete() {
            bar.set_style(scenario_style(counts));
        }
        if counts.not_passed > 0 {
            bar.set_message(format!("{} failed", counts.not_passed));
        }
        bar.set_position(counts.done() as u64);
        if counts.complete() {
            bar.abandon();
        }
    }

    /// The lines of the scenario at a place take the place of its bar, if no run is left.
    pub(super) fn remove(&mut self, board: &Board, place: usize) {
        if board.scenarios[place].complete()
            && let Some(bar) = self.scenarios.remove(&place)
        {
            self.all.remove(&bar);
        }
    }

    /// Does something while nothing is drawn.
    pub(super) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.all.suspend(act)
    }

    /// Leaves nothing on the screen.
    pub(super) fn clear(&self) {
        self.total.disable_steady_tick();
        self.scenarios.values().for_each(ProgressBar::finish_and_clear);
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }
}

/// Whether the standard output goes to the terminal as well, and may be coloured there.
pub(super) fn paints_output() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Red from the first failure on, green when all runs have passed.
fn scenario_style(counts: &Counts) -> ProgressStyle {
    let color = match counts {
        Counts { not_passed: 1.., .. } => "red",
        counts if counts.complete() => "green",
        _ => "cyan",
    };
    style(&format!("{{spinner:.{color}}} {{prefix:34.{color}}} {{bar:20.{color}}} {{pos}}/{{len}} {{msg}}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are right").tick_chars("|/-\\ ").progress_chars("=> ")
}

use std::time::Duration;

use indicatif::TermLike;
use tester::Clock;

use super::*;
use crate::plan::Seeds;
use crate::test_scenarios;

/// A plan of three scenarios with four runs each.
fn plan() -> Plan {
    let scenarios = ["first_3A", "second_3A", "third_3A"].map(|name| test_scenarios::scenario(name, |_| false));
    let seeds = Seeds::new(None, Clock::Simulated);
    Plan::runs_of_each(scenarios.into(), Clock::Simulated, 2, 4, seeds).unwrap()
}

/// A screen that keeps its text.
#[derive(Clone, Debug, Default)]
struct Screen(Arc<Mutex<Cells>>);

#[derive(Debug, Default)]
struct Cells {
    lines: Vec<String>,
    row: usize,
}

impl Screen {
    fn cells(&self, act: impl FnOnce(&mut Cells)) -> io::Result<()> {
        act(&mut self.0.lock().unwrap());
        Ok(())
    }

    /// The text on the screen, without colours and trailing blanks.
    fn text(&self) -> String {
        let lines = &self.0.lock().unwrap().lines;
        lines
            .iter()
            .map(|line| without_colors(line).trim_end().to_string() + "\n")
            .collect::<String>()
            .trim_end()
            .into()
    }
}

/// Removes the colour sequences.
fn without_colors(line: &str) -> String {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_string();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

impl Cells {
    fn line(&mut self) -> &mut String {
        while self.lines.len() <= self.row {
            self.lines.push(String::new());
        }
        &mut self.lines[self.row]
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        120
    }
    fn height(&self) -> u16 {
        40
    }
    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.cells(|cells| cells.row = cells.row.saturating_sub(lines))
    }
    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.cells(|cells| cells.row += lines)
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.cells(|cells| cells.row += 1)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.cells(|cells| {
            let mut pieces = text.split('\n');
            *cells.line() += pieces.next().unwrap_or_default();
            for piece in pieces {
                cells.row += 1;
                *cells.line() += piece;
            }
        })
    }
    fn clear_line(&self) -> io::Result<()> {
        self.cells(|cells| cells.line().clear())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn on_a_screen(plan: &Plan) -> (Progress, Screen) {
    let screen = Screen::default();
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
    (Progress::with(BatchCounts::new(plan), Display::Bars(Bars::new(target))), screen)
}

/// Waits until `piece` is on the screen, and returns the text. The bars are drawn at intervals.
fn wait_for(screen: &Screen, piece: &str) -> String {
    for _ in 0..10_000 {
        let text = screen.text();
        if text.contains(piece) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("'{piece}' is never on the screen:\n{}", screen.text());
}

#[test]
fn auto_mode_depends_on_the_terminal_and_the_run_count() {
    use ProgressMode::{Auto, Bar, Lines, None};
    for many in [false, true] {
        assert_eq!(choose(Auto, many, true), Bar);
        for name in [Bar, Lines, None] {
            assert_eq!(choose(name, many, many), name);
        }
    }
    assert_eq!(choose(Auto, true, false), Lines);
    assert_eq!(choose(Auto, false, false), None);
}

#[test]
fn a_line_has_counts_and_running_scenarios() {
    let mut batch = BatchCounts::new(&plan());
    for passed in [true, true, true, true] {
        batch.ended(0, passed);
    }
    batch.ended(1, false);
    batch.scenarios[1].running = 1;
    let line = lines::line(&batch, Duration::from_secs(10));
    assert_eq!(line, "    10 s: 5 of 12 runs, 4 passed, 1 failed, about 14 s left: second_3A 1/4 (1 failed)\n");
}

#[test]
fn an_endless_batch_counts_completed_runs() {
    let seeds = Seeds::new(None, Clock::Simulated);
    let endless = Plan::endless(plan().scenarios, Clock::Simulated, 2, seeds);
    let mut batch = BatchCounts::new(&endless);
    batch.ended(0, true);
    assert_eq!(lines::line(&batch, Duration::from_secs(5)), "     5 s: 1 runs, 1 passed, 0 failed\n");
}

#[test]
fn bars_show_running_scenarios_and_all_runs() {
    let (progress, screen) = on_a_screen(&plan());
    progress.run_started(0);
    progress.run_started(0);
    progress.run_ended(0, true);
    progress.run_ended(0, false);
    progress.run_started(1);
    progress.run_ended(1, true);
    wait_for(&screen, "3/12 runs: 2 passed, 1 failed");
    wait_for(&screen, "2/4 1 failed");
    let text = wait_for(&screen, "1/4");
    let indexes = ["first_3A", "second_3A", "3/12"].map(|piece| text.find(piece));
    assert!(indexes.is_sorted() && indexes[0].is_some() && !text.contains("third_3A"), "{text}");
    progress.close();
    assert_eq!(screen.text(), "");
}

#[test]
fn the_lines_of_a_scenario_replace_its_bar() {
    let (progress, screen) = on_a_screen(&plan());
    for _ in 0..4 {
        progress.run_started(0);
        progress.run_ended(0, true);
    }
    wait_for(&screen, "4/4");
    let mut out = Vec::new();
    progress.write(0, "its lines\n", &mut out).unwrap();
    assert_eq!(out, b"its lines\n");
    progress.run_started(1);
    wait_for(&screen, "second_3A");
    assert!(!screen.text().contains("first_3A"), "{}", screen.text());
    progress.close();
}

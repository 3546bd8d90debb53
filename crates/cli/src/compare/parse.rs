//! Groups the lines of a Go output into tests. Each test has one stage for each title that it printed. The scenario of
//! a test is [determined](super::names) later.
//!
//! With `-v` a test begins with its `=== RUN` line and ends with its `---` line. Without `-v` a title begins a test,
//! and only failed tests have a `---` line.

use super::cost::Cost;
use super::line::{self, Edition, GoLine, GoStatus, Title};

/// A test as the output shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Test {
    /// The name of its function, if the output has it.
    pub(super) name: Option<String>,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) stages: Vec<Stage>,
    pub(super) end: End,
    /// Its messages, each with the number of its line.
    pub(super) messages: Vec<(usize, String)>,
}

/// A title, and the figures below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) title: Title,
    pub(super) line: usize,
    pub(super) passed: Option<(Edition, Cost)>,
}

/// The end of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// The output ends inside the test.
    #[default]
    Open,
    /// The next test begins.
    Next,
    Said(GoStatus),
    /// The process ended. `timed_out` if the time limit of `go test` ended it.
    Panicked {
        timed_out: bool,
    },
}

/// The tests and other lines of an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Output {
    pub(super) tests: Vec<Test>,
    /// Lines that belong neither to a test nor to `go test`, with their numbers.
    pub(super) others: Vec<(usize, String)>,
    /// Whether any test says how it ended.
    pub(super) says_ends: bool,
}

/// Lines that are skipped as one block: the goroutines of a process that ended, or the report of a data race.
struct Block {
    from: usize,
    to: usize,
    what: &'static str,
    is_race: bool,
}

#[derive(Default)]
struct Parser {
    output: Output,
    current: Option<Test>,
    block: Option<Block>,
}

/// Parses lines into tests. `begins` says whether a test of this name can begin with this title.
pub(super) fn parse(lines: &[(usize, String)], begins: impl Fn(&str, &Title) -> bool) -> Output {
    let mut parser = Parser::default();
    for (number, line) in lines {
        for piece in line::pieces(line) {
            parser.take(*number, piece, &begins);
        }
    }
    parser.end_block();
    parser.close(End::Open);
    parser.output.others.sort_by_key(|&(number, _)| number);
    parser.output
}

impl Parser {
    fn take(&mut self, number: usize, text: &str, begins: &impl Fn(&str, &Title) -> bool) {
        let line = line::read(text);
        if self.is_in_block(number, &line) {
            return;
        }
        match line {
            GoLine::Run(name) => {
                self.close(End::Next);
                self.current = Some(Test { name: Some(name.to_string()), line: number, ..Test::default() });
            }
            GoLine::Title(title) => {
                if self.current.as_ref().is_some_and(|test| test.name.is_none()) {
                    self.close(End::Next);
                }
                let current = self.current.get_or_insert_with(|| Test { line: number, ..Test::default() });
                current.stages.push(Stage { title, line: number, passed: None });
            }
            GoLine::Passed(edition, cost) => match self.open_stage() {
                Some(stage) => stage.passed = Some((edition, cost)),
                None => self.other(number, text),
            },
            GoLine::Ended(word, name) => self.ended(number, word, name, begins),
            GoLine::Message(message) => {
                // Without -v the messages stand behind the line that says how the test ended.
                let test = self.current.as_mut().or(self.output.tests.last_mut());
                match test {
                    Some(test) => test.messages.push((number, message.to_string())),
                    None => self.other(number, text),
                }
            }
            GoLine::Panic { timed_out } => {
                let test = self.current.as_mut().or(self.output.tests.last_mut());
                match test.filter(|test| test.messages.is_empty()) {
                    Some(test) => test.messages.push((number, text.trim().to_string())),
                    None => self.other(number, text),
                }
                self.close(End::Panicked { timed_out });
                let what = "goroutines of a process that ended";
                self.block = Some(Block { from: number + 1, to: number, what, is_race: false });
            }
            GoLine::Race => {
                let what = "WARNING: DATA RACE, and what the race detector says of it";
                self.block = Some(Block { from: number, to: number, what, is_race: true });
            }
            GoLine::PackageEnd => self.close(End::Open),
            GoLine::Fence | GoLine::Known => {}
            GoLine::Other => self.other(number, text),
        }
    }

    /// Whether the line belongs to the open block. Closes the block if the line ends it.
    fn is_in_block(&mut self, number: usize, line: &GoLine<'_>) -> bool {
        let Some(block) = &mut self.block else { return false };
        let of_a_test = matches!(line, GoLine::Run(_) | GoLine::Ended(..) | GoLine::Title(_) | GoLine::Passed(..));
        match (block.is_race, line) {
            (true, GoLine::Fence) => {
                block.to = number;
                self.end_block();
                true
            }
            (false, GoLine::PackageEnd) => {
                self.end_block();
                false
            }
            (false, _) if of_a_test => {
                self.end_block();
                false
            }
            (true, _) if of_a_test => false,
            _ => {
                block.to = number;
                true
            }
        }
    }

    fn end_block(&mut self) {
        if let Some(Block { from, to, what, .. }) = self.block.take().filter(|block| block.to >= block.from) {
            let until = if to > from { format!(" (until line {to})") } else { String::new() };
            self.other(from, &format!("[{what}]{until}"));
        }
    }

    fn ended(&mut self, number: usize, word: GoStatus, name: &str, begins: &impl Fn(&str, &Title) -> bool) {
        self.output.says_ends = true;
        let belongs = |test: &Test| match &test.name {
            Some(of_test) => of_test == name,
            // A test that fails before its title must not be mistaken for the test before it.
            None => test.stages.last().is_some_and(|stage| stage.passed.is_none() || begins(name, &stage.title)),
        };
        if !self.current.as_ref().is_some_and(belongs) {
            self.close(End::Next);
        }
        let test = self.current.get_or_insert_with(|| Test { line: number, ..Test::default() });
        test.name = Some(name.to_string());
        self.close(End::Said(word));
    }

    /// The stage that has no figures yet.
    fn open_stage(&mut self) -> Option<&mut Stage> {
        self.current.as_mut()?.stages.last_mut().filter(|stage| stage.passed.is_none())
    }

    fn close(&mut self, end: End) {
        if let Some(test) = self.current.take() {
            self.output.tests.push(Test { end, ..test });
        }
    }

    fn other(&mut self, number: usize, text: &str) {
        self.output.others.push((number, text.to_string()));
    }
}

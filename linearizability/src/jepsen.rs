//! Reads the logs of Jepsen's tests of etcd: one line for each call and each answer, in the order of time.
//!
//! ```text
//! INFO  jepsen.util - 0  :invoke  :write  3
//! INFO  jepsen.util - 0  :ok      :write  3
//! INFO  jepsen.util - 1  :invoke  :cas    [3 4]
//! INFO  jepsen.util - 1  :info    :cas    :timed-out
//! ```
//!
//! A line's time is its number. `:ok` answers; `:fail` answers that a compare-and-set found another value, or that a read
//! got no answer; `:info` says that nobody knows, so that the operation stays open: it returns after everything else, with
//! an unknown result. Such a write may then be put behind all others, where nobody sees it, which is as good as never.

use std::collections::BTreeMap;

use crate::{
    Operation, ParseError,
    register::{Access, History, Read},
};

/// Reads a log. Blank lines are nothing; an empty text is an empty history.
///
/// # Errors
///
/// If a line is not of the form above, or answers what was not asked, or if a process asks again before it is answered.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut operations: Vec<Operation<Access>> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    let mut end = 0;
    for (number, text) in (1..).zip(text.lines()) {
        end = number as u64 + 1;
        let mut line = Line { number, tokens: text.split_whitespace().collect(), at: 0 };
        if line.tokens.is_empty() {
            continue;
        }
        line.literal("INFO")?;
        line.literal("jepsen.util")?;
        line.literal("-")?;
        let process = line.process()?;
        match line.next("a type (:invoke, :ok, :fail or :info)")? {
            ":invoke" => {
                if open.contains_key(&process) {
                    return Err(line.error(format!("an answer to process {process}, which waits for one"), ":invoke"));
                }
                open.insert(process, operations.len());
                let (call, ret, what) = (number as u64, u64::MAX, line.asked()?);
                operations.push(Operation { client: process, call, ret, what });
            }
            ":info" => {
                let asked = open.get(&process).map(|&operation| operations[operation].what);
                line.timed_out(process, asked)?;
            }
            answer @ (":ok" | ":fail") => {
                let Some(operation) = open.remove(&process) else {
                    return Err(line.error(format!("a call of process {process}, which waits for nothing"), answer));
                };
                let operation = &mut operations[operation];
                operation.what = line.answered(operation.what, answer == ":ok")?;
                operation.ret = number as u64;
            }
            other => return Err(line.error("a type (:invoke, :ok, :fail or :info)", other)),
        }
        line.end()?;
    }
    for operation in open.into_values() {
        operations[operation].ret = end;
    }
    Ok(History::new(operations))
}

/// One line, cut at white space.
struct Line<'a> {
    number: usize,
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Line<'a> {
    fn error(&self, expected: impl Into<String>, found: &str) -> ParseError {
        ParseError::new(self.number, expected, found)
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        let token = self.tokens.get(self.at).copied().ok_or_else(|| self.error(expected, ""))?;
        self.at += 1;
        Ok(token)
    }

    fn literal(&mut self, expected: &str) -> Result<(), ParseError> {
        match self.next(expected)? {
            token if token == expected => Ok(()),
            other => Err(self.error(expected, other)),
        }
    }

    fn process(&mut self) -> Result<u32, ParseError> {
        let token = self.next("a process number")?;
        token.parse().map_err(|_| self.error("a process number", token))
    }

    fn value(&mut self) -> Result<i64, ParseError> {
        let token = self.next("a value")?;
        token.parse().map_err(|_| self.error("a value", token))
    }

    /// `[A B]`, which is two tokens.
    fn pair(&mut self) -> Result<(i64, i64), ParseError> {
        let expected = "two values such as [0 1]";
        let (first, second) = (self.next(expected)?, self.next(expected)?);
        let from = first.strip_prefix('[').and_then(|from| from.parse().ok());
        let to = second.strip_suffix(']').and_then(|to| to.parse().ok());
        from.zip(to).ok_or_else(|| self.error(expected, &format!("{first} {second}")))
    }

    fn end(&mut self) -> Result<(), ParseError> {
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some(token) => Err(self.error("the end of the line", token)),
        }
    }

    /// Function and argument of a call; its result is unknown as yet.
    fn asked(&mut self) -> Result<Access, ParseError> {
        let expected = "a function (:read, :write or :cas)";
        match self.next(expected)? {
            ":read" => self.literal("nil").map(|()| Access::Read(Read::Unknown)),
            ":write" => Ok(Access::Write(self.value()?)),
            ":cas" => self.pair().map(|(from, to)| Access::CompareAndSet { from, to, swapped: None }),
            other => Err(self.error(expected, other)),
        }
    }

    /// Function and result of an answer to `asked`.
    fn answered(&mut self, asked: Access, ok: bool) -> Result<Access, ParseError> {
        self.literal(function(asked))?;
        match asked {
            Access::Read(_) if !ok => {
                self.literal(":timed-out")?;
                Ok(Access::Read(Read::Unknown))
            }
            Access::Read(_) if self.tokens.get(self.at) == Some(&"nil") => {
                self.at += 1;
                Ok(Access::Read(Read::Absent))
            }
            Access::Read(_) => Ok(Access::Read(Read::Value(self.value()?))),
            Access::Write(_) if !ok => Err(self.error(":ok or :info, for a write cannot fail", ":fail")),
            Access::Write(asked) => match self.value()? {
                value if value == asked => Ok(Access::Write(value)),
                other => Err(self.error(asked.to_string(), &other.to_string())),
            },
            Access::CompareAndSet { from, to, .. } => match self.pair()? {
                pair if pair == (from, to) => Ok(Access::CompareAndSet { from, to, swapped: Some(ok) }),
                (a, b) => Err(self.error(format!("[{from} {to}]"), &format!("[{a} {b}]"))),
            },
        }
    }

    fn timed_out(&mut self, process: u32, asked: Option<Access>) -> Result<(), ParseError> {
        let Some(asked) = asked else {
            return Err(self.error(format!("a call of process {process}, which waits for nothing"), ":info"));
        };
        self.literal(function(asked))?;
        self.literal(":timed-out")
    }
}

fn function(access: Access) -> &'static str {
    match access {
        Access::Read(_) => ":read",
        Access::Write(_) => ":write",
        Access::CompareAndSet { .. } => ":cas",
    }
}

//! A parser of the logs of Jepsen's tests of etcd: one line for each call and each completion, in the order of time.
//!
//! ```text
//! INFO  jepsen.util - 0  :invoke  :write  3
//! INFO  jepsen.util - 0  :ok      :write  3
//! INFO  jepsen.util - 1  :invoke  :cas    [3 4]
//! INFO  jepsen.util - 1  :info    :cas    :timed-out
//! ```
//!
//! The time of a line is its number. `:ok` is the reply. `:fail` says that a compare-and-set found another value, or
//! that a read got no reply. `:info` says that the result is unknown, so the operation stays open: it returns after all
//! others, with an unknown result. Such a write may then be linearized after all other operations, where no read sees
//! it. This covers the case that it never took effect.

use std::collections::BTreeMap;

use crate::{
    Operation, ParseError,
    register::{Access, History, ReadResult},
};

/// Parses a log. Blank lines are ignored; an empty text is an empty history.
///
/// # Errors
///
/// Returns an error if a line does not have the form above, if a completion does not match the pending call, or if a
/// process calls while its previous call is pending.
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
                    return Err(line.error(format!("a reply to the pending call of process {process}"), ":invoke"));
                }
                open.insert(process, operations.len());
                let (call, ret, action) = (number as u64, u64::MAX, line.call_action()?);
                operations.push(Operation { client: process, call, ret, action });
            }
            ":info" => {
                let call = open.get(&process).map(|&operation| operations[operation].action);
                line.timed_out(process, call)?;
            }
            completion @ (":ok" | ":fail") => {
                let Some(operation) = open.remove(&process) else {
                    return Err(line.error(format!("a call of process {process} before its reply"), completion));
                };
                let operation = &mut operations[operation];
                operation.action = line.completion_action(operation.action, completion == ":ok")?;
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

/// One line, split at white space.
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

    /// Parses `[A B]`, which is two tokens.
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

    /// Parses the function and the argument of a call. Its result is unknown as yet.
    fn call_action(&mut self) -> Result<Access, ParseError> {
        let expected = "a function (:read, :write or :cas)";
        match self.next(expected)? {
            ":read" => self.literal("nil").map(|()| Access::Read(ReadResult::Unknown)),
            ":write" => Ok(Access::Write(self.value()?)),
            ":cas" => self.pair().map(|(from, to)| Access::CompareAndSet { from, to, swapped: None }),
            other => Err(self.error(expected, other)),
        }
    }

    /// Parses the function and the result of a completion of `call`.
    fn completion_action(&mut self, call: Access, ok: bool) -> Result<Access, ParseError> {
        self.literal(function(call))?;
        match call {
            Access::Read(_) if !ok => {
                self.literal(":timed-out")?;
                Ok(Access::Read(ReadResult::Unknown))
            }
            Access::Read(_) if self.tokens.get(self.at) == Some(&"nil") => {
                self.at += 1;
                Ok(Access::Read(ReadResult::Absent))
            }
            Access::Read(_) => Ok(Access::Read(ReadResult::Value(self.value()?))),
            Access::Write(_) if !ok => Err(self.error(":ok or :info, because a write cannot fail", ":fail")),
            Access::Write(written) => match self.value()? {
                value if value == written => Ok(Access::Write(value)),
                other => Err(self.error(written.to_string(), &other.to_string())),
            },
            Access::CompareAndSet { from, to, .. } => match self.pair()? {
                pair if pair == (from, to) => Ok(Access::CompareAndSet { from, to, swapped: Some(ok) }),
                (a, b) => Err(self.error(format!("[{from} {to}]"), &format!("[{a} {b}]"))),
            },
        }
    }

    fn timed_out(&mut self, process: u32, call: Option<Access>) -> Result<(), ParseError> {
        let Some(call) = call else {
            return Err(self.error(format!("a call of process {process} before its reply"), ":info"));
        };
        self.literal(function(call))?;
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

//! A parser of key/value histories, which are written as one EDN map per line, in the order of time.
//!
//! ```text
//! {:process 0, :type :invoke, :f :append, :key "7", :value "x 0 0 y"}
//! {:process 0, :type :ok, :f :append, :key "7", :value "x 0 0 y"}
//! {:process 1, :type :invoke, :f :get, :key "7", :value nil}
//! {:process 1, :type :ok, :f :get, :key "7", :value "x 0 0 y"}
//! ```
//!
//! The time of a line is its number. An operation without a reply returns after all others. A `:get` without a reply
//! carries no information and is left out.

use std::collections::BTreeMap;

use super::{History, Kind};
use crate::ParseError;

/// Parses a history. Blank lines are ignored; an empty text is an empty history.
///
/// # Errors
///
/// Returns an error if a line is not such a map, if a reply does not match the pending call, or if a process calls
/// while its previous call is pending.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut calls: Vec<RecordedCall> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    let mut end = 0;
    for (number, text) in (1..).zip(text.lines()) {
        end = number as u64 + 1;
        if text.trim().is_empty() {
            continue;
        }
        let Event { process, is_call, kind, key, value } = Line { number, rest: text }.event()?;
        let error = |expected: String, found: &str| ParseError::new(number, expected, found);
        if is_call {
            if open.contains_key(&process) {
                return Err(error(format!("a reply to the pending call of process {process}"), ":invoke"));
            }
            open.insert(process, calls.len());
            calls.push(RecordedCall { process, call: number as u64, ret: None, kind, key, value });
            continue;
        }
        let Some(operation) = open.remove(&process) else {
            return Err(error(format!("a call of process {process} before its reply"), ":ok"));
        };
        let operation = &mut calls[operation];
        if (operation.kind, &operation.key) != (kind, &key) {
            let (expected, found) = (describe(operation.kind, &operation.key), describe(kind, &key));
            return Err(error(format!("the reply to {expected}"), &found));
        }
        match kind {
            Kind::Get => operation.value = value,
            Kind::Put | Kind::Append if operation.value != value => {
                return Err(error(format!("the value written, {:?}", operation.value), &value));
            }
            Kind::Put | Kind::Append => {}
        }
        operation.ret = Some(number as u64);
    }

    let mut history = History::new();
    for RecordedCall { process, call, ret, kind, key, value } in calls {
        if ret.is_some() || kind != Kind::Get {
            history.add(process, call, ret.unwrap_or(end), kind, &key, &value);
        }
    }
    Ok(history)
}

struct RecordedCall {
    process: u32,
    call: u64,
    ret: Option<u64>,
    kind: Kind,
    key: String,
    value: String,
}

/// The contents of one line.
struct Event {
    process: u32,
    is_call: bool,
    kind: Kind,
    key: String,
    /// Empty for the call of a get.
    value: String,
}

fn describe(kind: Kind, key: &str) -> String {
    format!("{} {key:?}", function(kind))
}

fn function(kind: Kind) -> &'static str {
    match kind {
        Kind::Get => ":get",
        Kind::Put => ":put",
        Kind::Append => ":append",
    }
}

/// The unread rest of one line.
struct Line<'a> {
    number: usize,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn error(&self, expected: impl Into<String>) -> ParseError {
        ParseError::new(self.number, expected, self.rest)
    }

    /// Parses the whole line: a map with the five keys, in any order.
    fn event(mut self) -> Result<Event, ParseError> {
        let (mut process, mut is_call, mut kind, mut key, mut value) = (None, None, None, None, None);
        self.skip();
        self.symbol("{")?;
        loop {
            self.skip();
            if self.rest.starts_with('}') {
                break;
            }
            let before = self.rest;
            let known = match self.word() {
                ":process" => set(&mut process, self.process()?),
                ":type" => set(&mut is_call, self.one_of(&[(":invoke", true), (":ok", false)])?),
                ":f" => set(&mut kind, self.one_of(&KINDS)?),
                ":key" => set(&mut key, self.string()?),
                ":value" => set(&mut value, self.value()?),
                _ => false,
            };
            if !known {
                let expected = ":process, :type, :f, :key or :value, each once";
                return Err(ParseError::new(self.number, expected, before));
            }
        }
        let missing = |name: &str| self.error(format!("{name} before the end of the map"));
        let event = Event {
            process: process.ok_or_else(|| missing(":process"))?,
            is_call: is_call.ok_or_else(|| missing(":type"))?,
            kind: kind.ok_or_else(|| missing(":f"))?,
            key: key.ok_or_else(|| missing(":key"))?,
            value: match (value.ok_or_else(|| missing(":value"))?, kind, is_call) {
                (None, Some(Kind::Get), Some(true)) => String::new(),
                (Some(value), Some(Kind::Get), Some(true)) => {
                    return Err(ParseError::new(self.number, "nil as :value of the call of a :get", &value));
                }
                (Some(value), _, _) => value,
                (None, _, _) => return Err(ParseError::new(self.number, "a string as :value", "nil")),
            },
        };
        self.symbol("}")?;
        self.skip();
        if self.rest.is_empty() { Ok(event) } else { Err(self.error("the end of the line")) }
    }

    /// Skips white space and commas, which mean nothing.
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), ParseError> {
        self.rest = self.rest.strip_prefix(symbol).ok_or_else(|| self.error(format!("{symbol:?}")))?;
        Ok(())
    }

    /// Returns the characters up to the next white space, comma, brace or quote.
    fn word(&mut self) -> &'a str {
        self.skip();
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '}' | '{' | '"');
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn process(&mut self) -> Result<u32, ParseError> {
        self.skip();
        let before = self.rest;
        self.word().parse().map_err(|_| ParseError::new(self.number, "a process number", before))
    }

    fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, ParseError> {
        self.skip();
        let before = self.rest;
        let word = self.word();
        choices.iter().find(|(name, _)| *name == word).map(|&(_, meaning)| meaning).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
            ParseError::new(self.number, names.join(" or "), before)
        })
    }

    fn value(&mut self) -> Result<Option<String>, ParseError> {
        self.skip();
        let before = self.rest;
        if before.starts_with('"') {
            return self.string().map(Some);
        }
        if self.word() == "nil" { Ok(None) } else { Err(ParseError::new(self.number, "a string or nil", before)) }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.skip();
        let before = self.rest;
        let unended = || ParseError::new(self.number, "a string in double quotes", before);
        let mut chars = before.strip_prefix('"').ok_or_else(unended)?.chars();
        let mut string = String::new();
        loop {
            match chars.next().ok_or_else(unended)? {
                '"' => break,
                '\\' => string.push(match chars.next() {
                    Some(escaped @ ('"' | '\\')) => escaped,
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    _ => return Err(ParseError::new(self.number, r#"an escape (\" \\ \n \r or \t)"#, before)),
                }),
                char => string.push(char),
            }
        }
        self.rest = chars.as_str();
        Ok(string)
    }
}

const KINDS: [(&str, Kind); 3] = [(":get", Kind::Get), (":put", Kind::Put), (":append", Kind::Append)];

/// Sets the slot, and returns whether it was unset.
fn set<T>(slot: &mut Option<T>, value: T) -> bool {
    slot.replace(value).is_none()
}

//! The events that are printed during a run. The environment variable `LAB_LOG` chooses them, in the syntax of
//! `RUST_LOG`: `LAB_LOG=vote,term,rpc=off`, `LAB_LOG=debug`, `LAB_LOG=info,raft::election=trace/S1`.
//!
//! The target of a typed event is the lower-case name of its [`Topic`](crate::Topic); a line of the `log` crate keeps
//! its own target. RPCs have the level trace, the states of servers debug, faults and checks info, failures error.
//! Without the variable nothing is printed. An event is printed after it was recorded, so printing has no influence on
//! the record.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Event, EventKind};

/// The name of the environment variable.
pub const VARIABLE: &str = "LAB_LOG";

/// A parsed filter.
#[derive(Debug)]
pub struct Filter(env_filter::Filter);

impl Filter {
    /// Parses the value of `LAB_LOG`. An empty text matches no event.
    ///
    /// # Errors
    ///
    /// If the text is not in the syntax of `RUST_LOG`; the error is one line for people.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let text = if text.trim().is_empty() { "off" } else { text };
        match env_filter::Builder::new().try_parse(text) {
            Ok(builder) => Ok(Filter(builder.build())),
            Err(error) => {
                let error = error.to_string();
                let error = error.strip_prefix("error parsing logger filter: ").unwrap_or(&error);
                Err(format!("{VARIABLE}={text}: {error}; give topics and levels, such as vote,term or debug,rpc=off"))
            }
        }
    }

    /// Returns the line to print for an event, with its line break; `None` if the filter does not match.
    pub fn line(&self, event: &Event) -> Option<String> {
        let target = match &event.kind {
            EventKind::LogLine { target, .. } => target.as_str(),
            kind => kind.topic().name(),
        };
        let metadata = log::Metadata::builder().level(event.kind.level().into()).target(target).build();
        if !self.0.enabled(&metadata) {
            return None;
        }
        let mut line = String::with_capacity(80);
        writeln!(line, "{event}").expect("writing to a string cannot fail");
        // The part of the filter after a slash is matched against the text.
        let passes = self.0.matches(&log::Record::builder().metadata(metadata).args(format_args!("{line}")).build());
        passes.then_some(line)
    }
}

/// The filter of this process.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// Whether [`FILTER`] is set and can match anything. Every recorded event reads this flag.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Reads `LAB_LOG` and prints matching events from now on. Later calls change nothing.
///
/// # Errors
///
/// If the variable is not in the syntax of `RUST_LOG`; the error is one line for people, and nothing is printed.
pub fn init_from_env() -> Result<(), String> {
    let text = match std::env::var(VARIABLE) {
        Ok(text) => text,
        Err(std::env::VarError::NotPresent) => return Ok(()),
        Err(std::env::VarError::NotUnicode(_)) => return Err(format!("{VARIABLE} is not text")),
    };
    let parsed = Filter::parse(&text)?;
    let filter = FILTER.get_or_init(|| parsed);
    ENABLED.store(filter.0.filter() != log::LevelFilter::Off, Ordering::Relaxed);
    Ok(())
}

/// Prints an event to standard error, in one write, if the filter matches.
pub(crate) fn print(event: &Event) {
    if let Some(line) = FILTER.get().and_then(|filter| filter.line(event)) {
        // If standard error is closed, the error cannot be reported anywhere.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Returns whether any event may be printed.
pub(crate) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

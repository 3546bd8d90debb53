//! What is printed while a run goes on. The environment variable `LAB_LOG` chooses, in the syntax of `RUST_LOG`:
//! `LAB_LOG=vote,term,rpc=off`, `LAB_LOG=debug`, `LAB_LOG=info,raft::election=trace/S1`.
//!
//! The target of a typed event is the lower-case name of its [`Topic`](crate::Topic); that of a line of the `log` crate
//! is its own. RPCs have the level trace, the states of servers debug, faults and checks info, failures error. Without
//! the variable nothing is printed. Printing happens after an event was recorded and has no influence on the record.

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
    /// Parses what `LAB_LOG` holds. An empty text lets nothing through.
    ///
    /// # Errors
    ///
    /// If the text is not in the syntax of `RUST_LOG`; the error is one line for people.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let text = if text.trim().is_empty() { "off" } else { text };
        match env_filter::Builder::new().try_parse(text) {
            Ok(builder) => Ok(Filter(builder.build())),
            Err(error) => {
                // The regex behind a slash is refused in several lines.
                let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                let error = error.strip_prefix("error parsing logger filter: ").unwrap_or(&error);
                Err(format!("{VARIABLE}={text}: {error}; give topics and levels, such as vote,term or debug,rpc=off"))
            }
        }
    }

    /// The line to print for an event, with its line break; `None` if the filter does not let it through.
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
        // The part of the filter behind a slash is about the text.
        let passes = self.0.matches(&log::Record::builder().metadata(metadata).args(format_args!("{line}")).build());
        passes.then_some(line)
    }
}

/// The filter of this process.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// Whether [`FILTER`] is set and lets anything through: what everything that is recorded has to pay.
static PRINTS: AtomicBool = AtomicBool::new(false);

/// Reads `LAB_LOG` and prints accordingly from now on. Later calls change nothing.
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
    PRINTS.store(filter.0.filter() != log::LevelFilter::Off, Ordering::Relaxed);
    Ok(())
}

/// Prints an event to standard error, in one write, if the filter lets it through.
pub(crate) fn print(event: &Event) {
    if let Some(line) = FILTER.get().and_then(|filter| filter.line(event)) {
        // Nobody can be told that standard error is closed.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Whether anything may be printed at all.
pub(crate) fn prints() -> bool {
    PRINTS.load(Ordering::Relaxed)
}

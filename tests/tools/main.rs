//! Tests of what surrounds the scenarios: the command line, the files that it writes, reports of failures, and figures
//! beside those of Go.

mod artifacts;
mod compare;
#[path = "../false_alarms/mod.rs"]
mod false_alarms;
mod go_reference;
mod no_false_alarms;
mod reports;
mod runs;
mod target_dir;

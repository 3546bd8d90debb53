//! Measures every performance target of this project, with peers where there are any, and prints one table.
//!
//! ```sh
//! cargo run --release --manifest-path bench/Cargo.toml                # all rows but the slowest: some minutes
//! cargo run --release --manifest-path bench/Cargo.toml -- echo-1 --rounds 5
//! ```
//!
//! On a busy machine, compare only figures of one run. So programs that are compared are measured in turns, A, B, A, B,
//! and the printed ratio is the median of the ratios of the rounds. Metrics of Go programs are constants, measured once
//! on two cores of a similar machine. They show the starting point and are not measured again.

mod args;
mod clerks;
mod core;
mod cpu;
mod peers;
mod pipeline;
mod row;
mod rows;
mod table;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use bench::arguments::{refuse, refuse_or_help};
use bench::machine::Machine;
use clap::Parser;

use crate::args::Args;
use crate::row::{Measured, Row, Setting};

fn main() -> ExitCode {
    ExitCode::from(with(std::env::args_os()))
}

/// Runs the program with these arguments, of which the first is its name. Returns the exit status.
fn with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return refuse_or_help(&error),
    };
    let rows = match rows::select(&args.rows, args.all) {
        Ok(rows) => rows,
        Err(message) => return refuse(&message),
    };
    if args.list {
        print!("{}", table::list());
        return 0;
    }
    let setting = Setting { rounds: args.rounds.get(), histories: args.histories, go: args.go, go_run: args.go_run };
    let mut machine = Machine::detect();
    let results: Vec<(Row, Measured)> = rows.into_iter().map(|row| measure(row, &setting)).collect();
    machine.update_load();
    print!("{}", table::table(&machine, setting.rounds, &results));
    0
}

/// Measures a row, and prints its progress and result.
fn measure(row: Row, setting: &Setting) -> (Row, Measured) {
    eprint!("{} ... ", row.name);
    let measured = (row.measure)(setting);
    eprintln!("{}", table::today(&row, &measured));
    (row, measured)
}

//! Measures what this project promises of its speed, beside peers where there are any, and prints it as one table.
//!
//! ```sh
//! cargo run --release --manifest-path bench/Cargo.toml                # all rows but the slowest: some minutes
//! cargo run --release --manifest-path bench/Cargo.toml -- echo-1 --rounds 5
//! ```
//!
//! On a machine that does other things at the same time only figures of one run can be compared. So what is compared is
//! measured in turns, A, B, A, B, and the ratio is the median of those of the rounds. Figures of Go programs are constants
//! that were measured elsewhere, on two cores of a machine of this kind: they say where we come from, and are no measurement.

mod args;
mod clerks;
mod core;
mod cpu;
mod figure;
mod peers;
mod pipeline;
mod row;
mod rows;
mod table;

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

/// Does what these arguments say, the first of which is the name of the program. Returns the exit status.
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
    let setting = Setting { rounds: args.rounds.get(), histories: args.histories };
    let mut machine = Machine::look();
    let results: Vec<(Row, Measured)> = rows.into_iter().map(|row| measure(row, &setting)).collect();
    machine.look_again();
    print!("{}", table::table(&machine, setting.rounds, &results));
    0
}

/// Measures a row, and says so while the rest is still to come.
fn measure(row: Row, setting: &Setting) -> (Row, Measured) {
    eprint!("{} ... ", row.name);
    let measured = (row.measure)(setting);
    eprintln!("{}", table::today(&row, &measured));
    (row, measured)
}

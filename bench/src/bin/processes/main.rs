//! Compares two clusters of three processes under the same load: etcd's and ours. Both keep their data on the same
//! disk, and both are measured once with fsync and once without.
//!
//! ```sh
//! cargo build --release                   # the program that is measured
//! cargo run --release --manifest-path bench/Cargo.toml --bin processes
//! ```
//!
//! Clients work in a closed loop, each on its own few keys, with values of 16 bytes. The clients of etcd are tasks of
//! this process that speak gRPC; ours are in a process of `raftlab bench`. Each round starts a new cluster.

mod args;
mod etcd;
mod floor;
mod load_result;
mod raftlab;
mod table;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use bench::arguments::{refuse, refuse_or_help};
use bench::machine::Machine;
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Members};
use crate::load_result::{Load, LoadResult};
use crate::table::{Heading, NAMES, Row, Side};

fn main() -> ExitCode {
    ExitCode::from(with(std::env::args_os()))
}

/// Runs the program with these arguments, of which the first is its name. Returns the exit status: 1 if a measurement
/// failed, or if our program does not exist.
fn with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return refuse_or_help(&error),
    };
    let folder = match tempfile::Builder::new().prefix("processes-").tempdir_in(&args.folder) {
        Ok(folder) => folder,
        Err(error) => return refuse(&format!("--folder {}: {error}", args.folder.display())),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("no thread for the clients: {error}")),
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = compare(&args, &folder) => done,
            interruption = interrupted() => Err(interruption),
        }
    });
    // Leftover clients hold connections. The processes that wrote into the folder end before it is removed.
    runtime.shutdown_background();
    match done {
        Ok((heading, rows)) => {
            print!("{}", table::table(&heading, &rows));
            u8::from(heading.raftlab.is_err() || rows.iter().any(|row| row.sides.iter().any(Result::is_err)))
        }
        Err(message) => {
            eprintln!("error: {message}");
            1
        }
    }
}

/// Waits for a signal that ends this process. Returns its description.
async fn interrupted() -> String {
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        // Without handlers a signal ends this process at once, which is right too.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "interrupted".into(),
        _ = terminate.recv() => "terminated".into(),
    }
}

/// Measures each row, with both sides in turns.
async fn compare(args: &Args, folder: &TempDir) -> Result<(Heading, Vec<Row>), String> {
    let mut heading = heading(args);
    let mut rows = Vec::new();
    for load in loads(args) {
        eprintln!("{}:", table::words(load));
        let floor = [floor::syncs_a_second(folder.path(), 1)?, floor::syncs_a_second(folder.path(), 3)?];
        let mut sides: [Side; 2] = [Ok(Vec::new()), Ok(Vec::new())];
        for _ in 0..args.rounds.get() {
            if heading.etcd.is_ok() {
                add(&mut sides, 0, || etcd::measure(load, args.etcd_members, folder.path())).await;
            }
            if heading.raftlab.is_ok() {
                add(&mut sides, 1, || raftlab::measure(&args.raftlab, load, folder.path())).await;
            }
        }
        rows.push(Row { load, floor, sides });
    }
    heading.machine.update_load();
    Ok((heading, rows))
}

/// Measures a round of one side, adds it, and prints it. Does nothing for a side that has failed in this row.
async fn add<M>(sides: &mut [Side; 2], which: usize, measure: impl FnOnce() -> M)
where
    M: Future<Output = Result<LoadResult, String>>,
{
    let Ok(rounds) = &mut sides[which] else { return };
    match measure().await {
        Ok(figures) => {
            eprintln!("  {:<8} {}", NAMES[which], table::line(&figures));
            rounds.push(figures);
        }
        Err(reason) => {
            eprintln!("  {:<8} failed: {reason}", NAMES[which]);
            sides[which] = Err(reason);
        }
    }
}

/// Returns the heading of the table. Prints at once which sides cannot be measured.
fn heading(args: &Args) -> Heading {
    let etcd = etcd::version().map(|version| match args.etcd_members {
        Members::Leader => format!("{version}; its clients talk to the leader"),
        Members::All => format!("{version}; its clients talk to all members"),
    });
    let raftlab = is_there(&args.raftlab);
    for reason in [etcd.as_ref().err(), raftlab.as_ref().err()].into_iter().flatten() {
        eprintln!("{reason}");
    }
    let (rounds, seconds) = (args.rounds.get(), args.seconds.get());
    let memory_note =
        if floor::is_in_memory(&args.folder) { " (in memory, not on a disk: choose another --folder)" } else { "" };
    let folder = format!("{}{memory_note}", args.folder.display());
    Heading { machine: Machine::detect(), rounds, seconds, folder, etcd, raftlab }
}

fn is_there(program: &Path) -> Result<(), String> {
    match program.is_file() {
        true => Ok(()),
        false => Err(format!(
            "there is no program {}; build it with `cargo build --release`, or name it with --raftlab",
            program.display()
        )),
    }
}

/// Returns the loads, one for each row.
fn loads(args: &Args) -> impl Iterator<Item = Load> {
    let seconds = args.seconds.get();
    let rows = [true, false].into_iter().flat_map(|sync| args.clients.iter().map(move |clients| (sync, clients.get())));
    rows.map(move |(sync, clients)| Load { clients, sync, seconds })
}

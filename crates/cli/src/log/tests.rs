//! Tests of `log` on a record that has events of every kind.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::Parser;
use ids::{Index, Term};
use record::{CheckStep, Fault, Level, Recorder, Verdict};

use super::*;
use crate::args::{Args, Command};

/// A record in a file of its own, which is removed when it is dropped.
struct Sample(PathBuf);

impl Sample {
    fn new() -> Sample {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("raftlab-log-{}-{}.record", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        recorded()
            .write(&mut File::create(&path).expect("the temporary folder can be written"))
            .expect("so can a file");
        Sample(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the path is text")
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn recorded() -> Recorder {
    use EventKind::*;
    let s = |server| Some(ServerId(server));
    let recorder = Recorder::default();
    for (tenths, server, kind) in [
        (0, None, RunBegun { scenario: "backup_3B".into(), seed: 7, servers: 3, simulated: true }),
        (10, s(0), VoteGranted { term: Term(1), to: ServerId(0) }),
        (
            20,
            s(0),
            RpcSent { call: 1, from: s(0), to: ServerId(2).into(), method: "Raft.RequestVote".into(), bytes: 38 },
        ),
        (30, s(2), RoleChanged { role: record::Role::Leader, term: Term(1) }),
        (40, None, Fault(self::Fault::Crash(vec![ServerId(1)]))),
        (50, s(2), LogAppended { term: Term(1), first: Index(1), last: Index(4) }),
        (60, None, Check { check: 3, step: CheckStep::Failed, text: "one leader".into() }),
        (70, s(1), LogLine { level: Level::Info, target: "raft".into(), message: "hello \x1b[31m".into() }),
        (80, None, CallsOmitted { since: 2_000_000, calls: 12, bytes: 800 }),
        (12_500, s(1), Failed { text: "two leaders in term 1".into() }),
        (12_500, None, RunEnded { verdict: Verdict::Failed, trace_hash: 1, steps: 2 }),
    ] {
        recorder.record(Event { at: tenths * 100_000, server, kind });
    }
    recorder
}

fn parsed(path: &str, options: &str) -> Result<LogArgs, clap::Error> {
    let words = ["raftlab", "log", path].into_iter().chain(options.split_whitespace());
    Args::try_parse_from(words).map(|args| match args.command {
        Command::Log(log) => log,
        _ => unreachable!("the command is `log`"),
    })
}

fn output_of(path: &str, options: &str, style: OutputStyle) -> Result<String, String> {
    let args = parsed(path, options).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    match write(&args, style, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).expect("it is text")),
        Err(Error::Usage(message)) => Err(message),
        Err(Error::Output(error)) => panic!("a vector takes everything: {error}"),
    }
}

fn output(options: &str) -> Result<String, String> {
    output_of(Sample::new().path(), options, OutputStyle { colors: false, width: 60 })
}

/// The times of the selected events, in tenths of a millisecond.
fn times(options: &str) -> Vec<u64> {
    let output = output(options).expect("the options are good");
    output.lines().map(|line| line.split(' ').next().unwrap().parse().expect("a line begins with a time")).collect()
}

#[test]
fn without_options_every_event_is_one_line() {
    let expected: String = recorded().events().map(|event| format!("{event}\n")).collect();
    assert_eq!(output(""), Ok(expected));
}

#[test]
fn topics_select_events() {
    assert_eq!(times("--topics vote,APPEND"), [10, 50]);
    assert_eq!(times("--topics vote --topics chek"), [10, 60]);
    assert_eq!(times("--ignore rpc,line,test,failure"), [10, 30, 40, 50, 60]);
    assert_eq!(times("--topics vote,lead --ignore lead"), [10]);
}

#[test]
fn servers_select_events_and_global_events_stay() {
    assert_eq!(times("--servers 0,2"), [0, 10, 20, 30, 40, 50, 80, 12_500, 12_500]);
    assert_eq!(times("--servers S1,tester --ignore test,failure"), [40, 60, 70, 80]);
}

#[test]
fn times_select_events_with_both_ends() {
    assert_eq!(times("--from 0.004 --to 6ms"), [40, 50, 60]);
    assert_eq!(times("--from 1.25s"), [12_500, 12_500]);
    assert_eq!(times("--from 99"), [0; 0]);
}

#[test]
fn servers_have_columns_and_global_events_span_them() {
    let expected = "\
time    S0           S1           S2           others
000000  == backup_3B begins: seed 7, 3 servers, simulated
000010  votes for
        S0 in term
        1
000020  #1 S0 -> S2
        Raft.Reques
        tVote, 38
        bytes
000030                            becomes
                                  leader in
                                  term 1
000040  == crashes [S1] ==================================
000050                            appends
                                  index 1 to
                                  4, term 1
000060                                         check 3
                                               failed: one
                                               leader
000070               INFO raft:
                     hello
                     \\u{1b}[31m
000080  == 12 completed calls since 000020 are omitted,
           800 bytes =====================================
012500  == S1 FAILED: two leaders in term 1 ==============
012500  == the run ends: failed, 2 steps, trace
           0000000000000001 ==============================
";
    assert_eq!(output("--columns").unwrap(), expected);
}

#[test]
fn only_the_selected_servers_have_columns() {
    let header = |options: &str| output(options).unwrap().lines().next().unwrap().to_string();
    assert_eq!(header("--columns --servers 0,2").split_whitespace().collect::<Vec<_>>(), ["time", "S0", "S2"]);
    assert_eq!(header("--columns=2").split_whitespace().collect::<Vec<_>>(), ["time", "S0", "S1", "others"]);
    assert_eq!(header("--columns=9"), header("--columns"));
    let output = output("--columns=2 --topics lead").unwrap();
    assert!(output.contains("S2 becomes"), "a server without a column is among the others, with its name:\n{output}");
}

#[test]
fn each_line_has_one_colour_and_its_text_adds_none() {
    let coloured = output_of(Sample::new().path(), "", OutputStyle { colors: true, width: 60 }).unwrap();
    let plain = output("").unwrap();
    assert_eq!(coloured.lines().count(), plain.lines().count());
    for (coloured, plain) in coloured.lines().zip(plain.lines()) {
        assert!(coloured.starts_with("\x1b[") && coloured.ends_with(&format!("m{plain}{}", colors::END)));
        assert_eq!(coloured.matches('\x1b').count(), 2);
    }
}

#[test]
fn an_impossible_request_is_one_error_line() {
    for (options, part) in [
        ("--servers 3", "the record has no server S3; it has S0 to S2"),
        ("--from 2 --to 1", "--from is later than --to"),
    ] {
        let error = output(options).unwrap_err();
        assert!(error.contains(part) && error.lines().count() == 1, "{error}");
    }
    for (options, part) in [
        ("--topics votes", "there is no topic 'votes'; the topics are rpc, drop, vote"),
        ("--servers leader", "a server is a number"),
        ("--from noon", "a time is in seconds"),
        ("--columns=0", "invalid value '0'"),
        ("--width 80", "--columns"),
    ] {
        let error = parsed("-", options).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_unreadable_file_is_named_with_the_reason() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let style = OutputStyle { colors: false, width: 60 };
    assert_eq!(output_of(manifest, "", style), Err(format!("cannot read '{manifest}': it is not a record of a run")));
    let error = output_of("no/such/file", "", style).unwrap_err();
    assert!(error.starts_with("cannot read 'no/such/file': No such file"), "{error}");
}

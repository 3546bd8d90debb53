//! Tests of many runs, their saved results, and their replay. Each test starts processes, as users do. The reference
//! never fails; [`child_process`] has a Raft that fails with some seeds.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Persister, Raft, ServerId};
use record::Options;
use serde_json::Value;
use tester::{Clock, KvSubject, Report, Subject, runner};

use crate::target_dir::TargetDir;

/// The environment variable with the arguments of [`child_process`].
const ARGUMENTS: &str = "RAFTLAB_ARGUMENTS";

/// The text before the exit status at the end of the output of [`child_process`].
const STATUS_LINE: &str = "the child process ends with status ";

/// The reference, which fails with every third seed.
struct FailsEveryThirdSeed(raft::Raft);

impl Raft for FailsEveryThirdSeed {
    fn make(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
    ) -> FailsEveryThirdSeed {
        let raft = <raft::Raft as Raft>::make(peers, me, persister, apply_ch);
        assert!(!labstd::rng::seed().is_multiple_of(3) || std::env::var("RAFTLAB_FIXED").is_ok(), "this seed fails");
        FailsEveryThirdSeed(raft)
    }

    raftapi::forward_raft!(0);
}

impl raftapi::RaftExt for FailsEveryThirdSeed {}

#[test]
#[ignore = "the other tests run it in processes of their own"]
fn child_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = ["raftlab"].into_iter().chain(arguments.split(' ')).map(Into::into);
    let status = cli::run_with_args::<FailsEveryThirdSeed, kvraft::KvServer<FailsEveryThirdSeed>>("raftlab", arguments);
    println!("{STATUS_LINE}{status}");
}

/// The result of a process.
struct Finished {
    status: Option<i32>,
    out: String,
    err: String,
}

impl TargetDir {
    /// The command line over the reference.
    fn lab(&self, arguments: &str) -> Command {
        let mut command = self.process(env!("CARGO_BIN_EXE_raftlab"));
        command.args(arguments.split(' '));
        command
    }

    /// The command line over servers that fail with every third seed.
    fn failing_lab(&self, arguments: &str) -> Command {
        let this = std::env::current_exe().expect("this test is a program");
        let mut command = self.process(this.to_str().expect("its path is text"));
        command.args(["--exact", "runs::child_process", "--ignored", "--nocapture"]).env(ARGUMENTS, arguments);
        command
    }

    /// The lines of saved results of this kind.
    fn lines(&self, name: &str, is: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &Value| line["is"] == is).collect()
    }

    /// The seeds of the runs that did not pass.
    fn failed(&self, name: &str) -> Vec<u64> {
        self.lines(name, "run").iter().map(|line| line["seed"].as_u64().expect("a number")).collect()
    }
}

fn finish(command: &mut Command) -> Finished {
    let output = command.output().expect("it starts");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    // The status of a child process is in its output, surrounded by the output of the test harness.
    let own =
        out.split_once(STATUS_LINE).map(|(_, rest)| rest.lines().next().expect("a number").parse().expect("a number"));
    Finished { status: own.or(output.status.code()), out, err }
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

#[test]
fn many_runs_save_their_results_and_print_the_path() {
    let target = TargetDir::new("passed");
    let Finished { status, out, err } = finish(&mut target.lab("run initial_election_3A re_election_3A -n 5"));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.ends_with(&format!("\n\nresults: {}\n", target.path("run.json").display())), "{out}");
    assert_eq!(target.names(), ["run.json".to_string()].into());
    let head = &target.lines("run.json", "results")[0];
    assert_eq!((&head["clock"], &head["runs"], &head["first_seed"]), (&"simulated".into(), &5.into(), &1.into()));
    assert_eq!(target.lines("run.json", "scenario").len(), 2);
    assert_eq!(target.lines("run.json", "end")[0]["passed"], 10);
    let again = finish(&mut target.lab(&format!("replay {}", target.path("run.json").display())));
    assert_eq!((again.status, again.out.as_str()), (Some(0), "no run in it failed\n"));
}

#[test]
fn single_runs_and_vis_enable_never_save_no_results() {
    let target = TargetDir::new("never");
    assert_eq!(finish(&mut target.lab("run initial_election_3A")).status, Some(0));
    assert_eq!(finish(target.lab("run initial_election_3A -n 5").env("VIS_ENABLE", "never")).status, Some(0));
    assert_eq!(target.names(), BTreeSet::new());
}

/// The output without the real time, which differs in each run, and without the folder of the test.
fn comparable_output(target: &TargetDir, out: &str) -> String {
    let out = out.replace(&target.0.display().to_string(), "TARGET");
    let lines = out.lines().filter(|line| !line.contains("of real time") && !line.starts_with("test result"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_schedule_of_a_run_does_not_depend_on_recording() {
    let raft = tester::raft_scenarios(&Subject::of::<raft::Raft>());
    let kv = tester::kv_scenarios(&KvSubject::of::<kvraft::KvServer<raft::Raft>>());
    for scenario in raft.iter().chain(&kv) {
        let [on, off] = [Options::default(), Options::off()]
            .map(|options| runner::run_with(scenario, Clock::Simulated, 3, options));
        let outcome = |report: &Report| (report.stats.schedule_hash, report.stats.steps, report.stats.elapsed);
        assert_eq!(outcome(&on), outcome(&off), "{scenario:?}");
        assert_eq!(on.verdict, off.verdict, "{scenario:?}");
    }
}

#[test]
fn output_and_files_of_a_batch_do_not_depend_on_recording() {
    // A batch records only failed runs, in a second run of their seeds. If the files of passing runs are wanted too, it
    // records all runs from their start.
    let [recorded, unrecorded] = ["recorded", "unrecorded"].map(|name| {
        let target = TargetDir::new(&format!("batch-{name}"));
        let mut command = target.failing_lab("run initial_election_3A re_election_3A -n 20");
        if name == "recorded" {
            command.env("VIS_ENABLE", "always");
        }
        let out = comparable_output(&target, &finish(&mut command).out);
        (target, out)
    });
    assert_says(&unrecorded.1, &["6 of 20 runs did not pass; the first:\n", "12 failed"]);
    assert_eq!(unrecorded.1, recorded.1);
    let names = unrecorded.0.names();
    assert_eq!(names.len(), 1 + 2 * 2 * 5, "the results, and record and timeline of five runs of each: {names:?}");
    for name in names.iter().filter(|name| *name != "run.json") {
        let [one, other] = [&recorded, &unrecorded].map(|(target, _)| fs::read(target.path(name)).expect("a file"));
        assert!(one == other, "{name} differs");
    }
    assert_eq!(unrecorded.0.lines("run.json", "scenario"), recorded.0.lines("run.json", "scenario"));
}

#[test]
fn standard_output_does_not_depend_on_the_progress_mode() {
    let outs = ["none", "lines", "bar", "auto"].map(|how| {
        let target = TargetDir::new(&format!("output-{how}"));
        let out = finish(&mut target.failing_lab(&format!("run initial_election_3A -n 20 --progress {how}"))).out;
        comparable_output(&target, &out)
    });
    assert_says(
        &outs[0],
        &["6 of 20 runs did not pass; the first:\n", "again:   cargo run --release -p raftlab -- replay "],
    );
    assert!(outs.iter().all(|out| *out == outs[0]), "{outs:#?}");
}

#[test]
fn the_first_failure_is_printed_at_once_and_all_are_saved() {
    let target = TargetDir::new("failed");
    let Finished { status, out, err } =
        finish(&mut target.failing_lab("run initial_election_3A -n 20 --progress lines"));
    assert_eq!(status, Some(1), "{out}{err}");
    let record = target.path("initial_election_3A-simulated-3.record");
    assert_says(&err, &["initial_election_3A does not pass with seed 3: ", &record.display().to_string()]);
    assert_eq!(target.failed("run.json"), [3, 6, 9, 12, 15, 18]);
    let first = &target.lines("run.json", "run")[0];
    assert_eq!((&first["verdict"], &first["record"]), (&"failed".into(), &record.display().to_string().into()));
    assert!(target.lines("run.json", "run")[5]["record"].is_null(), "the files of the first five are kept");
    // The failed runs fail again, and they pass once the mistake is fixed.
    let replay = format!("replay {}", target.path("run.json").display());
    let again = finish(&mut target.failing_lab(&replay));
    assert_eq!(again.status, Some(1), "{}", again.out);
    assert_says(&again.out, &["1 scenarios, 6 runs: 0 passed, 6 failed"]);
    let fixed = finish(target.failing_lab(&replay).env("RAFTLAB_FIXED", "yes"));
    assert_eq!(fixed.status, Some(0), "{}", fixed.out);
    assert_says(&fixed.out, &["1 scenarios, 6 runs: 6 passed, 0 failed"]);
}

#[test]
fn a_record_is_replayed_and_compared() {
    let target = TargetDir::new("record");
    finish(&mut target.failing_lab("run initial_election_3A --seed 3"));
    let names = target.names();
    let replay = format!("replay {}", target.path("initial_election_3A-simulated-3.record").display());
    let same = finish(&mut target.failing_lab(&replay));
    assert_eq!(same.status, Some(1), "{}", same.out);
    assert_says(&same.out, &["FAILED after", "the same run as recorded: all ", "seed:    3"]);
    assert_eq!(target.names(), names, "the files of this run are there already");
    let fixed = finish(&mut target.lab(&replay));
    assert_eq!(fixed.status, Some(0), "{}", fixed.out);
    assert_says(&fixed.out, &["Passed", "NOT the run that was recorded: it differs from event ", "recorded:", "now:"]);
}

#[test]
fn a_record_on_threads_runs_again_with_the_same_seed() {
    let target = TargetDir::new("threads");
    finish(&mut target.failing_lab("run initial_election_3A --seed 3 --clock threads"));
    let replay = format!("replay {}", target.path("initial_election_3A-threads-3.record").display());
    let again = finish(&mut target.failing_lab(&replay));
    assert_eq!(again.status, Some(1), "{}", again.out);
    assert_says(&again.out, &["a run on threads cannot be replayed exactly", "FAILED after", "(seed 3, "]);
}

#[test]
fn fail_fast_and_until_fail_start_no_run_after_a_failure() {
    let target = TargetDir::new("fail-fast");
    let stopped = finish(&mut target.failing_lab("run initial_election_3A re_election_3A -n 20 -j 1 --fail-fast"));
    assert_eq!(stopped.status, Some(1), "{}", stopped.out);
    assert_says(&stopped.out, &["2 scenarios, 3 runs: 2 passed, 1 failed"]);
    assert_eq!(target.lines("run.json", "end")[0]["how"], "stopped_at_a_failure");
    let found = finish(&mut target.failing_lab("run initial_election_3A re_election_3A -j 1 --until-fail --seed 4"));
    assert_eq!(found.status, Some(1), "{}", found.out);
    assert_says(&found.out, &["2 scenarios, 5 runs: 4 passed, 1 failed", "initial_election_3A with seed 6: "]);
    assert_eq!(target.failed("run-2.json"), [6]);
}

#[test]
fn an_unreplayable_file_is_refused_in_one_line() {
    let target = TargetDir::new("refused");
    finish(&mut target.failing_lab("run initial_election_3A -n 3"));
    let record = fs::read(target.path("initial_election_3A-simulated-3.record")).expect("a record");
    let results = fs::read_to_string(target.path("run.json")).expect("results");
    let files: [(&str, Vec<u8>, &str); 6] = [
        ("empty", Vec::new(), "it is neither the record of a run nor saved results"),
        ("text", b"hello\n".to_vec(), "it is neither the record of a run nor saved results"),
        ("short.record", record[..record.len() / 2].to_vec(), "the record ends in the middle"),
        ("damaged.record", [&record[..40], &[0xff; 8], &record[48..]].concat(), "the record is damaged"),
        ("damaged.json", results.replacen("\"seed\":3", "\"seed\":", 1).into_bytes(), "line 2 is damaged"),
        (
            "gone.json",
            results.replace("initial_election_3A", "gone_3A").into_bytes(),
            "this program has no scenario 'gone_3A'",
        ),
    ];
    for (name, bytes, why) in files {
        fs::write(target.path(name), bytes).expect("it is written");
        let Finished { status, out, err } = finish(&mut target.lab(&format!("replay {}", target.path(name).display())));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{name}: {err}");
        assert!(err.starts_with("error: cannot replay '") && err.contains(why) && err.lines().count() == 1, "{err}");
    }
    assert_eq!(finish(&mut target.lab("replay no-such-file")).status, Some(2));
}

#[test]
fn a_wrong_limit_in_the_environment_is_refused_in_one_line() {
    let target = TargetDir::new("limit");
    let Finished { status, out, err } = finish(target.lab("run initial_election_3A").env("LAB_STALL", "soon"));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    let advice = "error: LAB_STALL=\"soon\" is not a number of seconds: give one, or 0 for no limit, or unset it\n";
    assert_eq!(err, advice);
}

#[cfg(unix)]
mod unix {
    use std::io::Read;

    use super::*;

    /// Waits until the results file has a line of this kind.
    fn wait_for(target: &TargetDir, is: &str) {
        let there = || {
            let text = fs::read_to_string(target.path("run.json")).unwrap_or_default();
            text.contains(&format!("{{\"is\":\"{is}\""))
        };
        while !there() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn signal(name: &str, process: u32) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
        assert!(killed.expect("there is a shell").success());
    }

    #[test]
    fn ctrl_c_saves_the_results_and_prints_their_path() {
        let target = TargetDir::new("interrupted");
        let mut child =
            target.failing_lab("run initial_election_3A -n 1000000 --progress none").spawn().expect("it starts");
        wait_for(&target, "run");
        signal("INT", child.id());
        let mut err = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{err}");
        let results = target.path("run.json").display().to_string();
        let replay = format!("results: {results}\nagain:   cargo run --release -p raftlab -- replay {results}\n");
        assert_says(&err, &["interrupted: ", "so far ", &replay]);
        let end = &target.lines("run.json", "end")[0];
        assert_eq!(end["how"], "interrupted");
        assert_eq!(target.lines("run.json", "run").len() as u64, end["not_passed"].as_u64().expect("a number"));
        assert_eq!(target.lines("run.json", "scenario")[0]["runs"], end["runs"]);
        let failed = target.failed("run.json");
        assert!(failed.iter().enumerate().all(|(place, seed)| *seed == 3 * (place as u64 + 1)), "{failed:?}");
    }

    #[test]
    fn a_killed_process_leaves_its_failures() {
        let target = TargetDir::new("killed");
        let mut child =
            target.failing_lab("run initial_election_3A -n 1000000 --progress none").spawn().expect("it starts");
        wait_for(&target, "run");
        signal("KILL", child.id());
        child.wait().expect("it ends");
        let replay = format!("replay {}", target.path("run.json").display());
        let again = finish(target.failing_lab(&replay).env("RAFTLAB_FIXED", "yes"));
        assert_eq!(again.status, Some(0), "{}{}", again.out, again.err);
        assert_says(&again.out, &["Passed --", "1 scenarios, "]);
    }

    #[test]
    fn the_command_succeeds_if_its_output_is_closed_early() {
        let target = TargetDir::new("head");
        let lab = format!("'{}' run 3A -n 3; echo status $? >&2", env!("CARGO_BIN_EXE_raftlab"));
        let ended = finish(target.process("sh").args(["-c", &format!("({lab}) | head -n 1")]));
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("Test (3A): initial election ...\n", "status 0\n"));
    }
}

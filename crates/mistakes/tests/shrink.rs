//! The command `shrink` finds a shorter run that fails in the same way, and records it so that it can be replayed. The
//! result does not depend on the number of concurrent runs. Each test starts this program as a child process and names
//! the mistake in an environment variable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use mistakes::{Clerk, KvMistake, KvServer, Mistake, NO_MISTAKE};
use raftapi::{ApplyMsg, KvService, Persister, ServerId, Term};

/// The environment variable that names the mistake for [`child_process`].
const MISTAKE: &str = "RAFTLAB_MISTAKE";

/// The environment variable with the arguments of [`child_process`], separated by blanks.
const ARGUMENTS: &str = "RAFTLAB_ARGUMENTS";

fn chosen_mistake() -> String {
    std::env::var(MISTAKE).unwrap_or_default()
}

/// The plain Raft with the mistake that the environment names.
struct Raft(mistakes::Raft);

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        let mistake = Mistake::ALL.iter().copied().find(|known| format!("{known:?}") == chosen_mistake());
        Raft(mistakes::Raft::factory(mistake)(peers, me, persister, apply_ch))
    }

    raftapi::forward_raft!(0);
}

/// The plain service with the mistake that the environment names.
struct Service4(KvServer<mistakes::Raft, NO_MISTAKE>);

impl KvService for Service4 {
    type Clerk = Clerk<NO_MISTAKE>;

    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> Service4 {
        let mistake = KvMistake::ALL.iter().copied().find(|known| format!("{known:?}") == chosen_mistake());
        Service4(KvServer::factory(mistake)(peers, me, persister, max_raft_state))
    }
    fn services(&self) -> Vec<Service> {
        self.0.services()
    }
    fn get_state(&self) -> (Term, bool) {
        self.0.get_state()
    }
    fn kill(&self) {
        self.0.kill();
    }
}

#[test]
#[ignore = "the other tests run it as a child process"]
fn child_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = ["raftlab"].into_iter().chain(arguments.split(' ')).map(Into::into);
    std::process::exit(cli::run_with_args::<Raft, Service4>("raftlab", arguments).into());
}

/// The target folder of one test, removed when the test ends.
struct Target(PathBuf);

impl Target {
    fn new(test: &str) -> Target {
        let folder = std::env::temp_dir().join(format!("raftlab-shrink-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Target(folder)
    }

    /// Runs the command line over servers that make `mistake`.
    fn run(&self, mistake: &str, arguments: &str) -> (i32, String) {
        let this = std::env::current_exe().expect("this test is a program");
        let mut command = Command::new(this);
        command.args(["--exact", "child_process", "--ignored", "--nocapture"]).env("CARGO_TARGET_DIR", &self.0);
        command.env(MISTAKE, mistake).env(ARGUMENTS, arguments).stdin(Stdio::null());
        for variable in ["VIS_ENABLE", "VIS_FILE", "LAB_LOG"] {
            command.env_remove(variable);
        }
        let Output { status, stdout, stderr } = command.output().expect("the child process runs");
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        (status.code().expect("no signal ends the child process"), text)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("lab").join(name)
    }

    /// Returns the first file whose name contains both pieces.
    fn find(&self, pieces: [&str; 2]) -> PathBuf {
        let files = fs::read_dir(self.0.join("lab")).expect("files were written");
        let mut names: Vec<String> =
            files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect();
        names.sort();
        let name = names.iter().find(|name| pieces.iter().all(|piece| name.contains(piece)));
        self.file(name.unwrap_or_else(|| panic!("no {pieces:?} among {names:?}")))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the two numbers of a row of the table: before and after.
fn row(text: &str, what: &str) -> [f64; 2] {
    let line = text.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no row {what}:\n{text}"));
    let numbers: Vec<f64> = line[what.len()..].split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("not two numbers: {line}"))
}

/// Returns the numbers of faults and lost messages together, before and after.
fn fault_counts(text: &str) -> [f64; 2] {
    let (faults, lost) = (row(text, "faults"), row(text, "messages lost"));
    [faults[0] + lost[0], faults[1] + lost[1]]
}

fn quoted(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The mistake that Figure 8 of the paper shows.
const COMMITS_BY_COUNTING: &str = "CommitsAnEntryOfAnOlderTermByCounting";

/// Returns a seed with which `scenario` fails.
fn failing_seed(target: &Target, mistake: &str, scenario: &str) -> u64 {
    let (status, text) = target.run(mistake, &format!("run {scenario} -n 60 --fail-fast --progress none"));
    assert_eq!(status, 1, "no seed fails: {text}");
    let seed = text.lines().find_map(|line| line.strip_prefix("seed:")).unwrap_or_else(|| panic!("no seed: {text}"));
    seed.trim().parse().expect("a number")
}

#[test]
fn a_shorter_run_is_found_and_can_be_replayed() {
    let target = Target::new("replay");
    let (mistake, scenario) = ("TruncatesOnALateAppendEntries", "unreliable_churn_3C");
    let seed = failing_seed(&target, mistake, scenario);

    let (status, text) = target.run(mistake, &format!("shrink {scenario} --seed {seed} --tries 90"));
    assert_eq!(status, 1, "{text}");
    let [before, after] = fault_counts(&text);
    assert!(after < before, "{text}");

    // The record, its file name and the replay command all contain the moment at which the faults end.
    let calm = target.find(["-calm-", ".record"]);
    assert!(calm.with_extension("html").is_file(), "the timeline lies beside the record");
    let command = text.lines().find_map(|line| line.split("-- run ").nth(1)).unwrap_or_else(|| panic!("{text}"));
    assert!(command.contains("--calm-from "), "{text}");
    let (status, rerun) = target.run(mistake, &format!("run {command}"));
    assert_eq!(status, 1, "{rerun}");
    let sentence = |text: &str| text.lines().skip_while(|line| !line.contains("... FAILED")).nth(1).map(String::from);
    assert_eq!(sentence(&rerun), sentence(&text), "{rerun}");
    assert!(sentence(&text).is_some(), "{text}");
    let (status, replayed) = target.run(mistake, &format!("replay {}", quoted(&calm)));
    assert_eq!(status, 1, "{replayed}");
    assert!(replayed.contains("the same run as recorded"), "{replayed}");
    let (_, log) = target.run(mistake, &format!("log --topics test {}", quoted(&calm)));
    assert!(log.contains("faults end at"), "{log}");

    // Shrinking the shrunk run again works.
    let (status, again) = target.run(mistake, &format!("shrink {} --tries 20", quoted(&calm)));
    assert_eq!(status, 1, "{again}");
    // Without the mistake there is nothing to shrink.
    let (status, innocent) = target.run("none", &format!("shrink {}", quoted(&calm)));
    assert_eq!((status, innocent.contains("passes: there is nothing to shrink")), (0, true), "{innocent}");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_jobs() {
    let target = Target::new("jobs");
    let seed = failing_seed(&target, COMMITS_BY_COUNTING, "figure_8_3C");
    let results = [1, 3].map(|jobs| {
        let (status, text) =
            target.run(COMMITS_BY_COUNTING, &format!("shrink figure_8_3C --seed {seed} --tries 70 --jobs {jobs}"));
        assert_eq!(status, 1, "{text}");
        let table =
            |line: &&str| ["tried", "seed ", "calm", "faults", "messages"].iter().any(|begin| line.starts_with(begin));
        text.lines().filter(table).map(String::from).collect::<Vec<_>>()
    });
    assert!(!results[0].is_empty());
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_wrong_request_is_refused_in_one_line() {
    let target = Target::new("refused");
    for (arguments, why) in [
        ("shrink figure_8_3C", "figure_8_3C needs a seed: give --seed"),
        ("shrink figure_9 --seed 1", "neither a file nor the whole name of a scenario"),
        ("run re_election_3A --clock threads --calm-from 1s", "--calm-from needs --clock simulated"),
        ("run one_partition_4A --calm-from 1s", "needs all of its faults: none can be removed"),
    ] {
        let (status, text) = target.run(COMMITS_BY_COUNTING, arguments);
        assert_eq!(status, 2, "{text}");
        let complaints: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(complaints.len(), 1, "{text}");
        assert!(complaints[0].contains(why), "{text}");
    }
}

//! `shrink` finds a shorter run, one that fails in the same way, that is recorded and can be replayed; and the same one however
//! many runs are made at once. By processes of their own: this program, with a mistake that is named in the environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Index, KvService, Persister, ServerId, Started, Term};
use wrong::{Clerk, KvMistake, KvServer, Mistake, NO_MISTAKE};

/// Says to [`a_child`] which mistake is made.
const MISTAKE: &str = "RAFTLAB_MISTAKE";

/// Its arguments, with blanks between them.
const ARGUMENTS: &str = "RAFTLAB_ARGUMENTS";

fn named() -> String {
    std::env::var(MISTAKE).unwrap_or_default()
}

/// The plain Raft with the mistake that the environment names.
struct Raft(wrong::Raft);

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        let mistake = Mistake::ALL.into_iter().find(|known| format!("{known:?}") == named());
        Raft(wrong::Raft::making(mistake)(peers, me, persister, apply_ch))
    }
    fn services(&self) -> Vec<Service> {
        self.0.services()
    }
    fn start(&self, command: Bytes) -> Option<Started> {
        self.0.start(command)
    }
    fn get_state(&self) -> (Term, bool) {
        self.0.get_state()
    }
    fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.0.snapshot(index, snapshot);
    }
    fn persist_bytes(&self) -> usize {
        self.0.persist_bytes()
    }
    fn kill(&self) {
        self.0.kill();
    }
}

/// The plain service, the same way.
struct Service4(KvServer<wrong::Raft, NO_MISTAKE>);

impl KvService for Service4 {
    type Clerk = Clerk<NO_MISTAKE>;

    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> Service4 {
        let mistake = KvMistake::ALL.into_iter().find(|known| format!("{known:?}") == named());
        Service4(KvServer::making(mistake)(peers, me, persister, max_raft_state))
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
#[ignore = "the others run it, in processes of their own"]
fn a_child() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = ["raftlab"].into_iter().chain(arguments.split(' ')).map(Into::into);
    std::process::exit(cli::with::<Raft, Service4>("raftlab", arguments).into());
}

/// A target folder of a test's own, which goes away with it.
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
        command.args(["--exact", "a_child", "--ignored", "--nocapture"]).env("CARGO_TARGET_DIR", &self.0);
        command.env(MISTAKE, mistake).env(ARGUMENTS, arguments).stdin(Stdio::null());
        for variable in ["VIS_ENABLE", "VIS_FILE", "LAB_LOG"] {
            command.env_remove(variable);
        }
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        (status.code().expect("it ends by itself"), text)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("lab").join(name)
    }

    /// The first file whose name has these pieces.
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

/// The two numbers of a row of the table.
fn row(text: &str, what: &str) -> [f64; 2] {
    let line = text.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no row {what}:\n{text}"));
    let numbers: Vec<f64> = line[what.len()..].split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("not two numbers: {line}"))
}

/// How many things went wrong, before and after.
fn wrongs(text: &str) -> [f64; 2] {
    let (faults, lost) = (row(text, "faults"), row(text, "messages lost"));
    [faults[0] + lost[0], faults[1] + lost[1]]
}

fn quoted(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A mistake that Figure 8 of the paper is about.
const COUNTS: &str = "CommitsAnEntryOfAnOlderTermByCounting";

/// A seed of `scenario` that fails.
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
    let [before, after] = wrongs(&text);
    assert!(after < before, "{text}");

    // Its record says when the faults end, and so do its name and the command that replays it.
    let calm = target.find(["-calm-", ".record"]);
    assert!(calm.with_extension("html").is_file(), "a picture beside it");
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
    assert!(log.contains("nothing goes wrong any more from"), "{log}");

    // What is shrunk again comes to no more than it was.
    let (status, again) = target.run(mistake, &format!("shrink {} --tries 20", quoted(&calm)));
    assert_eq!(status, 1, "{again}");
    // Without the mistake there is nothing to shrink.
    let (status, innocent) = target.run("none", &format!("shrink {}", quoted(&calm)));
    assert_eq!((status, innocent.contains("passes: there is nothing to shrink")), (0, true), "{innocent}");
}

#[test]
fn the_result_does_not_depend_on_how_many_runs_there_are_at_once() {
    let target = Target::new("jobs");
    let seed = failing_seed(&target, COUNTS, "figure_8_3C");
    let results = [1, 3].map(|jobs| {
        let (status, text) = target.run(COUNTS, &format!("shrink figure_8_3C --seed {seed} --tries 70 --jobs {jobs}"));
        assert_eq!(status, 1, "{text}");
        let table =
            |line: &&str| ["tried", "seed ", "calm", "faults", "messages"].iter().any(|begin| line.starts_with(begin));
        text.lines().filter(table).map(String::from).collect::<Vec<_>>()
    });
    assert!(!results[0].is_empty());
    assert_eq!(results[0], results[1]);
}

#[test]
fn what_cannot_be_shrunk_is_refused_in_one_line() {
    let target = Target::new("refused");
    for (arguments, why) in [
        ("shrink figure_8_3C", "which run of figure_8_3C? --seed says it"),
        ("shrink figure_9 --seed 1", "neither a file nor the whole name of a scenario"),
        ("run re_election_3A --clock threads --calm-from 1s", "--calm-from is for --clock simulated"),
        ("run one_partition_4A --calm-from 1s", "is a story of certain faults, none of which can be left out"),
    ] {
        let (status, text) = target.run(COUNTS, arguments);
        assert_eq!(status, 2, "{text}");
        let complaints: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(complaints.len(), 1, "{text}");
        assert!(complaints[0].contains(why), "{text}");
    }
}

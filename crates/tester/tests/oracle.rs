//! Proof that the checks of parts 3C and 3D can fail: servers that agree by sharing one log in memory, each with one
//! mistake that only the named check detects.

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};
use tester::{Clock, Command, Report, Subject, raft_scenarios, runner};

/// The mistake of a server, if it makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    Nothing,
    CommitsSlowly,
    ForgetsSnapshots,
    SavesTooMuch,
    SavesDamagedSnapshots,
    StartsOverAfterSnapshot,
    SkipsAfterSnapshot,
    DeliversOldSnapshot,
    DeliversDamagedSnapshot,
    DeliversSnapshotAtAnotherIndex,
    DeliversSnapshotOfAnotherCluster,
}

/// A server that always leads in its own term, and puts every command into the log that all servers share.
struct Oracle {
    me: ServerId,
    mistake: Mistake,
    log: Arc<Log>,
    persister: Arc<Persister>,
    /// Messages for its service that a snapshot has caused.
    pending: Arc<Mutex<Vec<ApplyMsg>>>,
    killed: Arc<AtomicBool>,
}

/// Every command, with its submission time.
type Log = Mutex<Vec<(Instant, Bytes)>>;

impl Oracle {
    fn with(mistake: Mistake) -> Subject {
        let log: Arc<Mutex<Option<Arc<Log>>>> = Arc::default();
        Subject::with_factory(move |_, me, persister, apply_ch| {
            let log = Arc::clone(log.lock().get_or_insert_with(|| Arc::new(Mutex::new(Vec::new()))));
            Oracle::start(mistake, me, log, persister, apply_ch)
        })
    }

    fn start(
        mistake: Mistake,
        me: ServerId,
        log: Arc<Log>,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
    ) -> Oracle {
        let covered = u64::from_le_bytes(persister.read_raft_state().try_into().unwrap_or_default()) as usize;
        let first = match mistake {
            Mistake::StartsOverAfterSnapshot => 0,
            Mistake::SkipsAfterSnapshot if covered > 0 => covered + 1,
            _ => covered,
        };
        let (pending, killed) = (Arc::default(), Arc::default());
        let oracle = Oracle { me, mistake, log, persister, pending, killed };
        thread::spawn(format!("{me}/applier"), oracle.applier(first, apply_ch));
        oracle
    }

    /// Returns the applier thread's body, which delivers the log after the first `next` entries.
    fn applier(&self, mut next: usize, apply_ch: Sender<ApplyMsg>) -> impl FnOnce() + Send + use<> {
        let (log, pending, killed) = (Arc::clone(&self.log), Arc::clone(&self.pending), Arc::clone(&self.killed));
        let slow = self.mistake == Mistake::CommitsSlowly;
        let age = Duration::from_millis(if slow { 500 } else { 1 });
        move || {
            while !killed.load(SeqCst) {
                let mut messages = std::mem::take(&mut *pending.lock());
                let entry = log.lock().get(next).filter(|(begun, _)| begun.elapsed() >= age).cloned();
                if let Some((_, command)) = entry {
                    next += 1;
                    messages.push(ApplyMsg::Command { index: Index(next as u64), term: Term(1), command });
                }
                if messages.is_empty() {
                    thread::sleep(Duration::from_millis(1));
                }
                if messages.into_iter().any(|message| apply_ch.send(message).is_err()) {
                    return;
                }
            }
        }
    }
}

impl Raft for Oracle {
    fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> Oracle {
        unreachable!("these servers are made by `Oracle::with`")
    }
    fn services(&self) -> Vec<Service> {
        let methods = ["RequestVote", "AppendEntries", "InstallSnapshot"];
        vec![methods.into_iter().fold(Service::new("Raft"), |service, name| service.method(name, |(): ()| ()))]
    }
    fn start(&self, command: Bytes) -> Option<Started> {
        let mut log = self.log.lock();
        log.push((Instant::now(), command));
        Some(Started { index: Index(log.len() as u64), term: self.get_state().0 })
    }
    fn get_state(&self) -> (Term, bool) {
        (Term(self.me.0 as u64 + 1), true)
    }
    fn snapshot(&self, index: Index, snapshot: Bytes) {
        let deliver = |index, snapshot| self.pending.lock().push(ApplyMsg::Snapshot { index, term: Term(1), snapshot });
        let old = self.persister.read_snapshot();
        let state = index.0.to_le_bytes().to_vec();
        match self.mistake {
            Mistake::ForgetsSnapshots => return,
            Mistake::SavesTooMuch => return self.persister.save(vec![0; 2000], snapshot),
            Mistake::SavesDamagedSnapshots => return self.persister.save(state, snapshot.slice(1..)),
            Mistake::DeliversOldSnapshot if !old.is_empty() => deliver(Index(index.0 - 10), old),
            Mistake::DeliversDamagedSnapshot => deliver(index, snapshot.slice(..snapshot.len() - 1)),
            Mistake::DeliversSnapshotAtAnotherIndex => deliver(index.next(), snapshot.clone()),
            Mistake::DeliversSnapshotOfAnotherCluster => {
                let last = index.0 + 10;
                let number = |n| (n > 0).then_some(Command::Int(n as i64));
                let places: Vec<Option<Command>> = (0..=last).map(number).collect();
                deliver(Index(last), labgob::encode(&(last, places)));
            }
            _ => {}
        }
        self.persister.save(state, snapshot);
    }
    fn persist_bytes(&self) -> usize {
        self.persister.raft_state_size()
    }
    fn kill(&self) {
        self.killed.store(true, SeqCst);
        // This has no effect: the saves of a killed server are never read.
        self.persister.save(vec![0; 5000], Bytes::from_static(b"too late"));
    }
}

fn run(name: &str, mistake: Mistake) -> Report {
    run_with_seed(name, mistake, 1)
}

fn run_with_seed(name: &str, mistake: Mistake, seed: u64) -> Report {
    let scenarios = raft_scenarios(&Oracle::with(mistake));
    let scenario = scenarios.iter().find(|scenario| scenario.info.name == name).unwrap();
    runner::run(scenario, Clock::Simulated, seed)
}

/// Asserts that the scenario fails, with these words.
fn assert_says(name: &str, mistake: Mistake, parts: &[&str]) {
    assert_report_says(&run(name, mistake), name, mistake, parts);
}

fn assert_report_says(report: &Report, name: &str, mistake: Mistake, parts: &[&str]) {
    let text = report.run_failure().unwrap_or_else(|| panic!("{mistake:?} passes {name}")).text.clone();
    for part in parts {
        assert!(text.contains(part), "{name}: '{part}' is missing in: {text}");
    }
}

#[test]
fn correct_servers_pass_whatever_they_save_after_kill() {
    for name in ["unreliable_churn_3C", "persist_2_3C", "snapshot_basic_3D", "snapshot_all_crash_3D"] {
        let report = run(name, Mistake::Nothing);
        assert!(report.passed(), "{}", report.lines());
    }
}

#[test]
fn churn_without_any_commit_fails() {
    let parts = ["not one command of 3 clients was committed in 20 rounds of faults"];
    for name in ["reliable_churn_3C", "unreliable_churn_3C"] {
        // Random faults may disconnect so many servers for so long that nothing can be committed. Such a run passes,
        // and is skipped.
        let reports = (1..=8).map(|seed| run_with_seed(name, Mistake::CommitsSlowly, seed));
        let failed: Vec<Report> = reports.filter(|report| !report.passed()).collect();
        assert!(!failed.is_empty(), "CommitsSlowly passes {name} with every seed");
        failed.iter().for_each(|report| assert_report_says(report, name, Mistake::CommitsSlowly, &parts));
    }
}

#[test]
fn an_install_scenario_without_an_install_fails() {
    let mut install = raft_scenarios(&Oracle::with(Mistake::ForgetsSnapshots));
    install.retain(|scenario| scenario.info.name.starts_with("snapshot_install"));
    assert_eq!(install.len(), 4);
    for name in install.iter().map(|scenario| scenario.info.name) {
        assert_says(name, Mistake::ForgetsSnapshots, &["no server was ever sent a snapshot by its leader"]);
    }
}

#[test]
fn a_saved_state_that_is_too_large_fails() {
    let parts = ["a server has 2000 bytes of Raft state saved", "less than 2000 must be enough"];
    assert_says("snapshot_basic_3D", Mistake::SavesTooMuch, &parts);
}

#[test]
fn a_restarted_server_must_continue_after_its_snapshot() {
    let again = ["applied index 1 again: it had already applied everything up to "];
    assert_says("snapshot_all_crash_3D", Mistake::StartsOverAfterSnapshot, &again);
    assert_says("snapshot_init_3D", Mistake::StartsOverAfterSnapshot, &again);
    let gap =
        [" applied index 11 out of order: it had applied nothing since its restart, and its saved snapshot ended at 9"];
    assert_says("snapshot_init_3D", Mistake::SkipsAfterSnapshot, &gap);
}

#[test]
fn a_damaged_saved_snapshot_fails_at_the_restart() {
    assert_says("snapshot_init_3D", Mistake::SavesDamagedSnapshots, &["S0 had saved an invalid snapshot: "]);
}

#[test]
fn a_wrong_delivered_snapshot_fails() {
    let cases: [(Mistake, &[&str]); 4] = [
        (Mistake::DeliversOldSnapshot, &["delivered an old snapshot, up to index 9: ", "its service would go back"]),
        (Mistake::DeliversDamagedSnapshot, &["delivered an invalid snapshot at index 9: its ", "bytes are damaged"]),
        (
            Mistake::DeliversSnapshotAtAnotherIndex,
            &["delivered the snapshot up to index 9 as a snapshot up to index 10"],
        ),
        (
            Mistake::DeliversSnapshotOfAnotherCluster,
            &["delivered a snapshot up to index 19, which has 1 at index 1, where "],
        ),
    ];
    for (mistake, parts) in cases {
        assert_says("snapshot_basic_3D", mistake, parts);
    }
}

//! That the checks of parts 3C and 3D can fail: servers that agree by sharing one log in memory, each with something
//! wrong with it that only the named check can see.

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};
use tester::{Clock, Command, Report, Subject, raft_scenarios, runner};

/// What is wrong, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
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

/// A server that leads a term of its own, always, and puts every command into the log that all servers share.
struct Oracle {
    me: ServerId,
    wrong: Wrong,
    log: Arc<Log>,
    persister: Arc<Persister>,
    /// What a snapshot made it send to its service.
    pending: Arc<Mutex<Vec<ApplyMsg>>>,
    killed: Arc<AtomicBool>,
}

/// Every command, and when it was submitted.
type Log = Mutex<Vec<(Instant, Bytes)>>;

impl Oracle {
    fn with(wrong: Wrong) -> Subject<Oracle> {
        let log: Arc<Mutex<Option<Arc<Log>>>> = Arc::default();
        Subject::made_by(move |_, me, persister, apply_ch| {
            let log = Arc::clone(log.lock().get_or_insert_with(|| Arc::new(Mutex::new(Vec::new()))));
            Oracle::start(wrong, me, log, persister, apply_ch)
        })
    }

    fn start(
        wrong: Wrong,
        me: ServerId,
        log: Arc<Log>,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
    ) -> Oracle {
        let covered = u64::from_le_bytes(persister.read_raft_state().try_into().unwrap_or_default()) as usize;
        let first = match wrong {
            Wrong::StartsOverAfterSnapshot => 0,
            Wrong::SkipsAfterSnapshot if covered > 0 => covered + 1,
            _ => covered,
        };
        let (pending, killed) = (Arc::default(), Arc::default());
        let oracle = Oracle { me, wrong, log, persister, pending, killed };
        thread::spawn(format!("{me}/applier"), oracle.applier(first, apply_ch));
        oracle
    }

    /// Delivers the log from the entry after the first `next` ones.
    fn applier(&self, mut next: usize, apply_ch: Sender<ApplyMsg>) -> impl FnOnce() + Send + use<> {
        let (log, pending, killed) = (Arc::clone(&self.log), Arc::clone(&self.pending), Arc::clone(&self.killed));
        let slow = self.wrong == Wrong::CommitsSlowly;
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
        Vec::new()
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
        match self.wrong {
            Wrong::ForgetsSnapshots => return,
            Wrong::SavesTooMuch => return self.persister.save(vec![0; 2000], snapshot),
            Wrong::SavesDamagedSnapshots => return self.persister.save(state, snapshot.slice(1..)),
            Wrong::DeliversOldSnapshot if !old.is_empty() => deliver(Index(index.0 - 10), old),
            Wrong::DeliversDamagedSnapshot => deliver(index, snapshot.slice(..snapshot.len() - 1)),
            Wrong::DeliversSnapshotAtAnotherIndex => deliver(index.next(), snapshot.clone()),
            Wrong::DeliversSnapshotOfAnotherCluster => {
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
        // Of no consequence: nobody reads what a killed server saves.
        self.persister.save(vec![0; 5000], Bytes::from_static(b"too late"));
    }
}

fn run(name: &str, wrong: Wrong) -> Report {
    run_with_seed(name, wrong, 1)
}

fn run_with_seed(name: &str, wrong: Wrong, seed: u64) -> Report {
    let scenarios = raft_scenarios(&Oracle::with(wrong));
    let scenario = scenarios.iter().find(|scenario| scenario.about.name == name).unwrap();
    runner::run(scenario, Clock::Simulated, seed)
}

/// The scenario fails, and with these words.
fn assert_says(name: &str, wrong: Wrong, parts: &[&str]) {
    assert_report_says(&run(name, wrong), name, wrong, parts);
}

fn assert_report_says(report: &Report, name: &str, wrong: Wrong, parts: &[&str]) {
    let text = report.broken().unwrap_or_else(|| panic!("{wrong:?} passes {name}")).text.clone();
    for part in parts {
        assert!(text.contains(part), "{name}: '{part}' is missing in: {text}");
    }
}

#[test]
fn servers_that_agree_pass_whatever_they_save_after_they_were_killed() {
    for name in ["unreliable_churn_3C", "persist_2_3C", "snapshot_basic_3D", "snapshot_all_crash_3D"] {
        let report = run(name, Wrong::Nothing);
        assert!(report.passed(), "{}", report.lines());
    }
}

#[test]
fn a_churn_without_a_single_success_fails() {
    let parts = ["not one command of 3 clients was committed in 20 rounds of faults"];
    for name in ["reliable_churn_3C", "unreliable_churn_3C"] {
        // Chance may cut off so many for so long that nobody is to blame: such a run passes, and is none to look at.
        let reports = (1..=8).map(|seed| run_with_seed(name, Wrong::CommitsSlowly, seed));
        let failed: Vec<Report> = reports.filter(|report| !report.passed()).collect();
        assert!(!failed.is_empty(), "CommitsSlowly passes {name} with every seed");
        failed.iter().for_each(|report| assert_report_says(report, name, Wrong::CommitsSlowly, &parts));
    }
}

#[test]
fn an_install_scenario_in_which_no_snapshot_is_installed_fails() {
    let mut install = raft_scenarios(&Oracle::with(Wrong::ForgetsSnapshots));
    install.retain(|scenario| scenario.about.name.starts_with("snapshot_install"));
    assert_eq!(install.len(), 4);
    for name in install.iter().map(|scenario| scenario.about.name) {
        assert_says(name, Wrong::ForgetsSnapshots, &["no server was ever given a snapshot by its leader"]);
    }
}

#[test]
fn a_saved_state_that_is_too_large_fails() {
    let parts = ["a server has 2000 bytes of Raft state saved", "less than 2000 must be enough"];
    assert_says("snapshot_basic_3D", Wrong::SavesTooMuch, &parts);
}

#[test]
fn a_restarted_server_has_to_go_on_behind_the_snapshot_that_it_saved() {
    let again = ["applied index 1 again: it had already applied everything up to "];
    assert_says("snapshot_all_crash_3D", Wrong::StartsOverAfterSnapshot, &again);
    assert_says("snapshot_init_3D", Wrong::StartsOverAfterSnapshot, &again);
    let gap = [" applied index 11 out of order: the last one before it was 9"];
    assert_says("snapshot_init_3D", Wrong::SkipsAfterSnapshot, &gap);
}

#[test]
fn a_saved_snapshot_that_is_damaged_fails_at_the_restart() {
    assert_says("snapshot_init_3D", Wrong::SavesDamagedSnapshots, &["S0 had saved what is no snapshot: "]);
}

#[test]
fn a_delivered_snapshot_has_to_be_the_right_one() {
    let cases: [(Wrong, &[&str]); 4] = [
        (Wrong::DeliversOldSnapshot, &["delivered an old snapshot, up to index 9: ", "its service would go back"]),
        (Wrong::DeliversDamagedSnapshot, &["delivered at index 9 what is no snapshot: its ", "bytes are damaged"]),
        (Wrong::DeliversSnapshotAtAnotherIndex, &["delivered as a snapshot up to index 10 the one up to index 9"]),
        (
            Wrong::DeliversSnapshotOfAnotherCluster,
            &["delivered a snapshot up to index 19 that has 1 at index 1, where "],
        ),
    ];
    for (wrong, parts) in cases {
        assert_says("snapshot_basic_3D", wrong, parts);
    }
}

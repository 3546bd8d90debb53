//! The gate between processes. Runs of different kinds disturb each other also if they belong to different processes:
//! two terminals, or a test runner that starts a process for each test. So while a process executes runs of one kind,
//! it holds a lock on the file of that kind, which other processes can share. Files of the other kinds must be free
//! when it takes the lock.
//!
//! The operating system releases the locks of a process that ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use labstd::channel::{self, RecvTimeoutError};
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::time::Duration;

/// The name of the gate's folder, below the system's folder for temporary files.
const FOLDER: &str = "raftlab-gate";

/// Time after which a waiting process says so.
const SILENT_WAIT: Duration = Duration::from_secs(2);

/// Kinds of runs that do not run beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Simulations,
    OnThreads,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Simulations, Kind::OnThreads];

    fn file_name(self) -> &'static str {
        match self {
            Kind::Simulations => "simulations",
            Kind::OnThreads => "on-threads",
        }
    }
}

/// The machine's gate, as one process sees it.
#[derive(Debug)]
pub(super) struct MachineGate {
    /// `None` if the files cannot be used. Then this process runs as if it were alone.
    files: Option<Files>,
    /// The kind whose file is locked.
    held: Option<Kind>,
}

#[derive(Debug)]
struct Files {
    /// Locked by the one process that is entering. It waits inside, so that no process overtakes another.
    door: File,
    /// In the order of [`Kind::ALL`].
    kinds: [File; 2],
}

impl MachineGate {
    /// The gate that all processes of this machine share.
    pub(super) fn open() -> MachineGate {
        MachineGate::open_in(&std::env::temp_dir().join(FOLDER))
    }

    fn open_in(folder: &Path) -> MachineGate {
        MachineGate { files: Files::open(folder).ok(), held: None }
    }

    /// Returns whether another process waits to enter. It waits for this one if this one holds a kind.
    pub(super) fn others_wait(&self) -> bool {
        self.files.as_ref().is_some_and(|files| match files.door.try_lock() {
            Ok(()) => files.door.unlock().is_err(),
            Err(_) => true,
        })
    }

    /// Waits until no other process executes runs of another kind, and keeps those out from then on. Processes that
    /// wait already come first.
    pub(super) fn enter(&mut self, kind: Kind) {
        if self.held == Some(kind) && !self.others_wait() {
            return;
        }
        // Two processes that keep their locks while they wait would wait for each other.
        self.leave();
        self.held = Some(kind);
        let Some(files) = &mut self.files else { return };
        if files.enter(kind).is_err() {
            // A file system without locks.
            self.files = None;
        }
    }

    /// Lets runs of other kinds begin.
    pub(super) fn leave(&mut self) {
        if let (Some(kind), Some(files)) = (self.held.take(), &self.files) {
            // It fails only for a file that is not locked.
            let _ = files.kinds[kind as usize].unlock();
        }
    }
}

impl Files {
    fn open(folder: &Path) -> io::Result<Files> {
        std::fs::create_dir_all(folder)?;
        let [simulations, on_threads] = Kind::ALL.map(|kind| open_file(folder.join(kind.file_name())));
        Ok(Files { door: open_file(folder.join("door"))?, kinds: [simulations?, on_threads?] })
    }

    fn enter(&mut self, kind: Kind) -> io::Result<()> {
        lock(&mut self.door)?;
        let entered = self.wait_inside(kind);
        self.door.unlock()?;
        entered
    }

    fn wait_inside(&mut self, kind: Kind) -> io::Result<()> {
        note_process(&mut self.door);
        for other in Kind::ALL.into_iter().filter(|&other| other != kind) {
            let file = &mut self.kinds[other as usize];
            lock(file)?;
            file.unlock()?;
        }
        // Nobody locks this file exclusively but a process at the door.
        let file = &mut self.kinds[kind as usize];
        file.lock_shared()?;
        note_process(file);
        Ok(())
    }
}

/// Another user of the machine may have made the file, so it need not be writable.
fn open_file(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).or_else(|_| File::open(&path))
}

/// Locks a file exclusively. Prints a line if that takes long: a process that is stopped in a debugger keeps its lock.
fn lock(file: &mut File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => return Ok(()),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let holder = read_process(file);
    let (locked, signal) = channel::bounded::<()>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if signal.recv_timeout(SILENT_WAIT) == Err(RecvTimeoutError::Timeout) {
                announce(&holder);
            }
        });
        let outcome = file.lock();
        drop(locked);
        outcome
    })
}

/// Says once in a process that it waits.
fn announce(holder: &str) {
    static ANNOUNCED: AtomicBool = AtomicBool::new(false);
    if !ANNOUNCED.swap(true, Relaxed) {
        let _ = writeln!(
            io::stderr(),
            "waiting until other programs of the lab on this machine have finished their runs (the last that began: process {holder})"
        );
    }
}

/// Writes this process's number into the file, for the message of those that wait.
fn note_process(file: &mut File) {
    // The number is a help, no more. A file that another user made may not be writable.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
}

fn read_process(file: &mut File) -> String {
    let mut number = String::new();
    match file.rewind().and_then(|()| file.read_to_string(&mut number)) {
        Ok(1..) => number,
        _ => "unknown".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use labstd::channel::{Receiver, TryRecvError};
    use labstd::thread;

    use super::*;

    /// A folder for one test, deleted at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            Folder(std::env::temp_dir().join(format!("{FOLDER}-test-{test}-{}", std::process::id())))
        }

        /// The gate as another process would see it: locks of different openings of a file exclude each other.
        fn gate(&self) -> MachineGate {
            MachineGate::open_in(&self.0)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Enters on a thread of its own; the receiver yields the gate when it is inside.
    fn enter(mut gate: MachineGate, kind: Kind) -> Receiver<MachineGate> {
        let (inside, receiver) = channel::bounded(1);
        #[expect(clippy::disallowed_methods, reason = "a thread of the process, outside any run")]
        std::thread::spawn(move || {
            gate.enter(kind);
            let _ = inside.send(gate);
        });
        receiver
    }

    fn inside(entering: &Receiver<MachineGate>) -> MachineGate {
        entering.recv_timeout(Duration::from_secs(60)).expect("the gate is open")
    }

    #[test]
    fn processes_share_a_kind_and_keep_other_kinds_out() {
        let folder = Folder::new("share");
        let mut first = inside(&enter(folder.gate(), Kind::OnThreads));
        let mut second = inside(&enter(folder.gate(), Kind::OnThreads));
        let third = enter(folder.gate(), Kind::Simulations);
        for running in [&mut first, &mut second] {
            thread::sleep(Duration::from_millis(20));
            assert_eq!(third.try_recv().err(), Some(TryRecvError::Empty), "a simulation beside runs on threads");
            running.leave();
        }
        assert_eq!(inside(&third).held, Some(Kind::Simulations));
    }

    #[test]
    fn nobody_overtakes_a_process_that_waits() {
        let folder = Folder::new("order");
        let mut simulating = inside(&enter(folder.gate(), Kind::Simulations));
        let waiting = enter(folder.gate(), Kind::OnThreads);
        let door = File::open(folder.0.join("door")).expect("the door");
        while door.try_lock().is_ok() {
            door.unlock().expect("it was locked");
            thread::yield_now();
        }
        let late = enter(folder.gate(), Kind::Simulations);
        simulating.leave();
        let mut served = inside(&waiting);
        assert_eq!(late.try_recv().err(), Some(TryRecvError::Empty), "a late simulation beside runs on threads");
        served.leave();
        let _late = inside(&late);
    }

    #[test]
    fn a_process_that_enters_again_lets_those_that_wait_go_first() {
        let folder = Folder::new("again");
        let simulating = inside(&enter(folder.gate(), Kind::Simulations));
        assert!(!simulating.others_wait());
        let waiting = enter(folder.gate(), Kind::OnThreads);
        while !simulating.others_wait() {
            thread::yield_now();
        }
        let again = enter(simulating, Kind::Simulations);
        let mut served = inside(&waiting);
        assert_eq!(again.try_recv().err(), Some(TryRecvError::Empty), "a simulation beside runs on threads");
        served.leave();
        let _again = inside(&again);
    }

    #[test]
    fn a_change_of_kind_releases_the_first() {
        let folder = Folder::new("change");
        let mut gate = inside(&enter(folder.gate(), Kind::Simulations));
        gate.enter(Kind::OnThreads);
        let _other = inside(&enter(folder.gate(), Kind::OnThreads));
    }

    #[test]
    fn a_process_without_usable_files_runs_as_if_alone() {
        let mut gate = MachineGate::open_in(Path::new("/dev/null/none"));
        gate.enter(Kind::Simulations);
        assert_eq!(gate.held, Some(Kind::Simulations));
        gate.leave();
        assert_eq!(gate.held, None);
    }

    #[test]
    fn the_number_of_the_last_process_is_read_back() {
        let folder = Folder::new("number");
        let mut gate = folder.gate();
        gate.enter(Kind::Simulations);
        let mut file = File::open(folder.0.join(Kind::Simulations.file_name())).expect("the file");
        assert_eq!(read_process(&mut file), std::process::id().to_string());
    }
}

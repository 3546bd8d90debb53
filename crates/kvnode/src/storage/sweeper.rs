//! A thread that deletes unused records: log entries that were discarded, and a state machine that an installed
//! snapshot has replaced. It deletes in small transactions, so that no writer waits long behind one of them. None of
//! them is synced: the next start finds and repeats the deletions that a crash undid.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use redb::{Durability, ReadableTable};

use super::tables::{BASE, LOG, OUTGOING, STATE, decode};
use super::{Shared, StorageError};

/// The number of records that one transaction deletes.
const BATCH_RECORDS: usize = if cfg!(test) { 4 } else { 512 };

/// Handle of the thread. Dropping it ends the thread.
pub(super) struct Sweeper {
    wake: Option<Sender<()>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub(super) fn start(shared: Arc<Shared>) -> Sweeper {
        let (wake, woken) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("sweeper".to_string());
        let thread = thread.spawn(move || run(&shared, &woken, &stopped)).expect("the system can start a thread");
        Sweeper { wake: Some(wake), stop, thread: Some(thread) }
    }

    /// Tells the thread that there are records to delete.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            // The thread has ended if the disk failed. The next write reports that error.
            let _ = wake.send(());
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, woken: &Receiver<()>, stop: &AtomicBool) {
    while woken.recv().is_ok() {
        while woken.try_recv().is_ok() {}
        for sweep in [sweep_log, sweep_outgoing] {
            loop {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match sweep(shared) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => return ::log::error!("the deletion of unused records has stopped: {error}"),
                }
            }
        }
    }
}

/// Deletes some entries up to the base. Returns their number.
fn sweep_log(shared: &Shared) -> Result<usize, StorageError> {
    let write = shared.begin(Durability::None)?;
    let fill = || -> Result<usize, redb::Error> {
        let [base, _] = decode(&write.open_table(STATE)?, BASE)?.unwrap_or_default();
        let mut log = write.open_table(LOG)?;
        for deleted in 0..BATCH_RECORDS {
            let first = log.first()?.map(|(index, _)| index.value());
            if first.is_none_or(|first| base < first) {
                return Ok(deleted);
            }
            log.pop_first()?;
        }
        Ok(BATCH_RECORDS)
    };
    let deleted = fill().map_err(|error| shared.disk_error(error))?;
    commit_or_abort(shared, write, deleted)
}

/// Deletes some records of the replaced table, and finally the table. Returns a number above 0 while there is more to
/// do.
fn sweep_outgoing(shared: &Shared) -> Result<usize, StorageError> {
    let write = shared.begin(Durability::None)?;
    let fill = || -> Result<usize, redb::Error> {
        // Opening the table would create it.
        if !write.list_tables()?.any(|table| redb::TableHandle::name(&table) == redb::TableHandle::name(&OUTGOING)) {
            return Ok(0);
        }
        let mut outgoing = write.open_table(OUTGOING)?;
        for _ in 0..BATCH_RECORDS {
            if outgoing.pop_first()?.is_none() {
                drop(outgoing);
                write.delete_table(OUTGOING)?;
                break;
            }
        }
        Ok(BATCH_RECORDS)
    };
    let deleted = fill().map_err(|error| shared.disk_error(error))?;
    commit_or_abort(shared, write, deleted)
}

/// Commits the transaction, or aborts it if nothing was deleted.
fn commit_or_abort(shared: &Shared, write: redb::WriteTransaction, deleted: usize) -> Result<usize, StorageError> {
    if deleted == 0 {
        write.abort().map_err(|error| shared.disk_error(error))?;
    } else {
        write.commit().map_err(|error| shared.disk_error(error))?;
    }
    Ok(deleted)
}

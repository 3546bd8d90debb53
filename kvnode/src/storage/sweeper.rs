//! A thread that deletes what has no meaning any more: entries that the log has given up, and a state machine that an
//! installed snapshot has replaced. It does so in small transactions, so that nobody waits long behind one of them, and
//! none of them is synced: what a crash takes back is found and deleted at the next start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use redb::{Durability, ReadableTable};

use super::tables::{BASE, LOG, OUTGOING, STATE, decode};
use super::{Shared, StorageError};

/// How many records go in one transaction.
const STEP: usize = if cfg!(test) { 4 } else { 512 };

/// The thread. It ends when this is dropped.
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
        let thread = thread.spawn(move || run(&shared, &woken, &stopped)).expect("the system has room for a thread");
        Sweeper { wake: Some(wake), stop, thread: Some(thread) }
    }

    /// There is something to delete.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            // It has ended if the disk failed; whoever writes is told.
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
                    Err(error) => return ::log::error!("deleting has stopped: {error}"),
                }
            }
        }
    }
}

/// Deletes some entries up to the base. Returns how many.
fn sweep_log(shared: &Shared) -> Result<usize, StorageError> {
    let write = shared.begin(Durability::None)?;
    let fill = || -> Result<usize, redb::Error> {
        let [base, _] = decode(&write.open_table(STATE)?, BASE)?.unwrap_or_default();
        let mut log = write.open_table(LOG)?;
        for deleted in 0..STEP {
            let first = log.first()?.map(|(index, _)| index.value());
            if first.is_none_or(|first| base < first) {
                return Ok(deleted);
            }
            log.pop_first()?;
        }
        Ok(STEP)
    };
    let deleted = fill().map_err(|error| shared.failed(error))?;
    end(shared, write, deleted)
}

/// Deletes some records of the table that was replaced, and at last the table. Returns how many.
fn sweep_outgoing(shared: &Shared) -> Result<usize, StorageError> {
    let write = shared.begin(Durability::None)?;
    let fill = || -> Result<usize, redb::Error> {
        // Opening would make one.
        if !write.list_tables()?.any(|table| redb::TableHandle::name(&table) == redb::TableHandle::name(&OUTGOING)) {
            return Ok(0);
        }
        let mut outgoing = write.open_table(OUTGOING)?;
        for _ in 0..STEP {
            if outgoing.pop_first()?.is_none() {
                drop(outgoing);
                write.delete_table(OUTGOING)?;
                break;
            }
        }
        Ok(STEP)
    };
    let deleted = fill().map_err(|error| shared.failed(error))?;
    end(shared, write, deleted)
}

/// Commits, unless there is nothing to commit.
fn end(shared: &Shared, write: redb::WriteTransaction, deleted: usize) -> Result<usize, StorageError> {
    if deleted == 0 {
        write.abort().map_err(|error| shared.failed(error))?;
    } else {
        write.commit().map_err(|error| shared.failed(error))?;
    }
    Ok(deleted)
}

//! The floor under everything that waits for the disk: a file that is appended to and then synced, again and again.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How much is appended before each sync, in bytes: about what a Put is in a log.
pub(crate) const APPENDED: usize = 100;

/// How long it is measured.
const MEASURED: Duration = Duration::from_secs(1);

/// Whether what is in this folder is only in memory, where a sync costs nothing.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|system| system.f_type == TMPFS)
}

/// How often each of so many files, all in this folder and at the same time, is synced in a second.
///
/// # Errors
///
/// What the system has to say against a file there.
pub(crate) fn syncs_a_second(folder: &Path, files: usize) -> Result<f64, String> {
    let complain = |error: io::Error| format!("{}: {error}", folder.display());
    let files: io::Result<Vec<File>> = (0..files).map(|_| tempfile::tempfile_in(folder)).collect();
    let files = files.map_err(complain)?;
    let count = files.len() as f64;
    let begun = Instant::now();
    let syncs: io::Result<u64> = thread::scope(|scope| {
        let writers: Vec<_> =
            files.into_iter().map(|file| scope.spawn(move || sync_until(begun + MEASURED, file))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).sum()
    });
    Ok(syncs.map_err(complain)? as f64 / count / begun.elapsed().as_secs_f64())
}

/// Returns how often the file was synced.
fn sync_until(end: Instant, mut file: File) -> io::Result<u64> {
    let mut syncs = 0;
    while Instant::now() < end {
        file.write_all(&[b'x'; APPENDED])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs)
}

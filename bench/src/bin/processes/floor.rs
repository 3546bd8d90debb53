//! The floor for every server that waits for the disk: a loop that appends to a file and syncs it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes appended before each sync: about the size of a Put in a log.
pub(crate) const APPENDED: usize = 100;

/// Duration of the measurement.
const MEASURED: Duration = Duration::from_secs(1);

/// Reports whether this folder is in memory, where a sync costs nothing.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::statfs(folder).is_ok_and(|system| system.f_type == TMPFS)
}

/// Syncs `files` files in this folder concurrently. Returns the number of syncs per file and second.
///
/// # Errors
///
/// The system's error for a file in this folder.
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

/// Appends to the file and syncs it until `end`. Returns the number of syncs.
fn sync_until(end: Instant, mut file: File) -> io::Result<u64> {
    let mut syncs = 0;
    while Instant::now() < end {
        file.write_all(&[b'x'; APPENDED])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs)
}

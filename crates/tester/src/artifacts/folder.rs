//! Paths and names of the files of runs. A name is claimed by creating the file, so two processes never get the same
//! one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Returns `target/lab` of the workspace that contains `here`: the folder with the `Cargo.lock`. `target` replaces the
/// name `target` if cargo was given another target folder. A relative one is resolved against the workspace, where
/// cargo is usually called.
pub(super) fn workspace_lab_dir(here: &Path, target: Option<OsString>) -> PathBuf {
    let workspace = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(here);
    let target = target.unwrap_or_else(|| OsString::from("target"));
    workspace.join(target).join("lab")
}

/// Returns the path itself if `number` is 1, otherwise the path with `-number` before its extension.
pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return path.to_path_buf();
    }
    let mut name = path.file_stem().map_or_else(OsString::new, OsStr::to_os_string);
    name.push(format!("-{number}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Creates the first of `name.ending`, `name-2.ending`, ... that does not exist; returns its path and the file.
///
/// # Errors
///
/// If the folder does not exist or is not writable.
pub fn create_new(folder: &Path, name: &str, ending: &str) -> io::Result<(PathBuf, File)> {
    for number in 1.. {
        if let Some(created) = create(folder, name, number, ending)? {
            return Ok(created);
        }
    }
    unreachable!("some number is free")
}

/// The path of a new file, and the file.
type Created = (PathBuf, File);

/// Creates `name.record` and `name.html`, or the first numbered pair of which neither exists.
pub(super) fn create_pair(folder: &Path, name: &str) -> io::Result<(Created, Created)> {
    for number in 1.. {
        let Some(record) = create(folder, name, number, "record")? else { continue };
        let timeline = create(folder, name, number, "html");
        if let Ok(Some(timeline)) = timeline {
            return Ok((record, timeline));
        }
        // The timeline exists without its record: the record was removed, or another process is between the two steps.
        fs::remove_file(&record.0)?;
        timeline?;
    }
    unreachable!("some number is free")
}

/// Creates a file; returns `None` if it already exists.
fn create(folder: &Path, name: &str, number: usize, ending: &str) -> io::Result<Option<Created>> {
    let path = numbered(&folder.join(format!("{name}.{ending}")), number);
    match File::create_new(&path) {
        Ok(file) => Ok(Some((path, file))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

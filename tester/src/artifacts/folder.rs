//! Where files of runs go, and under which names. A name is taken by creating the file, so that no two processes get the
//! same.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `target/lab` of the workspace that `here` is in: the folder with the `Cargo.lock`. `target` is what cargo was told to
/// take instead of `target`, if it was told; a relative one is taken to begin at the workspace, where cargo is mostly called.
pub(super) fn workspace_lab_dir(here: &Path, target: Option<OsString>) -> PathBuf {
    let workspace = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(here);
    let target = target.unwrap_or_else(|| OsString::from("target"));
    workspace.join(target).join("lab")
}

/// The path if `number` is 1, else the same with `-number` before its ending.
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
/// If the folder does not exist or cannot be written to.
pub fn create_new(folder: &Path, name: &str, ending: &str) -> io::Result<(PathBuf, File)> {
    for number in 1.. {
        if let Some(created) = create(folder, name, number, ending)? {
            return Ok(created);
        }
    }
    unreachable!("some number is free")
}

/// A path, and the new file that is there.
type Created = (PathBuf, File);

/// Creates `name.record` and `name.html`, or the first such pair with a number of which neither exists.
pub(super) fn create_pair(folder: &Path, name: &str) -> io::Result<(Created, Created)> {
    for number in 1.. {
        let Some(record) = create(folder, name, number, "record")? else { continue };
        let timeline = create(folder, name, number, "html");
        if let Ok(Some(timeline)) = timeline {
            return Ok((record, timeline));
        }
        // A picture without its record: somebody has removed that, or is between the two steps.
        fs::remove_file(&record.0)?;
        timeline?;
    }
    unreachable!("some number is free")
}

/// `None` if the file exists.
fn create(folder: &Path, name: &str, number: usize, ending: &str) -> io::Result<Option<Created>> {
    let path = numbered(&folder.join(format!("{name}.{ending}")), number);
    match File::create_new(&path) {
        Ok(file) => Ok(Some((path, file))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

//! Tests of mistakes of the user and of disk errors. Each ends in one clear line and exit status 2, or status 1 if a
//! running server cannot continue.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};

use crate::ports;

/// Time limit for an action of a server on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A directory for one test, removed when it is dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kvnode(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kvnode")).args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

/// Runs a command that must be refused, and returns its one error line.
#[track_caller]
pub(crate) fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = kvnode(arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(2), "{arguments:?}: {stdout}{stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    // Log lines before the error do not count.
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with('[')).collect();
    assert_eq!(errors.len(), 1, "{arguments:?}: {stderr}");
    assert!(errors[0].starts_with("error: "), "{arguments:?}: {stderr}");
    errors[0].to_string()
}

/// The arguments of a cluster of one server.
fn single_server(data: &Path, port: u16) -> Vec<String> {
    let words = ["serve", "--end-with-input", "--id", "0", "--peers", &format!("127.0.0.1:{port}"), "--data"];
    words.iter().map(ToString::to_string).chain([data.display().to_string()]).collect()
}

fn start(arguments: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("a server starts")
}

fn clerk(port: u16) -> Clerk {
    let settings = ClerkSettings { deadline: Some(TIMEOUT), ..ClerkSettings::default() };
    Clerk::new([format!("127.0.0.1:{port}")], settings)
}

#[test]
fn a_taken_port_is_one_line() {
    let folder = TempDir::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let arguments = single_server(&folder.path().join("data"), port);
    let line = refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(line.contains(&port.to_string()) && line.contains("choose another port"), "{line}");
    let line = refused(&["cluster", "1", "--port", &port.to_string(), "--data", &folder.path().display().to_string()]);
    assert!(line.contains("--port"), "{line}");
}

#[test]
fn an_unusable_directory_is_one_line() {
    let folder = TempDir::new("directory");
    let data = folder.path().join("data");
    let refused_with = |data: &Path, id: &str, peers: &str| {
        refused(&["serve", "--id", id, "--peers", peers, "--data", &data.display().to_string()])
    };
    let [first, second] = [ports::free(1), ports::free(1)].map(|port| format!("127.0.0.1:{port}"));
    let both = format!("{first},{second}");

    // A file instead of a directory.
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(refused_with(&file, "0", &first).contains("directory"));

    // A directory that another server uses.
    let port = ports::free(1);
    let mut server = start(&single_server(&data, port));
    clerk(port).put("x", "1").expect("a reply");
    assert!(refused_with(&data, "0", &first).contains("another process has it open"));
    drop(server.stdin.take());
    assert_eq!(server.wait().expect("an end").code(), Some(0));

    // A directory of another server, or of another cluster.
    let line = refused_with(&data, "1", &both);
    assert!(line.contains("it belongs to server 0, but this is server 1"), "{line}");
    let line = refused_with(&data, "0", &both);
    assert!(line.contains("it belongs to a cluster of 1 servers, but this cluster has 2"), "{line}");

    // A directory that a later version has written.
    let identity = data.join("IDENTITY");
    let text = fs::read_to_string(&identity).expect("the identity");
    let newer = text.replace("format 2", "format 3");
    let body = newer.rsplit_once("checksum").expect("a checksum").0;
    fs::write(&identity, format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))).expect("a file");
    let line = refused_with(&data, "0", &first);
    assert!(line.contains("format 3") && line.contains("later version"), "{line}");

    // A damaged directory.
    fs::write(&identity, newer).expect("a file");
    assert!(refused_with(&data, "0", &first).contains("damaged"));
}

/// A user other than root, whom the system stops from writing. Only root can become one.
#[cfg(unix)]
const OTHER_USER: u32 = 65_534;

/// Sets the mode of a file or directory.
#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode of an own file");
}

/// Starts a program that was just copied. A child of another test may still have the copy open for writing, until it
/// executes its own program.
#[cfg(unix)]
fn spawn_copy(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => thread::yield_now(),
            child => return child.expect("a server starts"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_directory_without_write_permission_is_one_line() {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    let folder = TempDir::new("read-only");
    let (data, port) = (folder.path().join("data"), ports::free(1));
    let is_root = fs::metadata(folder.path()).expect("a directory").uid() == 0;
    // Root may write in any directory, so the server then runs as another user. It may not reach the program's folder.
    let program = std::env::temp_dir().join(format!("kvnode-read-only-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_kvnode"), &program).expect("a copy of the program");
    set_mode(&program, 0o755);
    let data = if is_root { program.with_extension("data") } else { data };
    let command = || {
        let mut command = Command::new(&program);
        command.args(single_server(&data, port)).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        if is_root {
            command.uid(OTHER_USER).gid(OTHER_USER).current_dir("/");
        }
        command
    };
    let _ = fs::remove_dir_all(&data);
    fs::create_dir(&data).expect("a directory");
    if is_root {
        chown(&data, Some(OTHER_USER), Some(OTHER_USER)).expect("root may do this");
    }
    let mut server = spawn_copy(&mut command());
    clerk(port).put("x", "1").expect("a reply");
    drop(server.stdin.take());
    assert_eq!(server.wait().expect("an end").code(), Some(0));

    // All files can be written, but none can be created: a server could vote and lead, but not send a snapshot.
    set_mode(&data, 0o500);
    let Output { status, stderr, .. } = spawn_copy(&mut command()).wait_with_output().expect("an end");
    set_mode(&data, 0o700);
    let stderr = String::from_utf8_lossy(&stderr);
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with('[')).collect();
    assert_eq!((status.code(), errors.len()), (Some(2), 1), "{stderr}");
    assert!(errors[0].contains("cannot create a file: Permission denied"), "{stderr}");

    let mut server = spawn_copy(&mut command());
    assert_eq!(clerk(port).get("x").expect("a reply").as_deref(), Some(&b"1"[..]), "the data are as they were");
    drop(server.stdin.take());
    assert_eq!(server.wait().expect("an end").code(), Some(0));
    fs::remove_dir_all(&data).expect("the directory can be removed");
    fs::remove_file(&program).expect("the program can be removed");
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_a_warning() {
    let folder = TempDir::new("secret-mode");
    let (secret, port) = (folder.path().join("secret"), ports::free(1));
    fs::write(&secret, "0123456789abcdef0123456789abcdef").expect("a file");
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
        set_mode(&secret, mode);
        let data = folder.path().join("data");
        let arguments = single_server(&data, port).into_iter();
        let mut server =
            start(&arguments.chain(["--secret".to_string(), secret.display().to_string()]).collect::<Vec<_>>());
        clerk(port).put("x", "1").expect("the server starts all the same");
        drop(server.stdin.take());
        let stderr = server.wait_with_output().expect("an end").stderr;
        let stderr = String::from_utf8_lossy(&stderr);
        let warnings = stderr.lines().filter(|line| line.contains("WARN") && line.contains("chmod 600")).count();
        assert_eq!(warnings, usize::from(is_warned), "mode {mode:o}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_server_ends_cleanly_on_each_signal() {
    let folder = TempDir::new("clean-end");
    let (data, port) = (folder.path().join("data"), ports::free(1));
    for (round, signal) in ["TERM", "INT", "HUP"].into_iter().enumerate() {
        let mut server = start(&single_server(&data, port));
        let mut clerk = clerk(port);
        assert_eq!(clerk.get("x").expect("a reply").unwrap_or_default().len(), round, "what was written is there");
        clerk.append("x", "1").expect("a reply");
        let kill = Command::new("kill").args(["-s", signal, &server.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = server.try_wait().expect("the state of a child") {
                break status;
            }
            assert!(begun.elapsed() < TIMEOUT, "SIG{signal} does not end it");
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0), "SIG{signal}");
    }
}

/// The shell limits the size of files and ignores the signal, so that a write beyond the limit fails as on a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_a_server_with_one_line_and_loses_nothing() {
    let folder = TempDir::new("full-disk");
    let (data, port) = (folder.path().join("data"), ports::free(1));
    // The limit is in POSIX blocks of 512 bytes: 4 MB.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_kvnode")).args(single_server(&data, port));
    command.args(["--log-limit", "1G"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let server = command.spawn().expect("a server starts");

    let mut clerk = clerk(port);
    let mut acknowledged: u32 = 0;
    let value = |number: u32| format!("{number}-{}", "x".repeat(10_000));
    // The server ends within a few hundred of these writes.
    let settings = ClerkSettings { deadline: Some(Duration::from_secs(3)), ..ClerkSettings::default() };
    let mut writer = Clerk::new([format!("127.0.0.1:{port}")], settings);
    clerk.put("first", "1").expect("a reply");
    while writer.put(&format!("key-{acknowledged}"), value(acknowledged)).is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 5_000, "the disk never fills");
    }
    assert!(acknowledged > 20, "{acknowledged}");
    let Output { status, stderr, .. } = server.wait_with_output().expect("an end");
    let stderr = String::from_utf8_lossy(&stderr);
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((status.code(), errors.len()), (Some(1), 1), "{stderr}");
    assert!(errors[0].contains("disk is full"), "{stderr}");

    // With free space again, all data are there.
    let mut server = start(&single_server(&data, port));
    for number in 0..acknowledged {
        let found = clerk.get(&format!("key-{number}")).expect("a reply").unwrap_or_default();
        assert!(found == value(number).as_bytes(), "key-{number} of {acknowledged}");
    }
    drop(server.stdin.take());
    assert_eq!(server.wait().expect("an end").code(), Some(0));
}

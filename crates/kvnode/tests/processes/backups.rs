//! A backup under load, restored into a new cluster.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use kvnode::wire::{Clerk, ClerkSettings};
use raftapi::ServerId;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;

const KEYS: usize = 200;

fn run(arguments: &[&str], more: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.args(arguments);
    for (flag, path) in more {
        command.arg(flag).arg(path);
    }
    command.output().expect("it runs")
}

fn clerk(cluster: &Processes) -> Clerk {
    let settings = ClerkSettings { deadline: Some(Duration::from_secs(60)), ..ClerkSettings::default() };
    Clerk::new(cluster.addresses(), settings)
}

#[test]
fn a_backup_under_load_has_every_acknowledged_write() {
    let setting = KvClusterConfig { servers: 3, reliable: true, max_raft_state: Some(64 << 10) };
    let (cluster, restored) = (Processes::start(setting), Processes::prepare(setting));
    let value = |key: usize| format!("{key}-{}", "v".repeat(key * 97 % 20_000));
    let mut writer = clerk(&cluster);
    (0..KEYS).for_each(|key| writer.put(&format!("key-{key}"), value(key)).expect("a reply"));
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (stop, mut clerk) = (Arc::clone(&stop), clerk(&cluster));
        thread::spawn(move || {
            let mut count: usize = 0;
            while !stop.load(Relaxed) {
                clerk.put("load", (count + 1).to_string()).expect("a reply");
                count += 1;
            }
            count
        })
    };
    let file = cluster.data(ServerId(0)).with_file_name("backup");
    let peers = cluster.addresses().join(",");
    let Output { status, stderr, .. } = run(&["backup", "--peers", &peers], &[("--to", &file)]);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    stop.store(true, Relaxed);
    let count = load.join().expect("the load ends");
    let again = run(&["backup", "--peers", &peers], &[("--to", &file)]);
    assert_eq!(again.status.code(), Some(2), "an existing file is not overwritten");

    let peers = restored.addresses().join(",");
    for id in 0..3 {
        let data = restored.data(ServerId(id));
        let arguments = ["restore", "--id", &id.to_string(), "--peers", &peers];
        let Output { status, stderr, .. } = run(&arguments, &[("--from", &file), ("--data", &data)]);
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let again = run(&arguments, &[("--from", &file), ("--data", &data)]);
        assert_eq!(again.status.code(), Some(2), "an existing directory is not overwritten");
    }
    (0..3).for_each(|id| restored.boot(ServerId(id)));
    let mut reader = clerk(&restored);
    for key in 0..KEYS {
        let found = reader.get(&format!("key-{key}")).expect("a reply").unwrap_or_default();
        assert!(found == value(key).as_bytes(), "key-{key}");
    }
    let load = reader
        .get("load")
        .expect("a reply")
        .map_or(0, |value| std::str::from_utf8(&value).expect("text").parse::<usize>().expect("a number"));
    assert!(load <= count, "the backup is of one moment during the load: {load} of {count}");
    // The new cluster is another one, and works.
    reader.put("new", "1").expect("a reply");
    assert_eq!(clerk(&cluster).get("new").expect("a reply"), None);
}

#[test]
fn a_damaged_backup_is_refused_and_nothing_is_written() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-backup-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let (file, data) = (dir.join("backup"), dir.join("data"));
    std::fs::write(&file, b"kvimage1 and nothing else, or so it seems").expect("a file");
    let arguments = ["restore", "--id", "0", "--peers", "127.0.0.1:7101"];
    let Output { status, stderr, .. } = run(&arguments, &[("--from", &file), ("--data", &data)]);
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(!data.exists(), "nothing was written");
    std::fs::remove_dir_all(&dir).expect("the directory can be removed");
}

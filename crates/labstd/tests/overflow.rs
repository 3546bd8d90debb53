//! The report of a stack overflow. A simulated thread that overflows its stack ends the process, so this test starts
//! itself as another process.
#![cfg(unix)]

use std::process::Command;

use labstd::thread;

/// Recurses without end and needs stack for each level.
fn recurse(level: u64) -> u64 {
    let ballast = std::hint::black_box([level; 64]);
    if level == u64::MAX { 0 } else { recurse(level + 1) + ballast[7] }
}

#[test]
#[ignore = "ends the process; started by the test below"]
fn child() {
    labstd::simulate(1, || thread::spawn("S1/ticker", || recurse(0)).join().unwrap());
}

#[test]
fn an_overflowing_thread_is_named() {
    let itself = std::env::current_exe().unwrap();
    let output = Command::new(itself).args(["--exact", "child", "--ignored", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("thread 'S1/ticker' has overflowed its stack"), "{said}");
}

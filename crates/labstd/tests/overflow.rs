//! Stacks of simulated threads: their size, their memory, and the report of an overflow. A simulated thread that
//! overflows its stack ends the process, so this test starts itself as another process.
#![cfg(unix)]

use std::process::{Command, Output};

use labstd::time::Duration;
use labstd::{Run, thread};

/// Recurses without end and needs stack for each level.
fn recurse(level: u64) -> u64 {
    let ballast = std::hint::black_box([level; 64]);
    if level == u64::MAX { 0 } else { recurse(level + 1) + ballast[7] }
}

#[test]
#[ignore = "ends the process; started by the test below"]
fn child() {
    let run = Run::simulated(u64::MAX).named("figure_8_3C");
    let _ = run.execute(|| thread::spawn("S1/ticker", || recurse(0)).join().unwrap());
}

fn run_child(name: &str) -> Output {
    let itself = std::env::current_exe().unwrap();
    Command::new(itself).args(["--exact", name, "--ignored", "--nocapture"]).output().unwrap()
}

#[test]
fn an_overflowing_thread_is_named_with_its_run_and_seed() {
    let output = run_child("child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let expected = "thread 'S1/ticker' of figure_8_3C, seed 18446744073709551615, has overflowed its stack of 2048 KiB";
    assert!(said.contains(expected), "{said}");
}

#[test]
#[ignore = "ends the process; started by the test below"]
fn child_with_hook() {
    labstd::on_stack_overflow(|overflow| {
        eprintln!("saved before the end: {overflow:?}");
    });
    child();
}

#[test]
fn a_hook_runs_before_the_process_ends() {
    let output = run_child("child_with_hook");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("saved before the end: StackOverflow { thread: \"S1/ticker\", run: \"figure_8_3C\""),
        "{said}"
    );
}

/// Uses about this much stack, and returns a number that depends on all of it.
fn use_stack(bytes: usize) -> u64 {
    const FRAME: usize = 4096;
    let ballast = std::hint::black_box([bytes as u8; FRAME]);
    if bytes < FRAME { 0 } else { use_stack(bytes - FRAME) + u64::from(ballast[bytes % FRAME]) }
}

/// `std` gives an OS thread 2 MiB.
#[test]
fn a_simulated_thread_has_as_much_stack_as_an_os_thread() {
    labstd::testing::under_both_clocks(1..=3, || {
        thread::spawn("deep", || use_stack(1_700 * 1024)).join().unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "measures the memory of its process; started by the test below"]
fn memory_child() {
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    labstd::simulate(1, || ());
    let before = resident_kib();
    let (alive, ended) = labstd::simulate(1, move || {
        // All of them are alive at once.
        let threads: Vec<_> = (0..200)
            .map(|n| {
                thread::spawn(format!("deep-{n}"), || {
                    use_stack(1 << 20);
                    thread::sleep(Duration::from_millis(1));
                })
            })
            .collect();
        thread::sleep(Duration::from_micros(1));
        let alive = resident_kib();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        (alive, resident_kib())
    });
    let after = resident_kib();
    println!(
        "KiB: {before} before, {alive} while 200 threads had used 1 MiB each, {ended} when they had ended, {after} after"
    );
    assert!(alive > before + 150 * 1024, "the stacks are used");
    assert!(ended < before + 100 * 1024, "{ended}: most of the unused stacks are given back");
    assert!(after < before + 30 * 1024, "{after}: all unused stacks are given back");
}

#[cfg(target_os = "linux")]
#[test]
fn unused_stacks_give_their_memory_back() {
    let output = run_child("memory_child");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

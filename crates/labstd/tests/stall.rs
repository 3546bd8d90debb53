//! The limit of the real time in which a simulation's clock stands still: which time counts, and its setting from
//! outside. Both need a process of their own.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use labstd::{Failure, Run, thread};

/// Starts an ignored test of this file in another process.
fn start(test: &str, variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).envs(variables.iter().copied());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Sleeps in real time for a third of its limit, and then for a moment on the run's clock.
#[test]
#[ignore = "is stopped meanwhile by the test below"]
fn slow_child() {
    let outcome = Run::simulated(1).stall_limit(Duration::from_millis(1500)).execute(|| {
        println!("\nbegun");
        std::thread::sleep(Duration::from_millis(500));
        thread::sleep(Duration::from_millis(1));
    });
    outcome.result.unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn the_time_of_a_stopped_process_does_not_count() {
    let mut child = start("slow_child", &[]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line == "begun"));
    let signal =
        |name: &str| assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal("-CONT");
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

/// Sleeps in real time for a second, with the default limit.
#[test]
#[ignore = "depends on LAB_STALL; started by the test below"]
fn second_child() {
    let outcome = Run::simulated(1).execute(|| std::thread::sleep(Duration::from_secs(1)));
    match outcome.result {
        Ok(()) => println!("\nended"),
        Err(Failure::Aborted { after, .. }) => println!("\naborted after {after:?}"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_variable_sets_the_limit_or_switches_it_off() {
    for (value, said) in [("0.2", "aborted after 200ms"), ("0", "ended"), ("30", "ended")] {
        let output = start("second_child", &[("LAB_STALL", value)]).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.lines().any(|line| line == said), "LAB_STALL={value}: {text}");
    }
    let output = start("second_child", &[("LAB_STALL", "soon")]).wait_with_output().unwrap();
    assert!(!output.status.success());
}

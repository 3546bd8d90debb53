//! Comparison of complete passing Go outputs with our runs.

use std::process::Command;

/// The folder of `go test -v` outputs of passing solutions.
const GO_OUTPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/go");

#[test]
fn every_test_of_a_go_output_is_found() {
    for (file, edition, tests) in [("raft-2024", "2024", 28), ("raft-2025", "2025", 28), ("kv-2024", "2024", 23)] {
        let path = format!("{GO_OUTPUTS}/{file}.txt");
        let output = Command::new(env!("CARGO_BIN_EXE_raftlab"))
            .args(["compare", &path, "--clock", "simulated"])
            .output()
            .expect("the command runs");
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{text}\n{errors}");
        assert!(text.contains(&format!("{edition} edition: {tests} passed\n")), "{text}");
        for text_of_a_problem in ["does not have", "two tests share", "neither to a test", "no end", "FAILED"] {
            assert!(!text.contains(text_of_a_problem), "{text_of_a_problem}: {text}");
        }
    }
}

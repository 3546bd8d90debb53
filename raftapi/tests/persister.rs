//! The contents of a persister, and the independence of its copies.

use bytes::Bytes;
use raftapi::Persister;

#[test]
fn a_new_persister_is_empty() {
    let persister = Persister::new();
    assert_eq!((persister.raft_state_size(), persister.snapshot_size()), (0, 0));
    assert_eq!((persister.read_raft_state(), persister.read_snapshot()), (vec![], Bytes::new()));
}

#[test]
fn save_replaces_both_and_an_empty_snapshot_erases_the_old() {
    let persister = Persister::new();
    persister.save(b"state".to_vec(), Bytes::from_static(b"snapshot"));
    assert_eq!((persister.raft_state_size(), persister.snapshot_size()), (5, 8));
    persister.save(b"other".to_vec(), Bytes::new());
    assert_eq!((persister.read_raft_state(), persister.read_snapshot()), (b"other".to_vec(), Bytes::new()));
}

#[test]
fn append_adds_to_the_state_and_leaves_the_snapshot() {
    let persister = Persister::new();
    persister.append(b"one");
    persister.save(b"state".to_vec(), Bytes::from_static(b"snapshot"));
    persister.append(b"+1");
    persister.append(b"+2");
    assert_eq!(persister.read_raft_state(), b"state+1+2");
    assert_eq!(persister.raft_state_size(), 9);
    assert_eq!(persister.read_snapshot(), "snapshot");
}

#[test]
fn cut_and_append_replaces_the_end_but_not_the_snapshot() {
    let persister = Persister::new();
    persister.save(b"state, end".to_vec(), Bytes::from_static(b"snapshot"));
    persister.cut_and_append(5, b" and more, end");
    assert_eq!(persister.read_raft_state(), b"state and more, end");
    persister.cut_and_append(19, b".");
    assert_eq!(persister.read_raft_state(), b"state and more, end.", "a cut at the very end removes nothing");
    assert_eq!(persister.read_snapshot(), "snapshot");
}

#[test]
#[should_panic = "the saved state of 5 bytes cannot be cut at byte 6"]
fn cutting_beyond_the_saved_state_panics() {
    let persister = Persister::new();
    persister.append(b"state");
    persister.cut_and_append(6, b"more");
}

#[test]
fn a_copy_and_its_original_are_independent() {
    let original = Persister::new();
    original.save(b"before".to_vec(), Bytes::from_static(b"snapshot"));
    let copy = original.copy();
    original.append(b" and after");
    copy.save(b"else".to_vec(), Bytes::new());
    assert_eq!(original.read_raft_state(), b"before and after");
    assert_eq!(copy.read_raft_state(), b"else");
    assert_eq!(original.read_snapshot(), "snapshot");
}

//! Opening a directory: the restored state, and the one-line error for each directory that cannot be used.

use std::fs;

use kvnode::storage::{Identity, OpenError, Restored, Storage, SyncPolicy};
use raftapi::{Index, ServerId, Term};

use crate::fixture::{TempDir, apply, copy, hard_state, identity, open, save, state};

/// Returns the message for a refused directory, which must be one line.
fn refused(opened: Result<(Storage, Restored), OpenError>) -> String {
    let message = opened.err().expect("the directory is refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn a_reopened_directory_has_everything_that_was_saved() {
    let temp = TempDir::new("again");
    let dir = temp.join("some/new/directory");
    let (storage, restored) = Storage::open(&dir, &identity(), SyncPolicy::Always).unwrap();
    assert_eq!(restored, Restored::default());
    (1..=20).for_each(|batch| save(&storage, batch).unwrap());
    (1..=10).for_each(|batch| apply(&storage, batch));
    storage.compact_log(Index(14)).unwrap();
    let (log_bytes, data_bytes) = (storage.log_bytes(), storage.data_bytes());
    let before = state(&storage, Restored::default());
    drop(storage);

    let (storage, restored) = Storage::open(&dir, &identity(), SyncPolicy::Always).unwrap();
    assert_eq!(restored.hard_state, hard_state(20));
    assert_eq!((restored.applied, restored.applied_term), (Index(30), hard_state(10).term));
    assert_eq!((restored.log.base_index(), restored.log.base_term()), (Index(14), hard_state(5).term));
    assert_eq!((restored.log.last_index(), restored.log.last_term()), (Index(60), hard_state(20).term));
    assert_eq!(state(&storage, Restored::default()), before);
    assert_eq!((storage.log_bytes(), storage.data_bytes()), (log_bytes, data_bytes));
    // The storage continues from the restored state.
    (11..=20).for_each(|batch| apply(&storage, batch));
    assert_eq!(storage.last_seq(2).unwrap(), 20);
}

#[test]
fn a_directory_can_be_open_only_once() {
    let temp = TempDir::new("once");
    let dir = temp.join("data");
    let (storage, _) = open(&dir).unwrap();
    let message = refused(open(&dir));
    assert!(message.contains("another process has it open"), "{message}");
    let view = storage.view().unwrap();
    drop(storage);
    refused(open(&dir));
    drop(view);
    open(&dir).unwrap();
}

#[test]
fn the_directory_of_another_server_is_refused() {
    let temp = TempDir::new("foreign");
    let dir = temp.join("data");
    open(&dir).unwrap();
    let with = |change: fn(&mut Identity)| {
        let mut identity = identity();
        change(&mut identity);
        refused(Storage::open(&dir, &identity, SyncPolicy::Never))
    };
    assert!(with(|identity| identity.server = ServerId(2)).contains("it belongs to server 1, but this is server 2"));
    assert!(
        with(|identity| identity.servers = 5).contains("it belongs to a cluster of 3 servers, but this cluster has 5")
    );
    assert!(
        with(|identity| identity.cluster = "b".to_string())
            .contains("it belongs to cluster 'test', but this is cluster 'b'")
    );
    open(&dir).unwrap();
}

#[test]
fn a_store_that_was_copied_from_another_server_is_refused() {
    let temp = TempDir::new("swapped");
    let (ours, theirs) = (temp.join("ours"), temp.join("theirs"));
    open(&ours).unwrap();
    let other = Identity { server: ServerId(2), ..identity() };
    Storage::open(&theirs, &other, SyncPolicy::Never).unwrap();
    fs::copy(theirs.join("STORE"), ours.join("STORE")).unwrap();
    let message = refused(open(&ours));
    assert!(message.contains("STORE: damaged: it was not created in this directory"), "{message}");
}

#[test]
fn an_old_copy_of_the_store_is_refused() {
    let temp = TempDir::new("old");
    let (dir, old) = (temp.join("data"), temp.join("old"));
    let (storage, _) = open(&dir).unwrap();
    save(&storage, 1).unwrap();
    copy(&dir, &old);
    save(&storage, 2).unwrap();
    drop(storage);
    fs::copy(old.join("STORE"), dir.join("STORE")).unwrap();
    let message = refused(open(&dir));
    assert!(message.contains("its last commit is number 2, but number 3 was acknowledged"), "{message}");
}

#[test]
fn a_later_format_is_refused() {
    let temp = TempDir::new("later");
    let dir = temp.join("data");
    open(&dir).unwrap();
    let text = fs::read_to_string(dir.join("IDENTITY")).unwrap().replace("format 2", "format 3");
    let (body, _) = text.split_once("checksum").unwrap();
    let text = format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(dir.join("IDENTITY"), text).unwrap();
    let message = refused(open(&dir));
    assert!(message.contains("format 3, and this program supports formats up to 2"), "{message}");
}

#[test]
fn a_missing_file_is_reported() {
    let temp = TempDir::new("missing");
    let (dir, broken) = (temp.join("data"), temp.join("broken"));
    let (storage, _) = open(&dir).unwrap();
    save(&storage, 1).unwrap();
    drop(storage);
    for file in ["IDENTITY", "STORE", "ACKNOWLEDGED"] {
        copy(&dir, &broken);
        fs::remove_file(broken.join(file)).unwrap();
        let message = refused(open(&broken));
        assert!(message.contains(&format!("{file}: damaged: it is missing")), "{message}");
    }
    copy(&dir, &broken);
    fs::write(broken.join("STORE"), b"").unwrap();
    refused(open(&broken));
}

#[test]
fn a_directory_with_foreign_files_is_refused_and_unchanged() {
    let temp = TempDir::new("home");
    fs::write(temp.join("diary"), b"today").unwrap();
    let home = temp.join("diary").parent().unwrap().to_path_buf();
    let message = refused(open(&home));
    assert!(message.contains("it contains files of another program, such as diary"), "{message}");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "nothing was written into it");
    let message = refused(open(&temp.join("diary")));
    assert!(message.contains("diary: "), "{message}");
}

#[test]
fn an_incompletely_created_directory_is_created_again() {
    let temp = TempDir::new("unfinished");
    let (dir, broken) = (temp.join("data"), temp.join("broken"));
    open(&dir).unwrap();
    let text = fs::read_to_string(dir.join("IDENTITY")).unwrap().replace("state complete", "state new");
    let (body, _) = text.split_once("checksum").unwrap();
    let text = format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(dir.join("IDENTITY"), text).unwrap();
    // The creation was stopped after the first file: the store is complete, incomplete, or missing.
    for length in [0, 1, 4096, 10_000] {
        copy(&dir, &broken);
        let store = fs::read(dir.join("STORE")).unwrap();
        fs::write(broken.join("STORE"), &store[..length]).unwrap();
        fs::remove_file(broken.join("ACKNOWLEDGED")).unwrap();
        let (storage, restored) = open(&broken).unwrap();
        assert_eq!(restored, Restored::default());
        save(&storage, 1).unwrap();
    }
    // The creation was stopped before the first file.
    fs::remove_dir_all(&broken).unwrap();
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("LOCK"), b"").unwrap();
    fs::write(broken.join("IDENTITY.new"), b"raft").unwrap();
    open(&broken).unwrap();
}

#[test]
fn terms_and_votes_are_saved_without_entries_too() {
    let temp = TempDir::new("votes");
    let dir = temp.join("data");
    let (storage, _) = open(&dir).unwrap();
    save(&storage, 1).unwrap();
    let none = raft::core::HardState { term: Term(9), voted_for: None };
    storage.save(Some(none), None).unwrap();
    drop(storage);
    assert_eq!(open(&dir).unwrap().1.hard_state, none);
}

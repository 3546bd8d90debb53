//! Opening: what is kept, and the one clear line for each directory that cannot be used.

use std::fs;

use kvnode::storage::{Identity, OpenError, Restored, Storage, Sync};
use raftapi::{Index, ServerId, Term};

use crate::fixture::{Place, apply, copy, hard_state, identity, open, save, state};

/// The message of a directory that is refused; it is one line.
fn refused(opened: Result<(Storage, Restored), OpenError>) -> String {
    let message = opened.err().expect("it is refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn a_new_directory_is_empty_and_everything_is_there_when_it_is_opened_again() {
    let place = Place::new("again");
    let dir = place.join("some/new/directory");
    let (storage, restored) = Storage::open(&dir, &identity(), Sync::Always).unwrap();
    assert_eq!(restored, Restored::default());
    (1..=20).for_each(|batch| save(&storage, batch).unwrap());
    (1..=10).for_each(|batch| apply(&storage, batch));
    storage.compact_log(Index(14)).unwrap();
    let (log_bytes, data_bytes) = (storage.log_bytes(), storage.data_bytes());
    let before = state(&storage, Restored::default());
    drop(storage);

    let (storage, restored) = Storage::open(&dir, &identity(), Sync::Always).unwrap();
    assert_eq!(restored.hard_state, hard_state(20));
    assert_eq!((restored.applied, restored.applied_term), (Index(30), hard_state(10).term));
    assert_eq!((restored.log.base_index(), restored.log.base_term()), (Index(14), hard_state(5).term));
    assert_eq!((restored.log.last_index(), restored.log.last_term()), (Index(60), hard_state(20).term));
    assert_eq!(state(&storage, Restored::default()), before);
    assert_eq!((storage.log_bytes(), storage.data_bytes()), (log_bytes, data_bytes));
    // It goes on where it was.
    (11..=20).for_each(|batch| apply(&storage, batch));
    assert_eq!(storage.last_seq(2).unwrap(), 20);
}

#[test]
fn a_directory_is_open_once() {
    let place = Place::new("once");
    let dir = place.join("data");
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
    let place = Place::new("foreign");
    let dir = place.join("data");
    open(&dir).unwrap();
    let with = |change: fn(&mut Identity)| {
        let mut identity = identity();
        change(&mut identity);
        refused(Storage::open(&dir, &identity, Sync::Never))
    };
    assert!(with(|identity| identity.server = ServerId(2)).contains("it is of server 1, and this is server 2"));
    assert!(with(|identity| identity.servers = 5).contains("of a cluster of 3 servers, and this is one of 5"));
    assert!(with(|identity| identity.cluster = "b".to_string()).contains("of cluster 'test', and this is cluster 'b'"));
    open(&dir).unwrap();
}

#[test]
fn a_store_that_was_copied_from_another_server_is_refused() {
    let place = Place::new("swapped");
    let (ours, theirs) = (place.join("ours"), place.join("theirs"));
    open(&ours).unwrap();
    let other = Identity { server: ServerId(2), ..identity() };
    Storage::open(&theirs, &other, Sync::Never).unwrap();
    fs::copy(theirs.join("STORE"), ours.join("STORE")).unwrap();
    let message = refused(open(&ours));
    assert!(message.contains("STORE: damaged: it was not made in this directory"), "{message}");
}

#[test]
fn an_old_copy_of_the_store_is_refused() {
    let place = Place::new("old");
    let (dir, old) = (place.join("data"), place.join("old"));
    let (storage, _) = open(&dir).unwrap();
    save(&storage, 1).unwrap();
    copy(&dir, &old);
    save(&storage, 2).unwrap();
    drop(storage);
    fs::copy(old.join("STORE"), dir.join("STORE")).unwrap();
    let message = refused(open(&dir));
    assert!(message.contains("its last commit is number 2, and number 3 was acknowledged"), "{message}");
}

#[test]
fn a_later_format_is_refused() {
    let place = Place::new("later");
    let dir = place.join("data");
    open(&dir).unwrap();
    let text = fs::read_to_string(dir.join("IDENTITY")).unwrap().replace("format 1", "format 2");
    let (body, _) = text.split_once("checksum").unwrap();
    let text = format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(dir.join("IDENTITY"), text).unwrap();
    let message = refused(open(&dir));
    assert!(message.contains("format 2, and this program knows formats up to 1"), "{message}");
}

#[test]
fn a_file_that_is_missing_is_missed() {
    let place = Place::new("missing");
    let (dir, broken) = (place.join("data"), place.join("broken"));
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
fn a_directory_with_other_things_in_it_is_left_alone() {
    let place = Place::new("home");
    fs::write(place.join("diary"), b"today").unwrap();
    let home = place.join("diary").parent().unwrap().to_path_buf();
    let message = refused(open(&home));
    assert!(message.contains("it has files of somebody else in it, such as diary"), "{message}");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "nothing was written into it");
    let message = refused(open(&place.join("diary")));
    assert!(message.contains("diary: "), "{message}");
}

#[test]
fn a_directory_that_was_begun_and_never_finished_is_begun_anew() {
    let place = Place::new("unfinished");
    let (dir, broken) = (place.join("data"), place.join("broken"));
    open(&dir).unwrap();
    let text = fs::read_to_string(dir.join("IDENTITY")).unwrap().replace("state complete", "state new");
    let (body, _) = text.split_once("checksum").unwrap();
    let text = format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(dir.join("IDENTITY"), text).unwrap();
    // At any moment after the first file: with a store that is there, half there, not there.
    for length in [0, 1, 4096, 10_000] {
        copy(&dir, &broken);
        let store = fs::read(dir.join("STORE")).unwrap();
        fs::write(broken.join("STORE"), &store[..length]).unwrap();
        fs::remove_file(broken.join("ACKNOWLEDGED")).unwrap();
        let (storage, restored) = open(&broken).unwrap();
        assert_eq!(restored, Restored::default());
        save(&storage, 1).unwrap();
    }
    // And before it.
    fs::remove_dir_all(&broken).unwrap();
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("LOCK"), b"").unwrap();
    fs::write(broken.join("IDENTITY.new"), b"raft").unwrap();
    open(&broken).unwrap();
}

#[test]
fn terms_and_votes_are_kept_without_entries_too() {
    let place = Place::new("votes");
    let dir = place.join("data");
    let (storage, _) = open(&dir).unwrap();
    save(&storage, 1).unwrap();
    let none = raft::core::HardState { term: Term(9), voted_for: None };
    storage.save(Some(none), None).unwrap();
    drop(storage);
    assert_eq!(open(&dir).unwrap().1.hard_state, none);
}

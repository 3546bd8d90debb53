//! Views, images, and the installation of an image.

use std::fs;

use bytes::Bytes;
use kvnode::storage::{Image, Restored, StorageError};
use raft::core::HardState;
use raftapi::{Index, Term};

use crate::fixture::{TempDir, apply, commands, entry, open, put, save, state};

#[test]
fn a_view_does_not_change() {
    let temp = TempDir::new("view");
    let (storage, _) = open(&temp.join("data")).unwrap();
    save(&storage, 1).unwrap();
    apply(&storage, 1);
    let view = storage.view().unwrap();
    let before = state(&storage, Restored::default());
    let reader = std::thread::spawn(move || {
        let records = view.records().unwrap().map(Result::unwrap).count();
        (view.applied(), records)
    });
    for batch in 2..50 {
        save(&storage, batch).unwrap();
        apply(&storage, batch);
    }
    let (applied, records) = reader.join().unwrap();
    assert_eq!(applied, Index(3));
    assert_eq!(records, before.clients.len() + before.values.len(), "each value has one piece");
}

#[test]
fn an_image_has_the_whole_state_and_replaces_another_state() {
    let temp = TempDir::new("install");
    let (ours, theirs) = (temp.join("ours"), temp.join("theirs"));
    let (leader, _) = open(&theirs).unwrap();
    for batch in 1..=30 {
        save(&leader, batch).unwrap();
        apply(&leader, batch);
    }
    let path = temp.join("image");
    let written = leader.view().unwrap().write_image(&path).unwrap();
    assert_eq!(Image::check(&path).unwrap(), written);
    assert_eq!(written.bytes(), fs::metadata(&path).unwrap().len());

    let (storage, _) = open(&ours).unwrap();
    storage
        .save(None, Some(kvnode::storage::Tail { first: Index(1), entries: &[entry(1, &commands(99)[0])] }))
        .unwrap();
    storage.apply(Index(1), &[(Term(1), Some(put(7, 70, "old", "value")))]).unwrap();
    let hard_state = HardState { term: Term(12), voted_for: None };
    storage.install(&written, Some(hard_state), false).unwrap();
    assert_eq!(storage.get(b"old").unwrap(), None);
    assert_eq!(storage.log_bytes(), 0);
    drop(storage);

    let (storage, restored) = open(&ours).unwrap();
    assert_eq!((restored.hard_state, restored.applied), (hard_state, Index(90)));
    assert_eq!((restored.log.base_index(), restored.log.last_index()), (Index(90), Index(90)));
    assert_eq!(restored.log.base_term(), restored.applied_term);
    let (a, b) = (state(&storage, Restored::default()), state(&leader, Restored::default()));
    assert_eq!((a.values, a.clients), (b.values, b.clients));
    // The storage stays usable.
    save(&storage, 31).unwrap();
    apply(&storage, 31);
}

#[test]
fn entries_after_an_image_stay_if_the_tail_is_kept() {
    let temp = TempDir::new("tail");
    let (storage, _) = open(&temp.join("data")).unwrap();
    for batch in 1..=5 {
        save(&storage, batch).unwrap();
        apply(&storage, batch);
    }
    let image = storage.view().unwrap().write_image(&temp.join("image")).unwrap();
    let (other, _) = open(&temp.join("other")).unwrap();
    (1..=7).for_each(|batch| save(&other, batch).unwrap());
    other.install(&image, None, true).unwrap();
    drop(other);
    let (other, restored) = open(&temp.join("other")).unwrap();
    assert_eq!((restored.log.base_index(), restored.log.last_index()), (Index(15), Index(21)));
    apply(&other, 6);
    apply(&other, 7);
}

#[test]
fn a_damaged_image_is_refused_and_changes_nothing() {
    let temp = TempDir::new("torn");
    let (storage, restored) = open(&temp.join("data")).unwrap();
    save(&storage, 1).unwrap();
    apply(&storage, 1);
    let path = temp.join("image");
    let image = storage.view().unwrap().write_image(&path).unwrap();
    let content = fs::read(&path).unwrap();
    let damaged = temp.join("damaged");
    let check = |content: &[u8], what: &str| {
        fs::write(&damaged, content).unwrap();
        let error = Image::check(&damaged).expect_err(what);
        assert!(matches!(error, StorageError::BadImage { .. }), "{what}: {error}");
        assert!(!error.to_string().contains('\n'), "{what}: {error}");
    };
    for bit in 0..content.len() * 8 {
        let mut content = content.clone();
        content[bit / 8] ^= 1 << (bit % 8);
        check(&content, &format!("bit {bit}"));
    }
    (0..content.len()).for_each(|length| check(&content[..length], &format!("{length} bytes")));
    check(&[&content[..], b"x"].concat(), "a byte more");
    println!("{} bits flipped, {} lengths tried", content.len() * 8, content.len());

    // The image is damaged after its check.
    let before = state(&storage, restored.clone());
    fs::write(&path, &content[..content.len() - 9]).unwrap();
    storage.install(&image, None, true).expect_err("the image is refused");
    assert_eq!(state(&storage, restored), before);
    fs::write(&path, &content).unwrap();
    storage.install(&image, None, true).unwrap();
}

#[test]
fn a_value_of_many_appends_is_read_whole() {
    let temp = TempDir::new("long");
    let (storage, _) = open(&temp.join("data")).unwrap();
    let command = |n: u64| crate::fixture::append(1, n, "k", Bytes::from(format!("{n:>10}")));
    let count = 5_000;
    for first in (1..=count).step_by(500) {
        let commands: Vec<_> = (first..first + 500).map(command).collect();
        let entries: Vec<_> = commands.iter().map(|command| entry(1, command)).collect();
        storage.save(None, Some(kvnode::storage::Tail { first: Index(first), entries: &entries })).unwrap();
        let entries: Vec<_> = commands.into_iter().map(|command| (Term(1), Some(command))).collect();
        storage.apply(Index(first), &entries).unwrap();
    }
    let expected: String = (1..=count).map(|n| format!("{n:>10}")).collect();
    assert!(storage.get(b"k").unwrap().unwrap() == expected.as_bytes());
}

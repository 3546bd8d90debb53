//! A record goes into a file and comes back; and whatever else a file may hold is refused in one line, without a panic.

use proptest::prelude::*;
use record::{Event, EventKind, Index, Options, Recorder, ServerId, Term, file};

/// A short run with events of several lengths.
fn short_run() -> Recorder {
    let recorder = Recorder::default();
    for n in 0..40 {
        let server = Some(ServerId(n as usize % 3));
        let kind = match n % 4 {
            0 => EventKind::Failed { text: "x".repeat(n as usize) },
            1 => EventKind::RpcSent { call: n, from: server, to: ServerId(1).into(), method: "A.b".into(), bytes: n },
            2 => EventKind::Committed { index: Index(n * 1000) },
            _ => EventKind::RpcAnswered { call: n - 2, bytes: n },
        };
        recorder.record(Event { at: n * 1_000_000, server, kind });
    }
    recorder
}

/// A run of which a window is left out.
fn long_run() -> Recorder {
    let recorder = Recorder::new(Options { kept_bytes_max: 1 << 20, ..Options::default() });
    for n in 0..60_000 {
        let at = n * 1_000_000;
        let sent =
            EventKind::RpcSent { call: n, from: None, to: ServerId(1).into(), method: "KV.Get".into(), bytes: 9 };
        for kind in [sent, EventKind::TermChanged { term: Term(n) }, EventKind::RpcAnswered { call: n, bytes: 5 }] {
            recorder.record(Event { at, server: None, kind });
        }
    }
    recorder
}

fn file_of(recorder: &Recorder) -> Vec<u8> {
    let mut bytes = Vec::new();
    recorder.write(&mut bytes).expect("a vector takes everything");
    bytes
}

/// What is said about a file that cannot be read.
fn refusal(bytes: &[u8]) -> String {
    file::read(bytes).expect_err("this is no whole record").to_string()
}

#[test]
fn what_is_written_comes_back() {
    let empty = Recorder::default();
    let long = long_run();
    assert!(long.omitted() > 0, "the long run is to have a window that is left out");
    for recorder in [empty, short_run(), long] {
        let stored = file::read(&*file_of(&recorder)).expect("it was just written");
        assert!(stored.events().eq(recorder.events()));
        assert_eq!(
            (stored.len(), stored.is_empty(), stored.omitted(), stored.hash()),
            (recorder.len(), recorder.is_empty(), recorder.omitted(), recorder.hash())
        );
    }
}

#[test]
fn a_file_is_written_while_the_run_goes_on() {
    let recorder = short_run();
    let before = recorder.len();
    let bytes = file_of(&recorder);
    recorder.record(Event { at: 1, server: None, kind: EventKind::TermChanged { term: Term(1) } });
    assert_eq!(file::read(&*bytes).expect("it was just written").len(), before);
}

#[test]
fn a_file_that_ends_anywhere_before_its_end_is_said_to_end_in_the_middle() {
    let whole = file_of(&short_run());
    for length in 1..whole.len() {
        assert!(refusal(&whole[..length]).contains("ends in the middle"), "at {length} of {} bytes", whole.len());
    }
}

#[test]
fn every_bit_that_is_flipped_is_found() {
    let whole = file_of(&short_run());
    for bit in 0..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refusal = refusal(&bytes);
        let expected: &[&str] = match bit / 8 {
            0..8 => &["is not a record"],
            8..10 => &["of version"],
            // A length may now be longer than what there is.
            _ => &["is damaged", "ends in the middle"],
        };
        assert!(expected.iter().any(|part| refusal.contains(part)), "bit {bit}: {refusal}");
    }
}

#[test]
fn what_follows_the_end_is_damage() {
    let mut bytes = file_of(&short_run());
    bytes.push(0);
    assert!(refusal(&bytes).contains("is damaged"));
}

#[test]
fn other_files_are_not_records() {
    for other in [&b""[..], b"\n", b"000000 TEST -- begins\n", b"\x89PNG\r\n\x1a\n and so on", &[0; 4096]] {
        assert!(refusal(other).contains("is not a record"), "{other:?}");
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = file_of(&short_run());
    bytes[8] = 7;
    assert_eq!(refusal(&bytes), "it is a record of version 7, and this program reads version 1");
}

#[test]
fn a_length_that_the_file_does_not_back_takes_no_memory() {
    let head = &file_of(&Recorder::default())[..10];
    let bytes = [head, &u32::MAX.to_le_bytes(), b"only this"].concat();
    assert!(refusal(&bytes).contains("ends in the middle"));
}

#[test]
fn an_input_that_fails_is_told_from_a_file_that_is_wrong() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is on fire"))
        }
    }
    assert_eq!(file::read(Broken).unwrap_err().to_string(), "the disk is on fire");
}

/// A file around `pieces` whose own hash is right: what somebody makes who wants to break a reader.
fn forged(pieces: &[Vec<u8>], len: u64, omitted: u64) -> Vec<u8> {
    let mut bytes = file_of(&Recorder::default())[..10].to_vec();
    for piece in pieces {
        bytes.extend((piece.len() as u32).to_le_bytes());
        bytes.extend(piece);
    }
    bytes.extend([0; 4]);
    for number in [len, omitted, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(xxhash_rust::xxh3::xxh3_64(&bytes).to_le_bytes());
    bytes
}

#[test]
fn a_forged_file_with_events_is_read_as_long_as_its_counts_are_true() {
    let event = |at| labgob::encode(&Event { at, server: None, kind: EventKind::RpcDelivered { call: 1 } }).to_vec();
    let two = vec![event(5), event(6)];
    assert_eq!(file::read(&*forged(&two, 2, 0)).expect("all is well").events().count(), 2);
    assert!(refusal(&forged(&two, 3, 0)).contains("is damaged"));
    assert!(refusal(&forged(&two, 2, 3)).contains("is damaged"));
    assert!(refusal(&forged(&[event(6), event(5)], 2, 0)).contains("is damaged"), "times never go back");
}

proptest! {
    #[test]
    fn forged_pieces_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..4), len in 0u64..9) {
        // The first event has a time and no server, so that its kind is reached.
        let pieces: Vec<_> = pieces.into_iter().map(|piece| [&[1, 0], &piece[..]].concat()).collect();
        if let Ok(stored) = file::read(&*forged(&pieces, len, 0)) {
            prop_assert_eq!(stored.events().count() as u64, len);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), of_a_record in any::<bool>()) {
        let head = file_of(&Recorder::default())[..10].to_vec();
        let bytes = if of_a_record { [head, bytes].concat() } else { bytes };
        prop_assert!(file::read(&*bytes).is_err(), "no hash is right by chance");
    }
}

//! Files of records. A record is written and read back unchanged. Any other content is rejected with one line, without
//! a panic.

use ids::{Index, ServerId, Term};
use proptest::prelude::*;
use record::{Event, EventKind, Options, Recorder, file};

/// A short run with events of several lengths.
fn short_run() -> Recorder {
    let recorder = Recorder::default();
    for n in 0..40 {
        let server = Some(ServerId(n as usize % 3));
        let kind = match n % 4 {
            0 => EventKind::Failed { text: "x".repeat(n as usize) },
            1 => EventKind::RpcSent { call: n, from: server, to: ServerId(1).into(), method: "A.b".into(), bytes: n },
            2 => EventKind::Committed { index: Index(n * 1000) },
            _ => EventKind::RpcReplied { call: n - 2, bytes: n },
        };
        recorder.record(Event { at: n * 1_000_000, server, kind });
    }
    recorder
}

/// A run with an omitted window.
fn long_run() -> Recorder {
    let recorder = Recorder::new(Options { kept_bytes_max: 1 << 20, ..Options::default() });
    for n in 0..60_000 {
        let at = n * 1_000_000;
        let sent =
            EventKind::RpcSent { call: n, from: None, to: ServerId(1).into(), method: "KV.Get".into(), bytes: 9 };
        for kind in [sent, EventKind::TermChanged { term: Term(n) }, EventKind::RpcReplied { call: n, bytes: 5 }] {
            recorder.record(Event { at, server: None, kind });
        }
    }
    recorder
}

fn file_of(recorder: &Recorder) -> Vec<u8> {
    let mut bytes = Vec::new();
    recorder.write(&mut bytes).expect("writing to a vector cannot fail");
    bytes
}

/// Returns the error text for a file that cannot be read.
fn error_text(bytes: &[u8]) -> String {
    file::read(bytes).expect_err("this must not be a complete record").to_string()
}

#[test]
fn a_written_record_is_read_back_unchanged() {
    let empty = Recorder::default();
    let long = long_run();
    assert!(long.omitted() > 0, "the long run must have an omitted window");
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
fn a_file_can_be_written_during_the_run() {
    let recorder = short_run();
    let before = recorder.len();
    let bytes = file_of(&recorder);
    recorder.record(Event { at: 1, server: None, kind: EventKind::TermChanged { term: Term(1) } });
    assert_eq!(file::read(&*bytes).expect("it was just written").len(), before);
}

#[test]
fn every_truncated_file_is_said_to_end_in_the_middle() {
    let whole = file_of(&short_run());
    for length in 1..whole.len() {
        assert!(error_text(&whole[..length]).contains("ends in the middle"), "at {length} of {} bytes", whole.len());
    }
}

#[test]
fn every_flipped_bit_is_detected() {
    let whole = file_of(&short_run());
    for bit in 0..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error_text = error_text(&bytes);
        let expected: &[&str] = match bit / 8 {
            0..8 => &["is not a record"],
            8..10 => &["of version"],
            // A flipped length may now exceed the rest of the file.
            _ => &["is damaged", "ends in the middle"],
        };
        assert!(expected.iter().any(|part| error_text.contains(part)), "bit {bit}: {error_text}");
    }
}

#[test]
fn bytes_after_the_end_are_damage() {
    let mut bytes = file_of(&short_run());
    bytes.push(0);
    assert!(error_text(&bytes).contains("is damaged"));
}

#[test]
fn other_files_are_not_records() {
    for other in [&b""[..], b"\n", b"000000 TEST -- begins\n", b"\x89PNG\r\n\x1a\n and so on", &[0; 4096]] {
        assert!(error_text(other).contains("is not a record"), "{other:?}");
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = file_of(&short_run());
    bytes[8] = 7;
    assert_eq!(error_text(&bytes), "it is a record of version 7, and this program reads version 1");
}

#[test]
fn a_length_beyond_the_file_takes_no_memory() {
    let head = &file_of(&Recorder::default())[..10];
    let bytes = [head, &u32::MAX.to_le_bytes(), b"only this"].concat();
    assert!(error_text(&bytes).contains("ends in the middle"));
}

#[test]
fn an_input_error_differs_from_a_damaged_file() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is on fire"))
        }
    }
    assert_eq!(file::read(Broken).unwrap_err().to_string(), "the disk is on fire");
}

/// Builds a file around `pieces` whose own hash is right, as an attacker would to break a reader.
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
fn a_forged_file_with_true_counts_is_read() {
    let event = |at| labgob::encode(&Event { at, server: None, kind: EventKind::RpcDelivered { call: 1 } }).to_vec();
    let two = vec![event(5), event(6)];
    assert_eq!(file::read(&*forged(&two, 2, 0)).expect("all is well").events().count(), 2);
    assert!(error_text(&forged(&two, 3, 0)).contains("is damaged"));
    assert!(error_text(&forged(&two, 2, 3)).contains("is damaged"));
    assert!(error_text(&forged(&[event(6), event(5)], 2, 0)).contains("is damaged"), "times never decrease");
}

proptest! {
    #[test]
    fn forged_pieces_never_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..4), len in 0u64..9) {
        // The first event has a time and no server, so that its kind is decoded.
        let pieces: Vec<_> = pieces.into_iter().map(|piece| [&[1, 0], &piece[..]].concat()).collect();
        if let Ok(stored) = file::read(&*forged(&pieces, len, 0)) {
            prop_assert_eq!(stored.events().count() as u64, len);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), with_head in any::<bool>()) {
        let head = file_of(&Recorder::default())[..10].to_vec();
        let bytes = if with_head { [head, bytes].concat() } else { bytes };
        prop_assert!(file::read(&*bytes).is_err(), "random bytes must not have the right hash");
    }
}

//! The text of every kind of decoding error: it names the type, the expected value, its position, and the value found.

use bytes::Bytes;
use labgob::{Decoder, decode, encode};
use serde::{Deserialize, Serialize};

/// Returns the text of the error from decoding `bytes` as a `T`.
fn error_text<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> String {
    match decode::<T>(bytes) {
        Ok(_) => panic!("these bytes must not decode"),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Choice {
    First,
    Second,
}

#[test]
fn an_error_for_a_truncated_integer_gives_its_position() {
    let bytes = encode(&(1u8, 70_000u32));
    assert_eq!(
        error_text::<(u8, u32)>(&bytes[..3]),
        "cannot decode (u8, u32): expected a u32 at byte 1, found the end of the input"
    );
}

#[test]
fn an_error_for_too_large_a_length_gives_the_bytes_left() {
    let bytes = encode(&(7u8, Bytes::from_static(b"payload")));
    let error = decode::<(u8, Bytes)>(&bytes[..4]).unwrap_err();
    assert_eq!(error.position(), 1);
    assert_eq!(error.type_name(), "(u8, bytes::bytes::Bytes)");
    assert_eq!(
        error.to_string(),
        "cannot decode (u8, bytes::bytes::Bytes): expected a length-prefixed byte string at byte 1, \
         found the length 7 with 2 bytes left"
    );
    assert!(error_text::<Vec<u64>>(&encode(&u64::MAX)).ends_with(
        "expected the length of a sequence at byte 0, found the length 18446744073709551615 with 0 bytes left"
    ));
}

#[test]
fn trailing_bytes_are_an_error_in_decode_and_in_finish() {
    let bytes = [encode(&5u64), encode(&6u64)].concat();
    assert_eq!(
        error_text::<u64>(&bytes),
        "cannot decode u64: expected the end of the input at byte 1, found 1 more bytes"
    );

    let mut decoder = Decoder::new(&bytes);
    decoder.take::<u64>().unwrap();
    let error = decoder.finish().unwrap_err();
    assert_eq!(error.to_string(), "cannot decode: expected the end of the input at byte 1, found 1 more bytes");
}

#[test]
fn an_error_for_an_invalid_value_names_the_value() {
    assert_eq!(error_text::<bool>(&[2]), "cannot decode bool: expected a bool at byte 0, found the byte 2");
    assert!(error_text::<Option<u8>>(&[9]).ends_with("expected an option (0 or 1) at byte 0, found the byte 9"));
    assert!(
        error_text::<String>(&[2, b'a', 0xff])
            .ends_with("expected a string in UTF-8 at byte 0, found an invalid byte at byte 2")
    );
    assert!(
        error_text::<u16>(&[252, 0, 0, 0, 0])
            .ends_with("expected a u16 at byte 0, found the marker of a longer integer (U32)")
    );
    assert!(error_text::<char>(&[0xff]).contains("expected a char at byte 0"));
    let choice = error_text::<(u8, Choice)>(&[0, 2]);
    assert!(choice.ends_with("at byte 1: invalid value: integer `2`, expected variant index 0 <= i < 2"), "{choice}");
    assert!(error_text::<std::num::NonZeroU64>(&[0]).contains("at byte 0: invalid value"));
}

#[test]
fn a_type_that_needs_a_self_describing_format_gets_an_error() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }

    assert!(error_text::<Either>(&encode(&Either::Number(1))).contains("a self-describing format"));
}

#[test]
#[should_panic(expected = "cannot encode")]
fn encoding_an_unsupported_value_panics_with_its_type() {
    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        inner: std::collections::BTreeMap<String, u64>,
    }

    encode(&Flat { inner: Default::default() });
}

#[test]
fn an_input_above_the_limit_is_rejected_unread() {
    let input = vec![0u8; labgob::MAX_LEN + 1];
    assert!(error_text::<u8>(&input).ends_with("expected at most 67108864 bytes at byte 0, found 67108865 bytes"));
}

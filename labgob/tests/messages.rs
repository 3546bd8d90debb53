//! The text of every kind of decoding error: it names the type, what was expected, where, and what was found.

use bytes::Bytes;
use labgob::{Decoder, decode, encode};
use serde::{Deserialize, Serialize};

/// The text of the error that decoding `bytes` as a `T` gives.
fn refusal<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> String {
    match decode::<T>(bytes) {
        Ok(_) => panic!("these bytes must not be decoded"),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Choice {
    First,
    Second,
}

#[test]
fn a_truncated_integer_is_named_with_its_place() {
    let bytes = encode(&(1u8, 70_000u32));
    assert_eq!(
        refusal::<(u8, u32)>(&bytes[..3]),
        "cannot decode (u8, u32): expected a u32 at byte 1, found the end of the input"
    );
}

#[test]
fn a_length_beyond_the_input_is_named_with_what_is_left() {
    let bytes = encode(&(7u8, Bytes::from_static(b"payload")));
    let error = decode::<(u8, Bytes)>(&bytes[..4]).unwrap_err();
    assert_eq!(error.position(), 1);
    assert_eq!(error.type_name(), "(u8, bytes::bytes::Bytes)");
    assert_eq!(
        error.to_string(),
        "cannot decode (u8, bytes::bytes::Bytes): expected a length-prefixed byte string at byte 1, \
         found the length 7 with 2 bytes left"
    );
    assert!(refusal::<Vec<u64>>(&encode(&u64::MAX)).ends_with(
        "expected the length of a sequence at byte 0, found the length 18446744073709551615 with 0 bytes left"
    ));
}

#[test]
fn trailing_bytes_are_an_error_of_the_value_or_of_the_end() {
    let bytes = [encode(&5u64), encode(&6u64)].concat();
    assert_eq!(
        refusal::<u64>(&bytes),
        "cannot decode u64: expected the end of the input at byte 1, found 1 more bytes"
    );

    let mut decoder = Decoder::new(&bytes);
    decoder.take::<u64>().unwrap();
    let error = decoder.finish().unwrap_err();
    assert_eq!(error.to_string(), "cannot decode: expected the end of the input at byte 1, found 1 more bytes");
}

#[test]
fn values_that_a_type_does_not_have_are_named() {
    assert_eq!(refusal::<bool>(&[2]), "cannot decode bool: expected a bool at byte 0, found the byte 2");
    assert!(refusal::<Option<u8>>(&[9]).ends_with("expected an option (0 or 1) at byte 0, found the byte 9"));
    assert!(
        refusal::<String>(&[2, b'a', 0xff])
            .ends_with("expected a string in UTF-8 at byte 0, found another byte at byte 2")
    );
    assert!(
        refusal::<u16>(&[252, 0, 0, 0, 0])
            .ends_with("expected a u16 at byte 0, found the mark of a longer integer (U32)")
    );
    assert!(refusal::<char>(&[0xff]).contains("expected a char at byte 0"));
    let choice = refusal::<(u8, Choice)>(&[0, 2]);
    assert!(choice.ends_with("at byte 1: invalid value: integer `2`, expected variant index 0 <= i < 2"), "{choice}");
    assert!(refusal::<std::num::NonZeroU64>(&[0]).contains("at byte 0: invalid value"));
}

#[test]
fn a_type_that_wants_self_describing_bytes_is_told_so() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }

    assert!(refusal::<Either>(&encode(&Either::Number(1))).contains("bytes that describe themselves"));
}

#[test]
#[should_panic(expected = "cannot encode")]
fn a_value_that_cannot_be_written_panics_with_its_type() {
    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        inner: std::collections::BTreeMap<String, u64>,
    }

    encode(&Flat { inner: Default::default() });
}

#[test]
fn an_input_above_the_limit_is_refused_unread() {
    let input = vec![0u8; labgob::MAX_LEN + 1];
    assert!(refusal::<u8>(&input).ends_with("expected at most 67108864 bytes at byte 0, found 67108865 bytes"));
}

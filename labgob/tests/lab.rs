//! The lab's own three labgob tests in Rust. Values come back unchanged, several in a row too. A private field is
//! encoded like any other. Decoding creates a new value, so nothing of an old one remains.

use std::collections::BTreeMap;

use labgob::{Decoder, Encoder, decode, encode};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Parts {
    first: i64,
    second: i64,
    third: String,
    fourth: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Int(i64),
    Str(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Whole {
    list: Vec<Parts>,
    by_number: BTreeMap<i32, Box<Parts>>,
    slots: Vec<Option<Command>>,
}

fn half_zero() -> Parts {
    Parts { first: 0, second: 1, third: String::new(), fourth: "6.5840".into() }
}

fn whole() -> Whole {
    let full = Parts { first: 1, second: 2, third: "x".into(), fourth: "y".into() };
    Whole {
        list: vec![Parts::default(), half_zero()],
        by_number: BTreeMap::from([(99, Box::new(full))]),
        slots: vec![None, Some(Command::Int(i64::MAX)), Some(Command::Str("put".into()))],
    }
}

#[test]
fn values_written_in_a_row_are_read_back_in_order() {
    let mut encoder = Encoder::new();
    encoder.put(&0i64).put(&1i64).put(&half_zero()).put(&whole());
    let bytes = encoder.finish();

    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.take::<i64>().unwrap(), 0);
    assert_eq!(decoder.take::<i64>().unwrap(), 1);
    assert_eq!(decoder.take::<Parts>().unwrap(), half_zero());
    assert_eq!(decoder.take::<Whole>().unwrap(), whole());
    assert_eq!(decoder.remaining(), 0);
    decoder.finish().unwrap();
}

#[test]
fn an_encoder_is_empty_after_finish_and_can_be_used_again() {
    let mut encoder = Encoder::new();
    encoder.put(&300u64);
    assert_eq!((encoder.len(), encoder.is_empty()), (3, false));
    assert_eq!(encoder.finish(), encode(&300u64));
    assert!(encoder.is_empty());
    assert_eq!(encoder.put("again").finish(), encode("again"));
}

#[test]
fn encode_into_keeps_the_buffers_content() {
    let mut buffer = b"head".to_vec();
    labgob::encode_into(&7u8, &mut buffer);
    assert_eq!(buffer, b"head\x07");
}

#[test]
fn a_private_field_is_encoded_like_any_other() {
    mod elsewhere {
        use super::*;

        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct Mixed {
            pub(super) yes: i64,
            no: i64,
        }

        impl Mixed {
            pub(super) fn new(yes: i64, no: i64) -> Mixed {
                Mixed { yes, no }
            }
        }
    }

    let mixed = elsewhere::Mixed::new(1, 2);
    let back: elsewhere::Mixed = decode(&encode(&mixed)).unwrap();
    assert_eq!((back.yes, &back), (1, &mixed));
}

#[test]
fn a_zero_decoded_into_a_used_variable_is_zero() {
    let bytes = encode(&Parts::default());
    let mut used = half_zero();
    assert_ne!(used, Parts::default());

    used = decode(&bytes).unwrap();
    assert_eq!(used, Parts::default());
}

#[test]
fn a_failed_take_leaves_the_decoder_before_the_value() {
    let bytes = encode("vote");
    let mut decoder = Decoder::new(&bytes);
    decoder.take::<(u64, u64, u64, u64, u64, u64)>().unwrap_err();
    assert_eq!(decoder.remaining(), bytes.len());
    assert_eq!(decoder.take::<String>().unwrap(), "vote");
}

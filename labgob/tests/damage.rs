//! Damaged input: every truncation and every flipped bit of sample messages, and false lengths. None may panic, run for
//! long, or make one allocation larger than the input. The allocator of this test records the largest allocation.

#![expect(unsafe_code, reason = "a global allocator must implement an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Debug,
};

use bytes::Bytes;
use labgob::{MAX_DEPTH, MAX_EMPTY_ELEMENTS, decode, encode};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

thread_local! {
    /// The largest allocation of this thread since the value was last set, in bytes.
    static LARGEST_ALLOCATION: Cell<usize> = const { Cell::new(0) };
}

struct CountingAllocator;

// SAFETY: every call is passed on unchanged to the system's allocator. Recording the size allocates nothing (the
// thread-local is initialised by a constant and has no destructor).
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST_ALLOCATION.set(LARGEST_ALLOCATION.get().max(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST_ALLOCATION.set(LARGEST_ALLOCATION.get().max(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST_ALLOCATION.set(LARGEST_ALLOCATION.get().max(size));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The number of bytes by which an allocation may exceed the input: the first four elements of a `Vec`, one node of a
/// `BTreeMap` (eleven entries), the text of an error. It does not depend on the input. (A collection of thousands of
/// elements that are larger in memory than encoded does exceed it while it is decoded; the inputs below are small.)
const SLACK_BYTES: usize = 1024;

/// Decodes `input` and checks the bound that holds for any input.
fn decode_within_bounds<T: DeserializeOwned>(input: &[u8]) -> Result<T, labgob::DecodeError> {
    LARGEST_ALLOCATION.set(0);
    let result = decode::<T>(input);
    let largest = LARGEST_ALLOCATION.get();
    assert!(
        largest <= input.len() + SLACK_BYTES,
        "decoding {} bytes as {} allocated {largest} bytes at once",
        input.len(),
        std::any::type_name::<T>()
    );
    result
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Int(i64),
    Str(String),
    Nothing,
    Move { from: u8, to: (u16, char) },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    term: u64,
    command: Command,
    data: Bytes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    term: u64,
    leader: Option<usize>,
    entries: Vec<Entry>,
    sessions: BTreeMap<u64, Option<String>>,
    checksum: u128,
    balance: i128,
    share: f64,
    grid: [u16; 3],
    done: bool,
    unit: (),
}

fn samples() -> Vec<Message> {
    let commands = [
        Command::Int(-5),
        Command::Str("x 0 7 y".repeat(9)),
        Command::Nothing,
        Command::Move { from: 3, to: (60_000, 'é') },
    ];
    let entries = commands.into_iter().zip(1..).map(|(command, n)| Entry {
        term: 1 << (11 * n),
        command,
        data: Bytes::from(vec![n as u8; 10 * n]),
    });
    let full = Message {
        term: 251,
        leader: Some(4),
        entries: entries.collect(),
        sessions: BTreeMap::from([(0, None), (1 << 40, Some("clerk".into()))]),
        checksum: u128::MAX - 1,
        balance: -70_000,
        share: 0.5,
        grid: [1, 300, 65_535],
        done: true,
        unit: (),
    };
    let empty =
        Message { term: 0, leader: None, entries: vec![], sessions: BTreeMap::new(), done: false, ..full.clone() };
    vec![full, empty]
}

#[test]
fn every_sample_comes_back() {
    for sample in samples() {
        assert_eq!(decode_within_bounds::<Message>(&encode(&sample)).unwrap(), sample);
    }
}

#[test]
fn every_truncation_is_an_error() {
    for sample in samples() {
        let bytes = encode(&sample);
        for end in 0..bytes.len() {
            let error = decode_within_bounds::<Message>(&bytes[..end]).unwrap_err();
            assert!(error.position() <= end, "{error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_another_value() {
    for sample in samples() {
        let bytes = encode(&sample);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = decode_within_bounds::<Message>(&damaged) {
                assert_ne!(other, sample, "bit {bit} of the encoding has no meaning");
            }
        }
    }
}

/// The byte that marks a varint of eight bytes.
const EIGHT_BYTES_FOLLOW: u8 = 253;

#[test]
fn a_false_length_allocates_nothing() {
    fn check<T: DeserializeOwned + Debug>() {
        for length in [70, 4096, 1 << 20, 60 << 20, 1 << 32, u64::MAX / 8, u64::MAX] {
            let mut input = vec![EIGHT_BYTES_FOLLOW];
            input.extend(u64::to_le_bytes(length));
            // A few bytes that decode as elements, so that only the length can end the decoding.
            input.extend([0; 8]);
            decode_within_bounds::<T>(&input).unwrap_err();
        }
    }
    check::<String>();
    check::<Bytes>();
    check::<Box<str>>();
    check::<Vec<u8>>();
    check::<Vec<u64>>();
    check::<Vec<[u64; 8]>>();
    check::<Vec<String>>();
    check::<VecDeque<Bytes>>();
    check::<BTreeMap<u64, Vec<Bytes>>>();
    check::<HashMap<u64, [u64; 4]>>();
    check::<Vec<Vec<Vec<Bytes>>>>();
}

#[test]
fn the_number_of_empty_elements_is_limited() {
    let most = vec![(); MAX_EMPTY_ELEMENTS];
    assert_eq!(decode_within_bounds::<Vec<()>>(&encode(&most)).unwrap(), most);

    let more = vec![(); MAX_EMPTY_ELEMENTS + 1];
    decode_within_bounds::<Vec<()>>(&encode(&more)).unwrap_err();
    decode_within_bounds::<Vec<()>>(&encode(&(u64::MAX / 2))).unwrap_err();

    // The limit covers the value as a whole: five sequences of a quarter each.
    let nested = vec![vec![(); MAX_EMPTY_ELEMENTS / 4]; 5];
    let error = decode_within_bounds::<Vec<Vec<()>>>(&encode(&nested)).unwrap_err();
    assert!(
        error.to_string().contains("take no bytes") || error.to_string().contains("length of a sequence"),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Node(Option<Box<Node>>);

    fn chain(nodes: usize) -> Node {
        (1..nodes).fold(Node(None), |rest, _| Node(Some(Box::new(rest))))
    }

    decode_within_bounds::<Node>(&encode(&chain(MAX_DEPTH / 2))).unwrap();
    let error = decode_within_bounds::<Node>(&[1; 1 << 20]).unwrap_err();
    assert!(error.to_string().contains("nested more than 128 deep"), "{error}");
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any::<i64>().prop_map(Command::Int),
        ".{0,20}".prop_map(Command::Str),
        Just(Command::Nothing),
        any::<(u8, u16, char)>().prop_map(|(from, row, column)| Command::Move { from, to: (row, column) }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<u64>(), command(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(term, command, data)| Entry {
        term,
        command,
        data: data.into(),
    })
}

type AnyValue = (Vec<Entry>, BTreeMap<u128, Option<String>>, HashMap<i64, bool>, Option<Box<(i128, f32)>>);

fn any_value() -> impl Strategy<Value = AnyValue> {
    let words = prop::collection::btree_map(any::<u128>(), prop::option::of(".{0,8}"), 0..6);
    let flags = prop::collection::hash_map(any::<i64>(), any::<bool>(), 0..6);
    let numbers = prop::option::of(any::<(i128, i16)>().prop_map(|(a, b)| Box::new((a, f32::from(b)))));
    (prop::collection::vec(entry(), 0..6), words, flags, numbers)
}

proptest! {
    #[test]
    fn any_value_comes_back(value in any_value()) {
        prop_assert_eq!(decode_within_bounds::<AnyValue>(&encode(&value)).unwrap(), value);
    }

    #[test]
    fn decoding_any_damage_stays_within_bounds(value in any_value(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = encode(&value).to_vec();
        *at.get_mut(&mut bytes) = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = decode_within_bounds::<AnyValue>(&bytes);
    }

    #[test]
    fn decoding_any_bytes_stays_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode_within_bounds::<Message>(&bytes);
        let _ = decode_within_bounds::<AnyValue>(&bytes);
    }
}

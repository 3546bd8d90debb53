//! Encoding and decoding of every message and every saved state.
//!
//! This is the lab's `labgob` in Rust: a thin, checked wrapper over one codec, so that what a server sends or saves
//! shares no memory with what another server receives or reads back. It is the only room that names the codec crate
//! (`bincode` 2, through serde), so that another codec is a change to this room alone.
//!
//! One value is [`encode`]d and [`decode`]d; several values in a row, as the lab's `persist` writes them, go through an
//! [`Encoder`] and come back through a [`Decoder`]:
//!
//! ```
//! let mut encoder = labgob::Encoder::new();
//! encoder.put(&7u64).put("vote for S1");
//! let bytes = encoder.finish();
//!
//! let mut decoder = labgob::Decoder::new(&bytes);
//! let term: u64 = decoder.take()?;
//! let note: String = decoder.take()?;
//! decoder.finish()?;
//! assert_eq!((term, note.as_str()), (7, "vote for S1"));
//! # Ok::<(), labgob::DecodeError>(())
//! ```
//!
//! # The format
//!
//! Integers above one byte, lengths and the numbers of enum variants are varints (one byte up to 250); signed integers
//! are zigzagged first; floats, `u8`, `i8` and `bool` have their fixed size; an `Option` is one byte and the value; a
//! `struct` is its fields in order; strings, byte strings, sequences and maps are a length and their elements. Nothing
//! describes the types: the reader must ask for what the writer put. Serde attributes that need a self-describing format
//! (`flatten`, `untagged`, `tag`, `skip_serializing_if`) therefore cannot be used; `default` has no effect.
//!
//! Payloads belong in [`bytes::Bytes`], which is copied as one block. A plain `Vec<u8>` is, to serde, a sequence of
//! integers, and ten times slower.
//!
//! # What a damaged input can do
//!
//! It can make [`decode`] return an error, or (where the damage leaves a well-formed encoding) a different value. It
//! cannot make it panic, overflow the stack, run for long, or ask for memory that the input does not back: a string
//! or byte string is allocated only after its bytes have been found, and a collection grows only as its elements are
//! decoded (by doubling; an element may be larger in memory than it was encoded). [`MAX_LEN`], [`MAX_DEPTH`] and
//! [`MAX_EMPTY_ELEMENTS`] are the limits.

mod decoder;
mod deserializer;
mod encoder;
mod error;
mod input;
mod serializer;
mod shared;

pub use decoder::{Decoder, decode};
pub use encoder::{Encoder, encode, encode_into, encode_then};
pub use error::DecodeError;
pub use shared::{deserialize_shared, shared};

/// The longest encoding, in bytes, that is written or read: 64 MiB.
pub const MAX_LEN: usize = 64 << 20;

/// How deep the parts of a value may be nested in each other (a list that is linked through `Option<Box<_>>` is two
/// levels an element). Deeper values can be encoded but not decoded, because decoding them needs a stack as deep.
pub const MAX_DEPTH: usize = 128;

/// How many elements of sequences and maps may be encoded as no bytes at all (`()`, or a struct without fields) in one
/// value. Without it, a length of a few bytes could ask for any number of them.
pub const MAX_EMPTY_ELEMENTS: usize = 1024;

/// The codec's settings: varints, little endian. The codec's own limit is off because it counts an integer by its size
/// in memory, not by the bytes that were read; [`MAX_LEN`] is checked here instead, on the input itself.
type Format = bincode::config::Configuration;

/// See [`Format`].
const FORMAT: Format = bincode::config::standard();

/// The largest integer without a sign that is its own encoding, of one byte; the bytes above say how long the integer is that
/// follows.
const ONE_BYTE_MAX: u8 = 250;

//! Encoding and decoding of every message and every saved state.
//!
//! This is the lab's `labgob` in Rust: a thin, checked wrapper over one codec. Messages and saved state are really
//! encoded, so servers share no memory with each other or with their saved state. This is the only crate that names the
//! codec crate (`bincode` 2, through serde), so another codec would be a change to this crate alone.
//!
//! [`encode`] and [`decode`] handle one value. An [`Encoder`] writes several values in a row, as the lab's `persist`
//! does, and a [`Decoder`] reads them back:
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
//! Integers above one byte, lengths and the numbers of enum variants are varints (one byte up to 250). Signed integers
//! are zigzagged first. Floats, `u8`, `i8` and `bool` have their fixed size. An `Option` is one byte and the value. A
//! `struct` is its fields in order. Strings, byte strings, sequences and maps are a length and their elements. The
//! bytes do not describe the types: the reader must ask for the types that the writer put. Serde attributes that need a
//! self-describing format (`flatten`, `untagged`, `tag`, `skip_serializing_if`) therefore cannot be used; `default` has
//! no effect.
//!
//! Payloads belong in [`bytes::Bytes`], which is copied as one block. A plain `Vec<u8>` is, to serde, a sequence of
//! integers, and ten times slower.
//!
//! # What a damaged input can do
//!
//! It can make [`decode`] return an error, or (where the damage leaves a well-formed encoding) a different value. It
//! cannot make [`decode`] panic, overflow the stack, run for long, or allocate more memory than the input backs. A
//! string or byte string is allocated only after its bytes have been found. A collection grows only as its elements are
//! decoded (by doubling; an element may be larger in memory than it was encoded). [`MAX_LEN`], [`MAX_DEPTH`] and
//! [`MAX_EMPTY_ELEMENTS`] are the limits.

mod decoder;
mod deserializer;
mod encoder;
mod error;
mod input;
mod serializer;
mod shared_bytes;

pub use decoder::{Decoder, decode};
pub use encoder::{Encoder, encode, encode_into, with_encoded};
pub use error::DecodeError;
pub use shared_bytes::{deserialize_shared_bytes, shared_bytes};

/// The longest encoding that is written or read, in bytes: 64 MiB.
pub const MAX_LEN: usize = 64 << 20;

/// The deepest nesting of the parts of a value. A list that is linked through `Option<Box<_>>` takes two levels per
/// element. Deeper values can be encoded but not decoded, because decoding them needs a stack as deep.
pub const MAX_DEPTH: usize = 128;

/// The number of elements of sequences and maps in one value that may be encoded as no bytes at all (`()`, or a struct
/// without fields). Without this limit, a length of a few bytes could ask for any number of them.
pub const MAX_EMPTY_ELEMENTS: usize = 1024;

/// The codec's settings: varints, little endian. The codec's own limit is off because it counts an integer by its size
/// in memory, not by the bytes that were read. The input itself is checked against [`MAX_LEN`] instead.
type Format = bincode::config::Configuration;

/// The value of [`Format`].
const FORMAT: Format = bincode::config::standard();

/// The largest unsigned integer that is encoded as itself, in one byte. The larger bytes give the length of the integer
/// that follows.
const ONE_BYTE_MAX: u8 = 250;

//! Randomness by name. Each component draws from a stream of its own, derived from the run's seed and the component's
//! name, so that one more draw in one component changes no other stream.

use std::hash::{BuildHasher, Hasher, RandomState};

use rand::SeedableRng;

pub use rand::seq::{IndexedRandom, SliceRandom};
pub use rand::{Rng, RngExt};

use crate::current_thread::current_run;
use crate::group::Group;

/// The generator of one component. Its values are the same on every machine and in every version.
pub type Stream = rand_chacha::ChaCha8Rng;

/// Returns the stream of `name` in the calling thread's run, from its beginning.
///
/// Two calls with the same name return the same numbers. A component that is created again, such as a restarted server,
/// should add its incarnation to the name, as in `"ticker/3#2"`. Outside of any run the seed is 0.
pub fn stream(name: &str) -> Stream {
    let mut stream = Stream::seed_from_u64(seed());
    stream.set_stream(fnv1a(name.as_bytes()));
    stream
}

/// Returns the stream of `name` within the calling thread's group: the group's name becomes part of the stream's name.
/// If groups are named by server and incarnation, each incarnation therefore draws numbers of its own.
pub fn local(name: &str) -> Stream {
    let group = Group::current();
    stream(&format!("{}/{name}", group.as_ref().map_or("", Group::name)))
}

/// Returns the seed of the calling thread's run; 0 outside of any run.
pub fn seed() -> u64 {
    current_run().seed
}

/// Returns a seed from the OS, for a run that need not be repeated. It fits into 32 bits, so that people can type it.
pub fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}

/// Hashes a stream's name to its number (Fowler, Noll and Vo). A seed means the same run only as long as this hash
/// stays the same.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

//! The tables of the store, and the encodings of the single facts in it.
//!
//! | table | key | value |
//! |---|---|---|
//! | `state` | a name from below | a fact |
//! | `log` | index | term, command |
//! | `data` | [`VALUE`], key, number of the piece | a piece of the key's value |
//! | `data` | [`CLIENT`], client, 0 | its last sequence number |
//! | `incoming` | as `data` | a snapshot that is being installed; not used yet |
//! | `outgoing` | as `data` | the state that an installed snapshot has replaced; being deleted |

use raft::core::HardState;
use raftapi::{Index, ServerId, Term};
use redb::{ReadableTable, TableDefinition};

/// The table of single facts.
pub(super) const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
/// The entries of the Raft log. Entries up to the base wait for deletion.
pub(super) const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// The current state machine.
pub(super) const DATA: MachineTable = TableDefinition::new("data");
/// An incomplete state machine, of a snapshot that is being installed.
pub(super) const INCOMING: MachineTable = TableDefinition::new("incoming");
/// The old state machine, which an installed snapshot has replaced.
pub(super) const OUTGOING: MachineTable = TableDefinition::new("outgoing");

/// The type of the definition of a table that holds a state machine.
pub(super) type MachineTable = TableDefinition<'static, MachineKey, &'static [u8]>;
/// The type of its keys: the kind of record, the key or the client, and the number of the piece.
pub(super) type MachineKey = (u8, &'static [u8], u32);

/// The kind of a record of the duplicate table.
pub(super) const CLIENT: u8 = 1;
/// The kind of a piece of a value.
pub(super) const VALUE: u8 = 2;

/// The owner of the store: the lines of the identity.
pub(super) const IDENTITY: &str = "identity";
/// The number of the last durable commit.
pub(super) const COMMIT: &str = "commit";
/// The term and the vote.
pub(super) const HARD_STATE: &str = "hard state";
/// The base of the log: the index and term after which it begins.
pub(super) const BASE: &str = "base";
/// The last applied index and term of `data`, and the size of `data`.
pub(super) const APPLIED: &str = "applied";

/// The membership of the directory (`membership.rs`).
pub(super) const MEMBERSHIP: &str = "membership";
/// The number of durable commits that each other server is known to have made.
pub(super) const PEER_SAVES: &str = "peer saves";

/// A position in the log: index and term.
pub(super) type LogPosition = (Index, Term);

/// Encodes numbers one after the other, little endian.
pub(super) fn encode<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Returns the numbers of a fact: zeros if it was never written, and `None` if its length is wrong.
pub(super) fn decode<const N: usize>(
    state: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<[u64; N]>, redb::StorageError> {
    let Some(fact) = state.get(name)? else { return Ok(Some([0; N])) };
    let (words, rest) = fact.value().as_chunks::<8>();
    let words: Option<[[u8; 8]; N]> = words.try_into().ok().filter(|_| rest.is_empty());
    Ok(words.map(|words| words.map(u64::from_le_bytes)))
}

/// Encodes the term and the vote. A vote of 0 means no vote; otherwise it is the server's id plus one.
pub(super) fn encode_hard_state(hard_state: HardState) -> Vec<u8> {
    encode([hard_state.term.0, hard_state.voted_for.map_or(0, |server| server.0 as u64 + 1)])
}

/// Decodes the numbers of [`encode_hard_state`].
pub(super) fn decode_hard_state([term, vote]: [u64; 2]) -> HardState {
    HardState { term: Term(term), voted_for: vote.checked_sub(1).map(|server| ServerId(server as usize)) }
}

/// Encodes an entry of the log.
pub(super) fn encode_entry(term: Term, command: &[u8]) -> Vec<u8> {
    [&term.0.to_le_bytes(), command].concat()
}

/// Decodes an entry of the log; `None` if it is too short for a term.
pub(super) fn decode_entry(bytes: &[u8]) -> Option<(Term, &[u8])> {
    let (term, command) = bytes.split_first_chunk()?;
    Some((Term(u64::from_le_bytes(*term)), command))
}

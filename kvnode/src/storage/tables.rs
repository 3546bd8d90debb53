//! The tables of the store, and how its few single facts are written.
//!
//! | table | key | value |
//! |---|---|---|
//! | `state` | a name from below | a fact |
//! | `log` | index | term, command |
//! | `data` | [`VALUE`], key, number of the piece | a piece of the key's value |
//! | `data` | [`CLIENT`], client, 0 | its last sequence number |
//! | `incoming` | as `data` | a snapshot that is being installed; of no meaning |
//! | `outgoing` | as `data` | what an installed snapshot has replaced; being deleted |

use raft::core::HardState;
use raftapi::{Index, ServerId, Term};
use redb::{ReadableTable, TableDefinition};

/// Single facts.
pub(super) const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
/// The entries of the Raft log. Those up to the base are waiting to be deleted.
pub(super) const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// The state machine.
pub(super) const DATA: Machine = TableDefinition::new("data");
/// A state machine that is not yet complete.
pub(super) const INCOMING: Machine = TableDefinition::new("incoming");
/// A state machine that has been replaced.
pub(super) const OUTGOING: Machine = TableDefinition::new("outgoing");

/// The type of a table that holds a state machine.
pub(super) type Machine = TableDefinition<'static, MachineKey, &'static [u8]>;
/// The type of its keys: what it is about, of whom, which piece.
pub(super) type MachineKey = (u8, &'static [u8], u32);

/// An entry of the duplicate table.
pub(super) const CLIENT: u8 = 1;
/// A piece of a value.
pub(super) const VALUE: u8 = 2;

/// Whose store it is: the lines of the identity.
pub(super) const IDENTITY: &str = "identity";
/// The number of the last durable commit.
pub(super) const COMMIT: &str = "commit";
/// The term and the vote.
pub(super) const HARD_STATE: &str = "hard state";
/// What the log begins after.
pub(super) const BASE: &str = "base";
/// What `data` is the state after.
pub(super) const APPLIED: &str = "applied";

/// A place in the log: index and term.
pub(super) type Place = (Index, Term);

/// Numbers, one behind the other.
pub(super) fn encode<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of a fact; zeros if it was never written, `None` if it has another length.
pub(super) fn decode<const N: usize>(
    state: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<[u64; N]>, redb::StorageError> {
    let Some(fact) = state.get(name)? else { return Ok(Some([0; N])) };
    let (words, rest) = fact.value().as_chunks::<8>();
    let words: Option<[[u8; 8]; N]> = words.try_into().ok().filter(|_| rest.is_empty());
    Ok(words.map(|words| words.map(u64::from_le_bytes)))
}

/// The term and the vote; 0 says that there is no vote.
pub(super) fn encode_hard_state(hard_state: HardState) -> Vec<u8> {
    encode([hard_state.term.0, hard_state.voted_for.map_or(0, |server| server.0 as u64 + 1)])
}

/// See [`encode_hard_state`].
pub(super) fn decode_hard_state([term, vote]: [u64; 2]) -> HardState {
    HardState { term: Term(term), voted_for: vote.checked_sub(1).map(|server| ServerId(server as usize)) }
}

/// An entry of the log.
pub(super) fn encode_entry(term: Term, command: &[u8]) -> Vec<u8> {
    [&term.0.to_le_bytes(), command].concat()
}

/// See [`encode_entry`].
pub(super) fn decode_entry(bytes: &[u8]) -> Option<(Term, &[u8])> {
    let (term, command) = bytes.split_first_chunk()?;
    Some((Term(u64::from_le_bytes(*term)), command))
}

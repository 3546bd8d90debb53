//! What one persist costs, at three lengths of the log: `cargo bench -p raft --bench persist`. The lines should be the
//! same but for noise, for a persist costs the size of the change.
//!
//! A sample is a hundred proposals by a leader, each saved by itself, as `start` does. The time of one is in the second
//! line: its inverse is the throughput in items.

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use labstd::sync::Arc;
use raft::core::{Core, Entry, Log, NewSnapshot, Persist, RequestVoteReply, Saved};
use raft::storage::Storage;
use raftapi::{Persister, ServerId, Term};

const PROPOSALS: usize = 100;
const COMMAND: Bytes = Bytes::from_static(b"0123456789");

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 1_000, 100_000], sample_count = 100, sample_size = 1)]
fn persist_an_entry(bencher: Bencher<'_, '_>, log_length: usize) {
    bencher
        .with_inputs(|| leader_of(log_length))
        .input_counter(|_| ItemsCount::new(PROPOSALS))
        .bench_local_refs(|(core, storage)| (0..PROPOSALS).for_each(|_| propose(core, storage)));
}

/// A leader with a log of this length, and everything of it saved.
fn leader_of(log_length: usize) -> (Core, Storage) {
    let log = Log::new(vec![Entry { term: Term(0), command: COMMAND }; log_length]);
    let mut core = Core::restore(ServerId(0), 3, Saved { log, ..Saved::default() });
    let (mut storage, _) = Storage::open(Arc::new(Persister::new())).expect("nothing is no damage");
    storage.save(&Persist { snapshot: Some(NewSnapshot::Taken), ..Persist::default() }, &core);

    let elected = core.election_timeout();
    storage.save(&elected.persist, &core);
    let reply = RequestVoteReply { term: Term(1), vote_granted: true };
    let _ = core.handle_request_vote_reply(ServerId(1), Term(1), reply);
    // The log and the saved state have just been made as long as they are. Their vectors double with the first entry
    // more, which is paid for by all that follow and belongs to none.
    propose(&mut core, &mut storage);
    (core, storage)
}

fn propose(core: &mut Core, storage: &mut Storage) {
    let (_, effects) = core.propose(COMMAND).expect("a leader takes commands");
    storage.save(&effects.persist, core);
}

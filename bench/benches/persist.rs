//! The cost of one persist at three lengths of the log: `cargo bench --manifest-path bench/Cargo.toml --bench persist`.
//! Apart from noise the three results should be equal, because a persist costs in proportion to the change and not to
//! the log.
//!
//! A sample is a hundred proposals by a leader, each saved by itself, as `start` does. The second line of the output is
//! the throughput in proposals per second; its inverse is the time of one.

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

/// Creates a leader with a log of this length, all of it saved.
fn leader_of(log_length: usize) -> (Core, Storage) {
    let log = Log::new(vec![Entry { term: Term(0), command: COMMAND }; log_length]);
    let mut core = Core::restore(ServerId(0), 3, Saved { log, ..Saved::default() });
    let (mut storage, _) = Storage::open(Arc::new(Persister::new())).expect("an empty state is undamaged");
    storage.save(&Persist { snapshot: Some(NewSnapshot::Taken), ..Persist::default() }, &core);

    let elected = core.election_timeout();
    storage.save(&elected.persist, &core);
    let reply = RequestVoteReply { term: Term(1), vote_granted: true };
    let _ = core.handle_request_vote_reply(ServerId(1), Term(1), reply);
    // The vectors of the log and of the saved state are now exactly full. They double at the next entry, so append one
    // entry here; otherwise the first measured proposal would pay for all that follow.
    propose(&mut core, &mut storage);
    (core, storage)
}

fn propose(core: &mut Core, storage: &mut Storage) {
    let (_, effects) = core.propose(COMMAND).expect("a leader accepts commands");
    storage.save(&effects.persist, core);
}

//! The saved form of a Raft server's state. The tests check that a saved state is read back unchanged, that a damaged
//! state is refused with its position, and that the size stays in proportion. The states are those of a core that
//! random events drive.

mod cores;

use bytes::Bytes;
use cores::Server;
use labstd::sync::Arc;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, InstallSnapshotArgs, RequestVoteArgs,
    RequestVoteReply, Saved,
};
use raft::storage::Storage;
use raftapi::{Index, Persister, ServerId, Term};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ME: ServerId = ServerId(0);
const PEER: ServerId = ServerId(1);

#[test]
fn the_saved_state_is_read_back_unchanged() {
    for seed in 0..300 {
        let (mut server, mut rng) = (leader(), ChaCha8Rng::seed_from_u64(seed));
        for _ in 0..200 {
            server.random_event(&mut rng);
            assert_eq!(server.saved(), server.state(), "seed {seed}: the state that was saved last");
            if rng.random_bool(0.05) {
                server.restart();
            }
        }
    }
}

#[test]
fn an_empty_persister_yields_the_default_state() {
    let (_, saved) = Storage::open(Arc::new(Persister::new())).expect("an empty state is undamaged");
    assert_eq!(saved, Saved::default());
}

#[test]
fn an_empty_change_writes_nothing() {
    let mut server = leader();
    server.propose("a");
    assert_eq!(server.save(&Effects::default()), 0);
}

/// Damage never yields another state silently.
#[test]
fn every_flipped_bit_is_detected() {
    for seed in 0..20 {
        let server = after_events(seed, 40);
        let state = server.persister.read_raft_state();
        for bit in 0..8 * state.len() {
            let mut damaged = state.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let refusal = refusal_of(damaged, server.persister.read_snapshot(), &format!("seed {seed}, bit {bit}"));
            assert!(refusal.contains("damaged at record "), "the position is named: {refusal}");
        }
    }
}

#[test]
fn every_truncated_state_is_refused() {
    for seed in 0..20 {
        let mut server = after_events(seed, 40);
        server.snapshot_of_all_that_is_applied();
        server.propose("one more");
        let state = server.persister.read_raft_state();
        for length in 0..state.len() {
            let cut = state[..length].to_vec();
            let refusal = refusal_of(cut, server.persister.read_snapshot(), &format!("seed {seed}, length {length}"));
            assert!(refusal.contains("damaged at record "), "the position is named: {refusal}");
        }
    }
}

#[test]
fn a_state_with_trailing_bytes_is_refused() {
    let server = after_events(3, 40);
    let mut state = server.persister.read_raft_state();
    let length = state.len();
    state.push(0);
    let refusal = refusal_of(state, server.persister.read_snapshot(), "one byte more");
    assert!(refusal.ends_with("expected nothing after the end mark, found 1 more bytes"), "{refusal}");
    assert!(refusal.contains(&format!("byte {}:", length - 1)), "{refusal}");
}

#[test]
fn a_refusal_is_one_sentence_with_the_position() {
    let mut server = leader();
    server.propose("a command");
    server.propose("a second command");
    let mut state = server.persister.read_raft_state();
    let length = state.len();
    state[length - 2] ^= 0x10;
    let refusal = refusal_of(state.clone(), Bytes::new(), "a flipped bit in the last record");
    assert_eq!(
        refusal,
        "the saved state is damaged at record 3, byte 27: expected bytes that match the saved checksum, found other bytes"
    );
    state.truncate(length - 10);
    let refusal = refusal_of(state, Bytes::new(), "a missing end");
    assert_eq!(
        refusal,
        "the saved state is damaged at record 3, byte 27: expected a record of 25 bytes, found 16 bytes"
    );
}

/// The lab's bound for part 3D is 2,000 bytes (MAXLOGSIZE), with a snapshot every ten entries.
#[test]
fn the_largest_state_of_part_3d_stays_below_1500_bytes() {
    let mut server = leader();
    let mut largest = 0;
    for index in 1..=100 {
        server.propose(&format!("{:010}", index));
        largest = largest.max(server.persister.raft_state_size());
        // The service is thirty entries behind.
        if index % 10 == 0 && index > 30 {
            server.snapshot_up_to(Index(index - 30));
        }
    }
    for _ in 0..100 {
        let effects = server.core.handle_request_vote(vote_request(server.core.current_term().next(), 0)).1;
        server.save(&effects);
        largest = largest.max(server.persister.raft_state_size());
    }
    assert!(largest < 1_500, "the state took {largest} bytes");
}

/// The cost of a persist is the size of the change, not of the log.
#[test]
fn one_entry_costs_the_same_at_every_log_length() {
    let cost_at = |length: usize| {
        let mut server = leader();
        // Begin above index 250: an index takes one byte up to 250, and three bytes from 251 on.
        (0..300 + length).for_each(|_| server.propose("0123456789"));
        server.propose_and_count("0123456789")
    };
    assert_eq!((cost_at(10), cost_at(1_000), cost_at(10_000)), (22, 22, 22), "bytes written, the end mark included");
}

#[test]
fn the_state_never_exceeds_twice_the_live_bytes() {
    let mut server = leader();
    let term = server.core.current_term().next();
    let entries = vec![Entry { term, command: Bytes::from("0123456789") }; 50];
    let effects = server.core.handle_append_entries(append(&server.core, term, Index(0), entries)).1;
    server.save(&effects);
    let needed = server.persister.raft_state_size();
    for round in 0..1_000 {
        // Another leader replaces the last ten entries, again and again.
        let term = server.core.current_term().next();
        let entries = vec![Entry { term, command: Bytes::from("9876543210") }; 10];
        let effects = server.core.handle_append_entries(append(&server.core, term, Index(41), entries)).1;
        server.save(&effects);
        let size = server.persister.raft_state_size();
        assert!(size <= 2 * needed + 256, "round {round}: {size} bytes, of which about {needed} are needed");
    }
}

/// Every save keeps the snapshot, even one that only removes garbage.
#[test]
fn a_rewrite_keeps_the_snapshot() {
    let mut server = leader();
    server.propose("a");
    server.snapshot_of_all_that_is_applied();
    for _ in 0..1_000 {
        let term = server.core.current_term().next();
        let effects = server.core.handle_append_entries(append(&server.core, term, Index(1), vec![])).1;
        server.save(&effects);
        server.lead();
        server.propose("b");
    }
    assert_eq!(server.persister.read_snapshot(), "the service up to 1");
}

/// Creates the leader of term 1 of three servers.
fn leader() -> Server {
    let mut server = Server::start(ME, 3, Persister::new());
    server.lead();
    server
}

fn after_events(seed: u64, events: usize) -> Server {
    let (mut server, mut rng) = (leader(), ChaCha8Rng::seed_from_u64(seed));
    (0..events).for_each(|_| server.random_event(&mut rng));
    server
}

/// Events that make the server a leader or a follower, and change its saved state.
impl Server {
    fn random_event(&mut self, rng: &mut ChaCha8Rng) {
        match rng.random_range(0..10) {
            0 => {
                let effects = self.core.election_timeout();
                self.save(&effects);
            }
            1 => {
                let term = Term(self.core.current_term().0 + rng.random_range(0..3));
                let effects = self.core.handle_request_vote(vote_request(term, 1_000)).1;
                self.save(&effects);
            }
            2 => self.lead(),
            3..6 => self.propose("0123456789"),
            6..8 => self.random_append(rng),
            8 => {
                let _ = self.core.take_committed();
                let applied = self.core.last_applied();
                let index = Index(rng.random_range(0..=applied.0));
                let effects = self.core.snapshot_taken(index, Bytes::from(format!("the service up to {index}")));
                self.save(&effects);
            }
            _ => self.random_install(rng),
        }
    }

    /// Delivers entries of a later leader that match or conflict somewhere after the commit index.
    fn random_append(&mut self, rng: &mut ChaCha8Rng) {
        let term = self.core.current_term().next();
        let prev = Index(rng.random_range(self.core.commit_index().0..=self.core.log().last_index().0));
        let mut args = append(&self.core, term, prev, vec![]);
        for _ in 0..rng.random_range(0..5) {
            let before = args.entries.last().map_or(args.prev_log_term, |entry| entry.term);
            let term = Term(rng.random_range(before.0..=term.0));
            args.entries.push(Entry { term, command: Bytes::from(format!("sent in {term}")) });
        }
        args.leader_commit = Index(rng.random_range(0..=args.last_index().0));
        let effects = self.core.handle_append_entries(args).1;
        self.save(&effects);
    }

    /// Delivers a snapshot of a later leader that ends after the commit index, within the log or beyond it.
    fn random_install(&mut self, rng: &mut ChaCha8Rng) {
        let term = self.core.current_term().next();
        let last_included_index = Index(self.core.commit_index().0 + rng.random_range(0..4));
        let least = self.core.log().term(self.core.commit_index()).expect("a committed entry is in the log");
        let last_included_term = Term(rng.random_range(least.0..=term.0));
        let data = Bytes::from(format!("the service up to {last_included_index}"));
        let args = InstallSnapshotArgs { term, leader_id: PEER, last_included_index, last_included_term, data };
        let effects = self.core.handle_install_snapshot(args).1;
        self.save(&effects);
    }

    fn lead(&mut self) {
        if !self.core.is_leader() {
            let effects = self.core.election_timeout();
            self.save(&effects);
            let term = self.core.current_term();
            let effects =
                self.core.handle_request_vote_reply(PEER, term, RequestVoteReply { term, vote_granted: true });
            self.save(&effects);
        }
    }

    fn propose(&mut self, command: &str) {
        self.propose_and_count(command);
    }

    /// Proposes a command and returns the number of bytes written. The peer replies at once, so a leader commits what
    /// it accepts.
    fn propose_and_count(&mut self, command: &str) -> usize {
        let Some((_, effects)) = self.core.propose(Bytes::from(command.to_string())) else { return 0 };
        let written = self.save(&effects);
        if let Some((args, sent)) = self.core.append_entries(PEER) {
            let reply =
                AppendEntriesReply { term: args.term, success: true, conflict_term: None, conflict_index: Index::ZERO };
            let effects = self.core.handle_append_entries_reply(PEER, &sent, reply);
            self.save(&effects);
        }
        written
    }

    fn snapshot_of_all_that_is_applied(&mut self) {
        let _ = self.core.take_committed();
        self.snapshot_up_to(self.core.last_applied());
    }

    fn snapshot_up_to(&mut self, index: Index) {
        let _ = self.core.take_committed();
        let effects = self.core.snapshot_taken(index, Bytes::from(format!("the service up to {index}")));
        self.save(&effects);
    }
}

fn refusal_of(state: Vec<u8>, snapshot: Bytes, what: &str) -> String {
    let persister = Persister::new();
    persister.save(state, snapshot);
    match Storage::open(Arc::new(persister)) {
        Ok((_, saved)) => panic!("{what}: accepted as {saved:?}"),
        Err(damaged) => damaged.to_string(),
    }
}

fn vote_request(term: Term, last_log_index: u64) -> RequestVoteArgs {
    let (last_log_index, last_log_term) = (Index(last_log_index), term);
    RequestVoteArgs { term, candidate_id: PEER, last_log_index, last_log_term }
}

fn append(core: &Core, term: Term, prev_log_index: Index, entries: Vec<Entry>) -> AppendEntriesArgs {
    let prev_log_term = core.log().term(prev_log_index).expect("the log has it");
    AppendEntriesArgs { term, leader_id: PEER, prev_log_index, prev_log_term, entries, leader_commit: Index::ZERO }
}

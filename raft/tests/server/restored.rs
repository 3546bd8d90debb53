//! A whole server, threads included, with the state that an earlier incarnation saved. The tests check its state after
//! a start and the order of its deliveries. They play the leader and send it messages.

use bytes::Bytes;
use labrpc::ClientEnd;
use labstd::channel::{Receiver, TryRecvError};
use labstd::sync::{Arc, Mutex, OnceLock, Weak};
use labstd::thread;
use labstd::time::Duration;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Entry, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs,
    RequestVoteReply,
};
use raftapi::{ApplyMsg, Consumer, Index, Persister, Raft as _, RaftExt as _, Role, ServerId, StateChange, Term};

use crate::servers::Servers;

const LEADER: ServerId = ServerId(1);

/// The only running server of a cluster, with the test's access to it.
struct Subject {
    servers: Servers<raft::Raft>,
    raft: Arc<raft::Raft>,
    deliveries: Receiver<ApplyMsg>,
    end: ClientEnd,
}

impl Subject {
    /// Starts server 0 of `count`. No other server runs.
    fn start(count: usize) -> Subject {
        Subject::start_in(Servers::new(count))
    }

    fn start_in(servers: Servers<raft::Raft>) -> Subject {
        let deliveries = servers.start_raft(0);
        Subject { raft: servers.server(0), deliveries, end: servers.end(0), servers }
    }

    /// Crashes the server and starts it with its saved state.
    fn restart(self) -> Subject {
        self.servers.crash(0);
        Subject::start_in(self.servers)
    }

    fn persister(&self) -> Arc<Persister> {
        self.servers.persister(0)
    }

    fn append(&self, prev_log_index: u64, commands: &[&'static str], leader_commit: u64) {
        let entries = commands.iter().map(|command| Entry { term: Term(1), command: Bytes::from(*command) }).collect();
        let args = AppendEntriesArgs {
            term: Term(1),
            leader_id: LEADER,
            prev_log_index: Index(prev_log_index),
            prev_log_term: if prev_log_index == 0 { Term(0) } else { Term(1) },
            entries,
            leader_commit: Index(leader_commit),
        };
        let reply: AppendEntriesReply = self.end.call("Raft.AppendEntries", &args).expect("the network is reliable");
        assert!(reply.success, "the entries match");
    }

    fn install(&self, last_included_index: u64) {
        let args = InstallSnapshotArgs {
            term: Term(1),
            leader_id: LEADER,
            last_included_index: Index(last_included_index),
            last_included_term: Term(1),
            data: Bytes::from(format!("up to {last_included_index}")),
        };
        let reply: InstallSnapshotReply =
            self.end.call("Raft.InstallSnapshot", &args).expect("the network is reliable");
        assert_eq!(reply.term, Term(1));
    }

    /// Returns the deliveries as text, until no more arrive.
    fn delivered(&self) -> Vec<String> {
        let mut delivered = Vec::new();
        while let Ok(message) = self.deliveries.recv_timeout(Duration::from_millis(50)) {
            delivered.push(match message {
                ApplyMsg::Command { index, .. } => index.to_string(),
                ApplyMsg::Snapshot { index, .. } => format!("snapshot {index}"),
            });
        }
        delivered
    }
}

#[test]
fn a_restarted_server_keeps_its_term_vote_and_log() {
    labstd::simulate(1, || {
        let first = Subject::start(3);
        first.append(0, &["a", "b"], 0);
        let vote = |candidate_id| RequestVoteArgs {
            term: Term(5),
            candidate_id,
            last_log_index: Index(9),
            last_log_term: Term(4),
        };
        let reply: RequestVoteReply = first.end.call("Raft.RequestVote", &vote(LEADER)).expect("a reliable network");
        assert!(reply.vote_granted, "it has not voted in term 5");
        let saved = first.persister().read_raft_state();
        assert_eq!(first.raft.persist_bytes(), saved.len());

        let again = first.restart();
        assert_eq!(again.raft.get_state(), (Term(5), false), "it has its saved term");
        let reply: RequestVoteReply =
            again.end.call("Raft.RequestVote", &vote(ServerId(2))).expect("a reliable network");
        assert!(!reply.vote_granted, "it remembers its vote of term 5");
        assert_eq!(again.persister().read_raft_state(), saved, "a start saves nothing");
        again.raft.kill();
    });
}

#[test]
fn a_single_server_commits_its_saved_log_again() {
    labstd::simulate(1, || {
        let first = Subject::start(1);
        thread::sleep(Duration::from_secs(1));
        for command in ["a", "b", "c"] {
            first.raft.start(Bytes::from(command)).expect("the only server leads");
        }
        assert_eq!(first.delivered(), ["1", "2", "3"]);

        let again = first.restart();
        thread::sleep(Duration::from_secs(1));
        let started = again.raft.start(Bytes::from("d")).expect("the only server leads");
        assert_eq!((started.index, started.term), (Index(4), Term(2)), "after the saved entries, in a later term");
        assert_eq!(again.delivered(), ["1", "2", "3", "4"], "an entry of its term commits those before it (5.4.2)");
        again.raft.kill();
    });
}

#[test]
#[should_panic = "the saved state is damaged at record 1, byte 0: expected a record of 10 bytes, found 4 bytes"]
fn a_server_refuses_to_start_with_a_damaged_state() {
    let servers = Servers::<raft::Raft>::new(1);
    servers.persister(0).append(b"\x05abc");
    servers.start_raft(0);
}

#[test]
fn after_a_restart_delivery_continues_after_the_snapshot() {
    labstd::simulate(1, || {
        let first = Subject::start(3);
        first.append(0, &["a", "b", "c"], 3);
        assert_eq!(first.delivered(), ["1", "2", "3"]);
        first.raft.snapshot(Index(2), Bytes::from("a and b"));

        let again = first.restart();
        assert_eq!(again.persister().read_snapshot(), "a and b", "the service reads it itself");
        again.append(3, &["d"], 4);
        assert_eq!(again.delivered(), ["3", "4"], "it receives the entries after the snapshot");
        assert_eq!(again.persister().read_snapshot(), "a and b", "later saves keep it");
        again.raft.kill();
    });
}

/// The applier has copied a batch and delivers it slowly when a snapshot arrives that covers the batch and more.
#[test]
fn a_snapshot_during_a_delivery_is_delivered_in_log_order() {
    for seed in 0..100 {
        labstd::simulate(seed, move || {
            let subject = Subject::start(3);
            subject.append(0, &["a", "b", "c", "d", "e"], 5);
            // The applier is in the middle of the batch: two messages are taken, one is in the channel, one waits.
            let taken: Vec<ApplyMsg> = (0..2).map(|_| subject.deliveries.recv().expect("a delivery")).collect();
            assert!(matches!(taken[1], ApplyMsg::Command { index: Index(2), .. }), "seed {seed}: {taken:?}");

            subject.install(8);
            subject.append(8, &["i", "j"], 10);
            // The service makes a snapshot of its state, which the installed one has overtaken.
            subject.raft.snapshot(Index(2), Bytes::from("old"));
            assert_eq!(subject.delivered(), ["3", "4", "5", "snapshot 8", "9", "10"], "seed {seed}");
            subject.raft.kill();
        });
    }
}

/// A later snapshot overtakes an earlier one while nobody takes deliveries. Only the later one is delivered.
#[test]
fn an_overtaken_snapshot_is_not_delivered() {
    for seed in 0..100 {
        labstd::simulate(seed, move || {
            let subject = Subject::start(3);
            subject.append(0, &["a", "b", "c"], 3);
            thread::sleep(Duration::from_millis(10));
            subject.install(8);
            subject.install(6);
            subject.install(12);
            assert_eq!(subject.delivered(), ["1", "2", "3", "snapshot 12"], "seed {seed}");
            subject.raft.kill();
        });
    }
}

/// Requests the subject's vote as a candidate of `term`, so that a leader of an earlier term steps down.
fn ask_for_vote(subject: &Subject, term: u64) {
    let args =
        RequestVoteArgs { term: Term(term), candidate_id: LEADER, last_log_index: Index(0), last_log_term: Term(0) };
    let reply: RequestVoteReply = subject.end.call("Raft.RequestVote", &args).expect("the network is reliable");
    assert_eq!(reply.term, Term(term));
}

#[test]
fn subscribers_hear_of_leadership_changes_first() {
    labstd::simulate(1, || {
        let subject = Subject::start(1);
        let subscribe = || subject.raft.subscribe().expect("the reference has subscriptions");
        let (first, second) = (subscribe(), subscribe());
        assert_eq!(first.recv(), Ok(StateChange::BecameLeader { term: Term(1) }));
        assert_eq!(subject.raft.get_state(), (Term(1), true));
        ask_for_vote(&subject, 7);
        assert!(!subject.raft.get_state().1);
        assert_eq!(first.try_recv(), Ok(StateChange::SteppedDown { term: Term(7) }));
        let late = subscribe();
        assert_eq!(late.try_recv(), Err(TryRecvError::Empty), "it receives only later changes");

        drop(first);
        assert_eq!(
            late.recv(),
            Ok(StateChange::BecameLeader { term: Term(8) }),
            "a dropped receiver does not affect the others"
        );
        subject.raft.kill();
        let changes: Vec<StateChange> = second.iter().collect();
        let expected = [
            StateChange::BecameLeader { term: Term(1) },
            StateChange::SteppedDown { term: Term(7) },
            StateChange::BecameLeader { term: Term(8) },
        ];
        assert_eq!(changes, expected, "then the channel is closed, because the server was killed");
        assert_eq!(
            subscribe().try_recv(),
            Err(TryRecvError::Disconnected),
            "a channel of a killed server is closed at once"
        );
    });
}

#[test]
fn subscribers_hear_of_an_installed_snapshot() {
    labstd::simulate(1, || {
        let subject = Subject::start(3);
        let changes = subject.raft.subscribe().expect("the reference has subscriptions");
        subject.append(0, &["a"], 1);
        subject.install(8);
        subject.install(6);
        assert_eq!(changes.try_recv(), Ok(StateChange::SnapshotInstalled { index: Index(8), term: Term(1) }));
        assert_eq!(changes.try_recv(), Err(TryRecvError::Empty), "an older snapshot changes nothing");
        subject.raft.kill();
    });
}

#[test]
fn a_subscriber_that_never_reads_is_dropped() {
    labstd::simulate(1, || {
        let subject = Subject::start(1);
        let (reader, sleeper) = (subject.raft.subscribe().unwrap(), subject.raft.subscribe().unwrap());
        for _ in 0..100 {
            let Ok(StateChange::BecameLeader { term }) = reader.recv() else { panic!("the only server is elected") };
            ask_for_vote(&subject, term.0 + 1);
            assert_eq!(reader.recv(), Ok(StateChange::SteppedDown { term: term.next() }));
        }
        let left = sleeper.len();
        assert!(left < 100, "{left} changes are kept for a subscriber that does not read");
        assert_eq!(sleeper.iter().count(), left, "then the channel is closed");
        subject.raft.kill();
    });
}

#[test]
fn status_matches_the_servers_state() {
    labstd::simulate(1, || {
        let subject = Subject::start(3);
        let status = || subject.raft.status().expect("the reference reports its status");
        assert_eq!((status().first_index, status().last_index, status().last_term), (Index(1), Index(0), Term(0)));
        subject.append(0, &["a", "b", "c", "d"], 3);
        assert_eq!(subject.delivered(), ["1", "2", "3"]);
        subject.raft.snapshot(Index(2), Bytes::from("a and b"));
        let now = status();
        assert_eq!((now.role, now.term, now.voted_for), (Role::Follower, Term(1), None));
        assert_eq!((now.first_index, now.last_index, now.last_term), (Index(3), Index(4), Term(1)));
        assert_eq!((now.commit_index, now.last_applied), (Index(3), Index(3)));
        assert_eq!((now.snapshot_index, now.snapshot_term), (Index(2), Term(1)));
        assert!(now.followers.is_empty());
        subject.raft.kill();
    });
}

/// A service that takes committed entries itself and keeps them.
#[derive(Default)]
struct RecordingConsumer {
    raft: OnceLock<Arc<raft::Raft>>,
    taken: Mutex<Vec<u64>>,
}

impl Consumer for RecordingConsumer {
    fn on_commit(&self) {
        // Hold the lock, so that entries are kept in the order in which the threads take them.
        let mut taken = self.taken.lock();
        let committed = self.raft.get().expect("it is set before the first event").take_committed();
        taken.extend(committed.iter().map(|message| match message {
            ApplyMsg::Command { index, .. } | ApplyMsg::Snapshot { index, .. } => index.0,
        }));
    }
}

/// Starts a server of `count` that delivers to a [`RecordingConsumer`].
fn with_consumer(count: usize) -> (Subject, Arc<RecordingConsumer>) {
    let subject = Subject::start(count);
    let consumer = Arc::new(RecordingConsumer::default());
    assert!(consumer.raft.set(Arc::clone(&subject.raft)).is_ok());
    let weak: Weak<RecordingConsumer> = Arc::downgrade(&consumer);
    assert!(subject.raft.deliver_to(weak), "the reference supports a consumer");
    (subject, consumer)
}

#[test]
#[cfg_attr(not(feature = "fast"), ignore = "it tests a fast path")]
fn a_leader_notifies_its_consumer_before_start_returns() {
    labstd::simulate(1, || {
        let (subject, consumer) = with_consumer(1);
        thread::sleep(Duration::from_secs(1));
        let started = subject.raft.start_many(["a", "b", "c"].map(Bytes::from).to_vec());
        assert_eq!(started.map(|started| started.index), Some(Index(1)), "the index of the first command");
        assert_eq!(*consumer.taken.lock(), [1, 2, 3]);
        assert_eq!(subject.delivered(), [] as [&str; 0], "nothing goes into the apply channel");
        subject.raft.kill();
    });
}

#[test]
#[cfg_attr(not(feature = "fast"), ignore = "it tests a fast path")]
fn a_followers_consumer_is_notified_in_batches() {
    labstd::simulate(1, || {
        let (subject, consumer) = with_consumer(3);
        let taken = || consumer.taken.lock().len();
        // The leader sends entries one by one. Each message also says that the previous entries are committed.
        for n in 0..100 {
            subject.append(n, &["x"], n);
        }
        let together = taken();
        assert!((64..=99).contains(&together), "99 entries are committed and {together} were taken");
        // A heartbeat with no new commit index.
        subject.append(100, &[], 99);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(taken(), 99);
        subject.install(200);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(consumer.taken.lock().last(), Some(&200), "a snapshot is delivered too");
        subject.raft.kill();
    });
}

//! Section 7 of the paper, log compaction, one test for each rule, in the order of Figure 13; a part of `paper.rs`.

use bytes::Bytes;
use raft::core::{
    AppendEntriesArgs, Core, Effects, HardState, InstallSnapshotArgs, InstallSnapshotReply, Log, NewSnapshot, Probe,
    ProgressState, RoleName, Saved, ServerSet,
};
use raftapi::{ApplyMsg, Index, Term};

use crate::{ME, OTHER, PEER, agreement, append, conflict, elect, entries, follower, terms};

/// "Once a server completes writing a snapshot, it may delete all log entries up through the last included index, as
/// well as any prior snapshot" (7).
#[test]
fn a_snapshot_replaces_the_entries_that_it_covers() {
    let mut core = applied_up_to(3, &[1, 2, 2, 3]);
    let effects = core.snapshot_taken(Index(2), Bytes::from("two"));
    assert_eq!(effects.persist.snapshot, Some(NewSnapshot::Taken), "it is saved in one step with the log");
    assert_eq!(
        (core.log().base_index(), core.log().base_term()),
        (Index(2), Term(2)),
        "the base is the snapshot's last entry"
    );
    assert_eq!(terms(&core), [2, 3], "entries that it does not cover remain");
    assert_eq!(core.log().get(Index(2)), None, "entries that it covers are gone");
    assert_eq!(
        core.log().term(Index(2)),
        Some(Term(2)),
        "but the term of the last entry is kept for the consistency check (7)"
    );
    assert_eq!((core.log().last_index(), core.log().last_term()), (Index(4), Term(3)), "indexes do not change");
}

/// "Raft's log grows during normal operation ... it cannot grow without bound" (7): discarded entries are really freed.
#[test]
fn entries_covered_by_a_snapshot_take_no_memory() {
    let command = Bytes::from(vec![7; 1_000]);
    let mut core = Core::new(ME, 1);
    let _ = core.election_timeout();
    let _ = core.propose(command.clone());
    drop(core.take_committed());
    assert!(!command.is_unique(), "the log holds it");
    let _ = core.snapshot_taken(Index(1), Bytes::from("one"));
    assert!(command.is_unique(), "only this test holds it now");
}

/// A service that is behind may make a snapshot; it must not bring back an earlier one.
#[test]
fn a_snapshot_that_covers_nothing_new_is_ignored() {
    let mut core = applied_up_to(3, &[1, 2, 2, 3]);
    let _ = core.snapshot_taken(Index(2), Bytes::from("two"));
    for index in [0, 1, 2] {
        let effects = core.snapshot_taken(Index(index), Bytes::from("other"));
        assert_eq!(effects, Effects::default(), "a snapshot up to {index} covers nothing new");
    }
    assert_eq!(core.snapshot(), "two", "the present snapshot remains");
}

/// "Each server takes snapshots independently, covering just the committed entries in its log" (7).
#[test]
#[should_panic = "the service has a snapshot up to index 4, but received entries only up to 3"]
fn a_snapshot_of_unapplied_entries_panics() {
    let mut core = applied_up_to(3, &[1, 2, 2, 3]);
    let _ = core.snapshot_taken(Index(4), Bytes::from("four"));
}

/// "... when the leader has already discarded the next log entry that it needs to send to a follower" (7).
#[test]
fn a_leader_sends_the_snapshot_if_the_next_entry_is_discarded() {
    let mut core = leader_with_a_snapshot();
    assert!(core.install_snapshot(PEER).is_none(), "it does not send it before it knows that the peer is behind");
    refuse_heartbeat(&mut core, 2);
    assert!(core.append_entries(PEER).is_none(), "the entry at 2 is gone");
    let (args, _) = core.install_snapshot(PEER).expect("the snapshot is what the peer needs");
    assert_eq!((args.term, args.leader_id), (Term(4), ME), "the request has this leader's term and ID");
    assert_eq!(
        (args.last_included_index, args.last_included_term),
        (Index(3), Term(2)),
        "the request has the end of the snapshot"
    );
    assert_eq!(args.data, "three", "the whole snapshot");
    assert!(core.install_snapshot(PEER).is_none(), "only one Ready at a time");
}

/// "AppendEntries consistency check for the first log entry following the snapshot" (7): the leader knows the term of
/// the entry before it.
#[test]
fn a_leader_checks_consistency_at_the_end_of_its_snapshot() {
    let mut core = leader_with_a_snapshot();
    refuse_heartbeat(&mut core, 4);
    let (args, _) = core.append_entries(PEER).expect("the entry at 4 is the first one in the log");
    assert_eq!((args.prev_log_index, args.prev_log_term), (Index(3), Term(2)), "3 is the end of the snapshot");
}

/// A paused peer that needs the snapshot is probed at the snapshot's end. Its reply shows whether it still needs it.
#[test]
fn a_heartbeat_probes_the_end_of_a_needed_snapshot() {
    let mut core = leader_with_a_snapshot();
    refuse_heartbeat(&mut core, 2);
    let (_, sent) = core.install_snapshot(PEER).expect("the snapshot is what the peer needs");
    core.request_timed_out(PEER, &sent);
    assert_eq!(progress_state(&core), ProgressState::Probing(Probe::Paused), "there was no reply in time");
    assert!(core.install_snapshot(PEER).is_none(), "it is not sent again to a peer that may be unreachable");
    let (args, heartbeat) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    assert_eq!(
        (args.prev_log_index, args.prev_log_term),
        (Index(3), Term(2)),
        "the heartbeat probes the end of the snapshot"
    );
    let _ = core.handle_append_entries_reply(PEER, &heartbeat, agreement(4));
    assert_eq!(progress_state(&core), ProgressState::Replicating { in_flight: None }, "it has");
}

/// A peer that replies has everything that the snapshot covers, so the entries after it follow.
#[test]
fn a_snapshot_reply_moves_next_index_past_the_snapshot() {
    let mut core = leader_with_a_snapshot();
    refuse_heartbeat(&mut core, 2);
    let (_, sent) = core.install_snapshot(PEER).expect("the snapshot is what the peer needs");
    let effects = core.handle_install_snapshot_reply(PEER, &sent, InstallSnapshotReply { term: Term(4) });
    assert_eq!(effects.replicate_to, ServerSet::from_iter([PEER]), "the entry at 4 can be sent");
    let progress = core.progress(PEER).expect("a leader knows its peers");
    assert_eq!((progress.match_index(), progress.next_index()), (Index(3), Index(4)));
    let effects = core.handle_install_snapshot_reply(OTHER, &sent, InstallSnapshotReply { term: Term(9) });
    assert_eq!(core.soft_state().role, RoleName::Follower, "a reply with a higher term ends a leadership (5.1)");
    assert!(effects.persist.hard_state.is_some(), "and the term is saved");
}

/// Rule 1: "reply immediately if term < currentTerm".
#[test]
fn rule_1_a_snapshot_of_an_earlier_term_is_refused() {
    let mut core = follower(5, &[1]);
    let (reply, effects) = core.handle_install_snapshot(install(4, 3, 2));
    assert_eq!(
        (reply.term, effects),
        (Term(5), Effects::default()),
        "the reply contains the term, and nothing else happens"
    );
}

/// A server that hears from the leader of its term follows it (5.2), whatever the message is.
#[test]
fn a_snapshot_resets_the_election_timer() {
    let mut core = follower(3, &[1]);
    let _ = core.election_timeout();
    let (_, effects) = core.handle_install_snapshot(install(4, 3, 2));
    assert!(effects.reset_election_timer, "a message from the leader resets the timer");
    assert_eq!((core.soft_state().role, core.soft_state().leader), (RoleName::Follower, Some(PEER)));
}

/// Rule 5: "save snapshot file, discard any existing or partial snapshot with a smaller index". The entries that a
/// follower has committed are in the snapshot too, so a snapshot that covers no more is useless.
#[test]
fn rule_5_an_overtaken_snapshot_discards_nothing() {
    let mut core = applied_up_to(3, &[1, 2, 2, 3]);
    let (reply, effects) = core.handle_install_snapshot(install(3, 3, 2));
    assert_eq!(reply.term, Term(3), "the reply confirms the leader's term");
    assert!(effects.persist.is_empty() && effects.commit_advanced.is_none(), "nothing has changed");
    assert_eq!(terms(&core), [1, 2, 2, 3], "the log is as it was");
}

/// Rule 6: "if existing log entry has same index and term as snapshot's last included entry, retain log entries
/// following it".
#[test]
fn rule_6_entries_after_the_snapshot_stay_if_the_log_matches() {
    let mut core = follower(3, &[1, 2, 2, 3]);
    let (_, effects) = core.handle_install_snapshot(install(3, 3, 2));
    assert_eq!(effects.persist.snapshot, Some(NewSnapshot::Installed), "it is saved in one step with the log");
    assert_eq!((terms(&core), core.log().base_index()), (vec![3], Index(3)), "the entry at 4 remains");
    assert_eq!(effects.commit_advanced, Some(Index(3)), "entries that the snapshot covers are committed, but not 4");
}

/// Rule 7: "discard the entire log".
#[test]
fn rule_7_a_conflicting_or_shorter_log_is_discarded() {
    for (case, log) in [("conflicts", &[1, 1, 1, 3][..]), ("ends before", &[1, 2][..])] {
        let mut core = follower(3, log);
        let _ = core.handle_install_snapshot(install(3, 3, 2));
        assert_eq!(terms(&core), [0; 0], "a log that {case} is discarded");
        assert_eq!((core.log().last_index(), core.log().last_term()), (Index(3), Term(2)), "the log continues after 3");
    }
}

/// Rule 8: "reset state machine using snapshot contents", before anything that follows it.
#[test]
fn rule_8_the_service_gets_the_snapshot_and_then_later_entries() {
    let mut core = follower(3, &[1, 2, 2, 3]);
    let _ = core.handle_install_snapshot(install(3, 3, 2));
    let _ = core.handle_append_entries(append(3, (4, 3), &[3], 5));
    let messages = core.take_committed();
    let expected = ApplyMsg::Snapshot { index: Index(3), term: Term(2), snapshot: Bytes::from("three") };
    assert_eq!(messages[0], expected, "the snapshot comes first");
    let indexes = messages[1..].iter().map(|message| match message {
        ApplyMsg::Command { index, .. } | ApplyMsg::Snapshot { index, .. } => *index,
    });
    assert_eq!(indexes.collect::<Vec<_>>(), [Index(4), Index(5)], "then every entry after it");
    assert!(core.take_committed().is_empty(), "no message is handed out twice");
}

/// A request that a snapshot has overtaken contains entries that the snapshot covers. These are committed and agree.
#[test]
fn entries_covered_by_the_snapshot_count_as_matching() {
    let mut core = follower(3, &[]);
    let _ = core.handle_install_snapshot(install(3, 3, 2));
    let (inside, effects) = core.handle_append_entries(append(3, (1, 1), &[2], 0));
    assert!(inside.success && effects.persist.is_empty(), "the log has all of them already");
    let (across, _) = core.handle_append_entries(append(3, (1, 1), &[2, 2, 3], 0));
    assert!(across.success, "the first two entries match");
    assert_eq!(terms(&core), [3], "the third is new");
}

/// After a restart the service has read the snapshot itself (lab handout, 3D).
#[test]
fn after_a_restart_delivery_starts_after_the_snapshot() {
    let mut core = restarted_with_a_snapshot();
    assert_eq!((core.commit_index(), core.last_applied()), (Index(3), Index(3)), "entries in a snapshot are committed");
    assert!(core.take_committed().is_empty(), "the snapshot is not delivered again");
    let _ = core.handle_append_entries(AppendEntriesArgs { leader_id: OTHER, ..append(3, (4, 3), &[], 4) });
    let messages = core.take_committed();
    assert!(matches!(messages[..], [ApplyMsg::Command { index: Index(4), .. }]), "{messages:?}");
}

// Vocabulary of these tests, in addition to that of `paper.rs`.

/// Creates a follower that has committed and applied all but the last of these entries.
fn applied_up_to(term: u64, log: &[u64]) -> Core {
    let mut core = follower(term, log);
    let last = log.len() as u64;
    let _ = core.handle_append_entries(append(term, (last, log[log.len() - 1]), &[], last - 1));
    assert_eq!(core.take_committed().len() as u64, last - 1, "the committed entries are handed out");
    core
}

/// Creates a server of term 3 with entries of terms 1, 2, 2 and 3, of which a snapshot covers the first three.
fn restarted_with_a_snapshot() -> Core {
    let hard_state = HardState { term: Term(3), voted_for: None };
    let log = Log::after(Index(3), Term(2), entries(&[3]));
    Core::restore(ME, 3, Saved { hard_state, log, snapshot: Bytes::from("three") })
}

/// Creates the same server as leader of term 4.
fn leader_with_a_snapshot() -> Core {
    let mut core = restarted_with_a_snapshot();
    elect(&mut core);
    core
}

/// Refuses a heartbeat: PEER's log ends before `index`.
fn refuse_heartbeat(core: &mut Core, index: u64) {
    let (_, sent) = core.heartbeat(PEER).expect("a leader sends heartbeats");
    let effects = core.handle_append_entries_reply(PEER, &sent, conflict(4, None, index));
    assert_eq!(effects.replicate_to, ServerSet::from_iter([PEER]), "there is something to send now");
}

fn progress_state(core: &Core) -> ProgressState {
    core.progress(PEER).expect("a leader knows its peers").state()
}

fn install(term: u64, last_included_index: u64, last_included_term: u64) -> InstallSnapshotArgs {
    InstallSnapshotArgs {
        term: Term(term),
        leader_id: PEER,
        last_included_index: Index(last_included_index),
        last_included_term: Term(last_included_term),
        data: Bytes::from("three"),
    }
}

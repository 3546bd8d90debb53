//! The mistakes of the plain service and of its clerk, each with the rule that it breaks. The sections are those of the
//! paper.

/// Defines [`KvMistake`], and the list of all.
macro_rules! mistakes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A mistake that implementers of the service make. The last five are mistakes of the clerk, the others of the
        /// server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum KvMistake {
            $($(#[doc = $doc])+ $name,)+
        }

        impl KvMistake {
            /// All mistakes, in the order of their declaration.
            pub const ALL: &'static [KvMistake] = &[$(KvMistake::$name),+];
        }
    };
}

mistakes! {
    /// It executes a write again when a clerk retries it. Section 8: "The state machine tracks the latest serial number
    /// processed for each client \[...\]. If it receives a command whose serial number has already been executed, it
    /// responds immediately *without re-executing* the request."
    ReexecutesARetry,
    /// It checks for a duplicate when a request arrives, but not when it applies an entry. The same write may be in the
    /// log twice. Section 8: the *state machine* tracks serial numbers, and it is built from the log.
    ChecksForDuplicatesOnlyOnArrival,
    /// It refuses a write that it has executed already, so the clerk retries for ever. Section 8: "it *responds*
    /// immediately without re-executing the request."
    RefusesADuplicate,
    /// It skips a log entry whose write it has executed already, although a handler waits for that entry. Section 8, as
    /// before.
    DoesNotReplyToADuplicate,
    /// It serves a read from its own state if it believes that it is the leader. Section 8: this "would run the risk of
    /// returning stale data, since the leader responding to the request might have been superseded by a newer leader of
    /// which it is unaware."
    ServesReadsLocally,
    /// It replies with the result of the entry at the request's index, even if that entry has another term. Section
    /// 5.3: the same entry has the same index *and term* in all logs.
    RepliesByIndexAlone,
    /// It waits until a started command is applied, which may never happen. The lab: a server has to find out that it
    /// has lost leadership, because its entry may be overwritten.
    NeverChecksThatItStillLeads,
    /// It waits for an entry under the lock that it needs to apply the entry. The lab's advice on locking: hold no lock
    /// where you may wait.
    HoldsItsLockWhileItWaits,
    /// Its handlers go on waiting after it is killed. The interface of this lab: waiting calls get a reply, and all
    /// threads end soon.
    DoesNotWakeWaitersWhenKilled,
    /// It never makes a snapshot, so the log grows. The lab: a service has to make a snapshot when the saved state of
    /// its Raft approaches `maxraftstate`.
    NeverMakesASnapshot,
    /// It makes snapshots although it should make none. The lab: if `maxraftstate` is -1, "you do not have to
    /// snapshot", and its tests demand that no server does.
    MakesUnrequestedSnapshots,
    /// It saves the values of the keys, but not the serial numbers of the executed writes. Section 7: a snapshot is the
    /// *whole* state of the service. Without the serial numbers a retried write is executed again.
    OmitsDuplicatesFromTheSnapshot,
    /// It starts empty after a restart. Section 7: the entries that a snapshot covers are no longer in the log.
    DoesNotReadItsSnapshotBack,
    /// It keeps its own state when the leader has sent a snapshot. Figure 13, InstallSnapshot, 8: "Reset state machine
    /// using snapshot contents".
    IgnoresAnInstalledSnapshot,
    /// It answers a write when its entry is in the log. Figure 2, Leaders: "respond after entry *applied* to state
    /// machine".
    AnswersBeforeItApplies,
    /// It serves a read from its own state whether it leads or not. Section 8: "the client's first choice is not the
    /// leader, that server will *reject* the client's request".
    ServesReadsAsAFollower,
    /// It serves reads from its own state until it has applied an entry of its own term. Section 8: "the leader must
    /// have the latest information on which entries are committed", and "at the start of its term, it may not know
    /// which those are."
    ReadsBeforeItsFirstEntry,
    /// It has one serial number for all clients. Section 8: the state machine tracks the latest serial number "*for
    /// each client*".
    TracksAllClientsAsOne,
    /// Its snapshots grow with each write. Section 8 needs the *latest* serial number of each client, and the lab
    /// limits the size of a snapshot.
    KeepsEverySerial,
    /// It waits before it starts a command. The lab: an operation must not take as long as a heartbeat.
    WaitsBeforeItProposes,

    /// It gives a new serial number to each attempt instead of each operation. Section 8: the clients "assign unique
    /// serial numbers to every *command*".
    NumbersEachAttempt,
    /// It takes an operation as executed if it gets no reply. The lab: a clerk keeps trying until it gets a reply,
    /// because the request may have been lost.
    TreatsALostReplyAsSuccess,
    /// It uses the same client id as all other clerks, so servers take its writes for theirs. Section 8: the state
    /// machine tracks serial numbers "for *each client*".
    SharesItsIdWithOtherClerks,
    /// It always retries the same server. Section 8: "If the client's first choice is not the leader, that server will
    /// reject the client's request", and the clerk has to try another one.
    RetriesTheSameServerForEver,
    /// It takes a refusal for an answer. Section 8: "that server will reject the client's request", and the clerk has
    /// to try another one.
    TakesARefusalForAnAnswer,
}

//! The mistakes, each with the rule that it breaks. The sections are those of the paper.

/// Something that people get wrong. The last four are a clerk's, the others a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMistake {
    /// It executes a write again that a clerk has sent again. Section 8: "The state machine tracks the latest serial
    /// number processed for each client \[...\]. If it receives a command whose serial number has already been
    /// executed, it responds immediately *without re-executing* the request."
    ExecutesARetryAgain,
    /// It looks whether a write is done when a clerk asks for it, and not when it comes to it in the log, where it may
    /// be twice. Section 8: it is the *state machine* that tracks serial numbers, and it is made of what is in the log.
    LooksForDuplicatesOnlyWhenAsked,
    /// It knows a write that it has done already, and refuses it, so that its clerk asks for ever. Section 8: "it
    /// *responds* immediately without re-executing the request."
    RefusesADuplicate,
    /// It comes to a write that it has done already, and goes on, although somebody waits for it. Section 8, as before.
    LeavesTheWaiterOfADuplicate,
    /// It answers a read from what it has, if it believes that it leads. Section 8: this "would run the risk of
    /// returning stale data, since the leader responding to the request might have been superseded by a newer leader of
    /// which it is unaware."
    AnswersReadsLocally,
    /// It answers a request with what was applied at its index, even if that is an entry of another term. Section 5.3:
    /// what is the same entry in two logs has the same index *and term*.
    AnswersByIndexAlone,
    /// It waits for what it has started until it is applied, which may never be. The lab: a server has to find out that
    /// it has lost leadership, since the entry that it has started may be overwritten.
    NeverLooksWhetherItStillLeads,
    /// It waits for an entry under the lock that it needs to apply it. The lab's advice on locking: hold no lock where
    /// you may wait.
    HoldsItsLockWhileItWaits,
    /// Its requests go on waiting when it is killed. The interface of this lab: calls that wait are answered, and all
    /// threads end soon.
    ForgetsTheWaitersWhenItIsKilled,
    /// It lets the log grow. The lab: a service has to make a snapshot when the saved state of its Raft approaches
    /// `maxraftstate`.
    NeverMakesASnapshot,
    /// It makes snapshots although it should make none. The lab: if `maxraftstate` is -1, "you do not have to
    /// snapshot", and its tests demand that nobody does.
    MakesSnapshotsUnasked,
    /// It saves what the keys have, but not which writes were done. Section 7: a snapshot is the *whole* state of the
    /// service, and what was done for whom decides how it goes on; a write that is sent again is executed again.
    LeavesTheDuplicatesOutOfTheSnapshot,
    /// It begins with nothing after a restart. Section 7: what a snapshot covers is no longer in the log.
    DoesNotReadItsSnapshotBack,
    /// It goes on from what it has when the leader has sent a snapshot. Figure 13, InstallSnapshot, 8: "Reset state
    /// machine using snapshot contents".
    IgnoresASnapshotThatComes,

    /// It counts attempts and not operations. Section 8: the clients "assign unique serial numbers to every *command*".
    NumbersEachAttempt,
    /// It takes an operation for done when it does not hear of it any more. The lab: a clerk keeps trying until it is
    /// answered; what was lost may have been the request.
    TakesALostReplyForDone,
    /// It has the number that all clerks have, and so its writes are taken for theirs. Section 8: the state machine
    /// tracks serial numbers "for *each client*".
    SharesItsIdWithAllClerks,
    /// It asks the server that it has asked before. Section 8: "If the client's first choice is not the leader, that
    /// server will reject the client's request", and it has to try another one.
    AsksTheSameServerForEver,
}

impl KvMistake {
    /// All of them.
    pub const ALL: [KvMistake; 18] = [
        KvMistake::ExecutesARetryAgain,
        KvMistake::LooksForDuplicatesOnlyWhenAsked,
        KvMistake::RefusesADuplicate,
        KvMistake::LeavesTheWaiterOfADuplicate,
        KvMistake::AnswersReadsLocally,
        KvMistake::AnswersByIndexAlone,
        KvMistake::NeverLooksWhetherItStillLeads,
        KvMistake::HoldsItsLockWhileItWaits,
        KvMistake::ForgetsTheWaitersWhenItIsKilled,
        KvMistake::NeverMakesASnapshot,
        KvMistake::MakesSnapshotsUnasked,
        KvMistake::LeavesTheDuplicatesOutOfTheSnapshot,
        KvMistake::DoesNotReadItsSnapshotBack,
        KvMistake::IgnoresASnapshotThatComes,
        KvMistake::NumbersEachAttempt,
        KvMistake::TakesALostReplyForDone,
        KvMistake::SharesItsIdWithAllClerks,
        KvMistake::AsksTheSameServerForEver,
    ];
}

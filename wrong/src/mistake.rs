//! The mistakes, each with the rule that it breaks.

/// Something that people get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It waits for a leader for ever. Figure 2, Followers: "If election timeout elapses without receiving
    /// AppendEntries RPC from current leader or granting vote to candidate: convert to candidate."
    NeverElects,
    /// It forgets that it has voted. Figure 2, RequestVote, 2: "If votedFor is null or candidateId, [...] grant vote."
    VotesTwiceInATerm,
    /// It votes for a candidate and then does not give it the time to lead. Figure 2, Followers: "If election timeout
    /// elapses without receiving AppendEntries RPC from current leader *or granting vote to candidate*: convert to
    /// candidate."
    DoesNotResetTheTimerOnGrantingAVote,
    /// It starts a thread for each entry that it delivers, and they overtake each other. Figure 2, All Servers: "If
    /// commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state machine."
    AppliesOutOfOrder,
    /// It replaces everything behind prevLogIndex by what the leader sent, and so loses what it had acknowledged when a
    /// message comes late. Figure 2, AppendEntries, 3 and 4: "If an existing entry *conflicts* with a new one (same
    /// index but different terms), delete the existing entry and all that follow it. Append any new entries *not
    /// already in the log*."
    LosesAnEntry,
    /// Its leader sends every time it looks, whether there is something to say or not. Figure 2, Leaders: "repeat during
    /// *idle periods* to prevent election timeouts"; the lab allows tens of heartbeats in a second, not hundreds.
    SendsRpcsInATightLoop,
    /// It delivers entries under its lock. Its service may be just about to ask it something, and reads nothing before
    /// it is answered. Not in Figure 2; the lab's advice on locking: hold no lock where you may wait.
    HoldsItsLockWhileDelivering,
    /// Its leader sends AppendEntries, and waits for the reply, under its lock. Figure 2's servers answer RPCs at any
    /// time, and section 5.3 has the leader send them "in parallel"; the lab's advice on locking: hold no lock over an
    /// RPC.
    HoldsItsLockOverAnRpc,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 8] = [
        Mistake::NeverElects,
        Mistake::VotesTwiceInATerm,
        Mistake::DoesNotResetTheTimerOnGrantingAVote,
        Mistake::AppliesOutOfOrder,
        Mistake::LosesAnEntry,
        Mistake::SendsRpcsInATightLoop,
        Mistake::HoldsItsLockWhileDelivering,
        Mistake::HoldsItsLockOverAnRpc,
    ];
}

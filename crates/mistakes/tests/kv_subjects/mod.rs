//! The scenarios of parts 4A and 4B, run against servers or clerks that make a mistake.

use labstd::time::Duration;
use mistakes::{KvMistake, KvServer, NO_MISTAKE, Raft};
use tester::{KvSubject, Scenario, kv_scenarios_at_pace};

/// Returns the scenarios, run against servers or clerks that make `mistake`, with clients of this pace. A clerk's
/// mistake is part of its type, because the function that makes a clerk takes no argument but the servers.
pub(crate) fn scenarios_with(mistake: KvMistake, pace: Duration) -> Vec<Scenario> {
    use KvMistake::{
        NumbersEachAttempt, RetriesTheSameServerForEver, SharesItsIdWithOtherClerks, TakesARefusalForAnAnswer,
        TreatsALostReplyAsSuccess,
    };
    match mistake {
        NumbersEachAttempt => scenarios_of::<{ NumbersEachAttempt as u8 }>(None, pace),
        TreatsALostReplyAsSuccess => scenarios_of::<{ TreatsALostReplyAsSuccess as u8 }>(None, pace),
        SharesItsIdWithOtherClerks => scenarios_of::<{ SharesItsIdWithOtherClerks as u8 }>(None, pace),
        RetriesTheSameServerForEver => scenarios_of::<{ RetriesTheSameServerForEver as u8 }>(None, pace),
        TakesARefusalForAnAnswer => scenarios_of::<{ TakesARefusalForAnAnswer as u8 }>(None, pace),
        server_mistake => scenarios_of::<NO_MISTAKE>(Some(server_mistake), pace),
    }
}

fn scenarios_of<const CLERK: u8>(mistake: Option<KvMistake>, pace: Duration) -> Vec<Scenario> {
    kv_scenarios_at_pace(&KvSubject::with_factory(KvServer::<Raft, CLERK>::factory(mistake)), pace)
}

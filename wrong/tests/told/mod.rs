//! The scenarios of parts 4A and 4B, told of who makes a mistake.

use tester::{KvSubject, Scenario, kv_scenarios};
use wrong::{KvMistake, KvServer, NO_MISTAKE, Raft};

/// Told of servers or of clerks that make `mistake`. A clerk's is in its type, for a clerk is given nothing but servers.
pub(crate) fn of(mistake: KvMistake) -> Vec<Scenario> {
    use KvMistake::{AsksTheSameServerForEver, NumbersEachAttempt, SharesItsIdWithAllClerks, TakesALostReplyForDone};
    match mistake {
        NumbersEachAttempt => told_of::<{ NumbersEachAttempt as u8 }>(None),
        TakesALostReplyForDone => told_of::<{ TakesALostReplyForDone as u8 }>(None),
        SharesItsIdWithAllClerks => told_of::<{ SharesItsIdWithAllClerks as u8 }>(None),
        AsksTheSameServerForEver => told_of::<{ AsksTheSameServerForEver as u8 }>(None),
        of_a_server => told_of::<NO_MISTAKE>(Some(of_a_server)),
    }
}

fn told_of<const CLERK: u8>(mistake: Option<KvMistake>) -> Vec<Scenario> {
    kv_scenarios(&KvSubject::made_by(KvServer::<Raft, CLERK>::making(mistake)))
}

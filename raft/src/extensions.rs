//! The abilities beyond the lab's seven methods ([`RaftExt`]).

use bytes::Bytes;
use labstd::channel::Receiver;
use raftapi::{RaftExt, Started, StateChange, Status};

use crate::{Raft, status};

impl RaftExt for Raft {
    fn start_many(&self, commands: Vec<Bytes>) -> Option<Started> {
        self.shared.step(|core| match core.propose_many(commands) {
            Some((started, effects)) => (Some(started), effects),
            None => (None, Default::default()),
        })
    }

    fn status(&self) -> Option<Status> {
        Some(status::of(&self.shared.state.lock().core))
    }

    fn subscribe(&self) -> Option<Receiver<StateChange>> {
        Some(self.shared.subscribe())
    }

    // fast: reads begin
    #[cfg(feature = "fast")]
    fn read_index_then(&self, then: Box<dyn FnOnce(Option<raftapi::Index>) + Send>) {
        crate::fast::reads::read_index_then(&self.shared, then);
    }
    // fast: reads end

    // fast: consumer begin
    #[cfg(feature = "fast")]
    fn deliver_to(&self, consumer: labstd::sync::Weak<dyn raftapi::Consumer>) -> bool {
        crate::fast::consumer::register(&self.shared, consumer);
        true
    }

    #[cfg(feature = "fast")]
    fn take_committed(&self) -> Vec<raftapi::ApplyMsg> {
        self.shared.take_committed()
    }
    // fast: consumer end
}

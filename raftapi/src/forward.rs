//! A macro for tests that wrap a Raft.

/// Expands, inside an `impl Raft for ...` block, to every method except `make`. Each method calls the same method of
/// the field `$raft`. A wrapper that changes some methods writes those itself and names the others in brackets:
/// `raftapi::forward_raft!(0)`, `raftapi::forward_raft!(raft: [services, start])`.
#[macro_export]
macro_rules! forward_raft {
    ($raft:tt) => {
        $crate::forward_raft!($raft: [services, start, get_state, snapshot, persist_bytes, kill]);
    };
    ($raft:tt: [$($method:ident),*]) => {
        $($crate::forward_raft!(@$method $raft);)*
    };
    (@services $raft:tt) => {
        fn services(&self) -> Vec<$crate::Service> {
            $crate::Raft::services(&self.$raft)
        }
    };
    (@start $raft:tt) => {
        fn start(&self, command: $crate::Bytes) -> Option<$crate::Started> {
            $crate::Raft::start(&self.$raft, command)
        }
    };
    (@get_state $raft:tt) => {
        fn get_state(&self) -> ($crate::Term, bool) {
            $crate::Raft::get_state(&self.$raft)
        }
    };
    (@snapshot $raft:tt) => {
        fn snapshot(&self, index: $crate::Index, snapshot: $crate::Bytes) {
            $crate::Raft::snapshot(&self.$raft, index, snapshot);
        }
    };
    (@persist_bytes $raft:tt) => {
        fn persist_bytes(&self) -> usize {
            $crate::Raft::persist_bytes(&self.$raft)
        }
    };
    (@kill $raft:tt) => {
        fn kill(&self) {
            $crate::Raft::kill(&self.$raft);
        }
    };
}

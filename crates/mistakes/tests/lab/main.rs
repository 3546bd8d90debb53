//! The lab with the plain Raft and the plain service. The catalogue: each mistake is reliably caught, and its rule is
//! named. No false alarms: servers without a mistake pass every scenario. One program, so that it fills the machine.

#[path = "../catalogue/assertion.rs"]
mod assertion;
#[path = "../catalogue/mod.rs"]
mod catalogue;
mod correct_kv;
mod correct_raft;
#[path = "../../../../tests/false_alarms/mod.rs"]
mod false_alarms;
mod fault_cutoff;
mod kv_exactly_once;
mod kv_mistakes;
#[path = "../catalogue/kv.rs"]
mod kv_rows;
#[path = "../kv_subjects/mod.rs"]
mod kv_subjects;
mod no_false_alarms;
mod passing;
mod raft_mistakes;
#[path = "../catalogue/raft.rs"]
mod raft_rows;
#[path = "../../../../raft/tests/servers/mod.rs"]
mod servers;
mod snapshot_thread;
#[path = "../catalogue/snapshot_thread.rs"]
mod snapshot_thread_row;

//! Part 4B: the key/value service with snapshots, in addition to the [generic test](super::kv_generic).

use raftapi::ServerId;

use super::part_4a::expect_value;
use crate::cluster::ELECTION_TIMEOUT;
use crate::kv::{Clerk, KvTest};
use crate::violation::Violation;
use diagnosis::Rule;

/// Size in bytes of the saved Raft state at which services should take a snapshot.
pub const MAX_RAFT_STATE: usize = 1000;

/// A majority trims its logs while one server is disconnected; that server then catches up with a snapshot, and is
/// needed for a majority.
pub fn snapshot_rpc(test: &KvTest) {
    const MISSED: usize = 50;
    let [first, second, third] = [0, 1, 2].map(ServerId);
    let mut clerk = test.clerk(&test.servers());
    clerk.put("a", "A");
    expect(&mut clerk, "a", "A");

    test.cluster().partition(&[&[first, second], &[third]]);
    let mut without_third = test.clerk(&[first, second]);
    for number in 0..MISSED {
        without_third.put(&number.to_string(), &number.to_string());
    }
    test.sleep(ELECTION_TIMEOUT);
    without_third.put("b", "B");
    test.check_log_size(MAX_RAFT_STATE);

    test.cluster().partition(&[&[first, third], &[second]]);
    let mut without_second = test.clerk(&[first, third]);
    without_second.put("c", "C");
    without_second.put("d", "D");
    for (key, value) in [("a", "A"), ("b", "B"), ("1", "1"), ("49", "49")] {
        expect(&mut without_second, key, value);
    }

    test.connect_all();
    clerk.put("e", "E");
    for (key, value) in [("c", "C"), ("e", "E"), ("1", "1")] {
        expect(&mut clerk, key, value);
    }
}

/// Logs are trimmed, and a snapshot of one short value is small.
pub fn snapshot_size(test: &KvTest) {
    const ROUNDS: usize = 200;
    const SNAPSHOT_BYTES_MAX: usize = 500;
    let mut clerk = test.clerk(&test.servers());
    for _ in 0..ROUNDS {
        for value in ["0", "1"] {
            clerk.put("x", value);
            expect(&mut clerk, "x", value);
        }
    }
    test.check_log_size(MAX_RAFT_STATE);
    let bytes = test.cluster().snapshot_size();
    if bytes > SNAPSHOT_BYTES_MAX {
        Violation::safety(
            &[Rule::SmallSnapshot],
            format!(
                "a server has a snapshot of {bytes} bytes saved, more than {SNAPSHOT_BYTES_MAX}: one key with a value \
                 of one character and the last write of one client need less; does the snapshot keep data that is no \
                 longer needed?"
            ),
        );
    }
}

fn expect(clerk: &mut Clerk, key: &str, value: &str) {
    expect_value(key, &clerk.get(key), &[value]);
}

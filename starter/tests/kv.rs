//! Runs your key/value service, on your Raft, in every scenario of parts 4A and 4B: `cargo test -p starter -- 4A`.

tester::kv_tests!(starter::KvServer);

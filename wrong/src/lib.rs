//! For tests alone: a plain Raft, not derived from the reference, that can be told to make a mistake.

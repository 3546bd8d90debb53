//! The reference key/value server and its clerk, over any Raft.

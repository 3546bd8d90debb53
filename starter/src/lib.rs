//! Your Raft and your key/value service.

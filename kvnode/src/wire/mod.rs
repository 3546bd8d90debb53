//! How processes talk: frames, who may speak, and what is refused.

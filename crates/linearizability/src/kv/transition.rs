//! An operation as a transition between the states of `graph.rs`: nodes and dead.

/// An operation in terms of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// Is legal in this state and leaves it unchanged.
    Get(u32),
    /// Appends the empty string.
    NoOp,
    /// Leads to this state.
    Put(u32),
    /// Leads from a node along its edge of this class.
    Append(u32),
    /// Leads to [`DEAD`](super::graph::DEAD) from every state.
    Unseen,
}

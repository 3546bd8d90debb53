//! The context of a listener's connections.

use std::sync::Arc;

use super::warnings::Warnings;
use super::{Identity, Limits};

/// The context that all connections of a listener share.
pub(crate) struct ListenerContext<H> {
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) handler: H,
    pub(crate) warnings: Arc<Warnings>,
}

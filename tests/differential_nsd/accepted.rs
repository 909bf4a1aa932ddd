//! Where the two servers may differ, and why: the whole list.

use super::wire::{Question, Reply};

/// One difference that is none of our faults.
pub(super) struct Accepted {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// Whether this is all that differs.
    pub(super) holds: fn(&Both<'_>) -> bool,
}

/// A question and both replies to it.
pub(super) struct Both<'b> {
    pub(super) question: &'b Question,
    pub(super) nsd: &'b Reply,
    pub(super) ours: &'b Reply,
}

pub(super) const ACCEPTED: &[Accepted] = &[];

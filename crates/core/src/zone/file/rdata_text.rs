//! The words of one record's data.

use crate::dns::RecordType;

use super::{Fault, scan::Word, word::WrittenName};

/// A record's data as written.
pub(super) struct RdataText<'a, 't> {
    pub(super) rtype: RecordType,
    /// The word that named the type.
    pub(super) head: &'a Word<'t>,
    /// The words behind it.
    pub(super) words: &'a [Word<'t>],
    pub(super) origin: &'a WrittenName,
}

impl RdataText<'_, '_> {
    /// A fault at the end of the data.
    pub(super) fn fault_at_end(&self, message: impl Into<String>) -> Fault {
        self.words.last().unwrap_or(self.head).fault(message)
    }
}

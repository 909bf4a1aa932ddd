//! The RDATA of one record as words of a zone file.

use crate::dns::RecordType;

use super::{Fault, scan::Word, word::WrittenName};

/// Unparsed RDATA.
pub(super) struct RdataText<'a, 't> {
    pub(super) rtype: RecordType,
    /// The type word.
    pub(super) head: &'a Word<'t>,
    /// The words after the type.
    pub(super) words: &'a [Word<'t>],
    pub(super) origin: &'a WrittenName,
}

impl RdataText<'_, '_> {
    /// A fault at the last word of the data.
    pub(super) fn fault_at_end(&self, message: impl Into<String>) -> Fault {
        self.words.last().unwrap_or(self.head).fault(message)
    }
}

//! The fixed label sets, and the conversion between labels and positions. `names` has the
//! operator's names of groups and rules.
//!
//! Data that a client can choose never becomes a label: no queried name, no client address. A type
//! without a mnemonic is `other`.

use dnsgate_core::{
    dns::{Rcode, RecordType},
    engine::{Ending, Reason},
};

/// The label of an absent value: no group, no rule, no reply, no question.
pub(crate) const NONE: &str = "none";
/// The label of a value without its own label: a type without a mnemonic, a name beyond the limit.
pub(crate) const OTHER: &str = "other";

/// The number of labels of a response code: every code, and [`NONE`].
pub(crate) const RCODES: usize = Rcode::ALL.len() + 1;

/// The position of a response code's label.
pub(crate) const fn rcode_position(rcode: Option<Rcode>) -> usize {
    match rcode {
        Some(rcode) => rcode as usize,
        None => Rcode::ALL.len(),
    }
}

/// The label at a position.
pub(crate) fn rcode_label(position: usize) -> &'static str {
    Rcode::ALL
        .get(position)
        .map_or(NONE, |rcode| rcode.as_str())
}

/// The number of labels of a type: every mnemonic, [`OTHER`], [`NONE`].
pub(crate) const TYPES: usize = RecordType::NAMED.len() + 2;
const TYPE_OTHER: usize = RecordType::NAMED.len();
const TYPE_NONE: usize = RecordType::NAMED.len() + 1;

/// One past the highest type number that has a mnemonic.
const TYPE_NUMBERS: usize = RecordType::NAMED[RecordType::NAMED.len() - 1].0.0 as usize + 1;

/// Maps a type number to its position, so that the hot path need not search.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 256 types with a name"
)]
static TYPE_POSITIONS: [u8; TYPE_NUMBERS] = {
    let mut positions = [TYPE_OTHER as u8; TYPE_NUMBERS];
    let mut at = 0;
    while at < RecordType::NAMED.len() {
        positions[RecordType::NAMED[at].0.0 as usize] = at as u8;
        at += 1;
    }
    positions
};

/// The position of a type's label.
pub(crate) fn type_position(qtype: Option<RecordType>) -> usize {
    match qtype {
        Some(RecordType(number)) => TYPE_POSITIONS
            .get(usize::from(number))
            .map_or(TYPE_OTHER, |&at| usize::from(at)),
        None => TYPE_NONE,
    }
}

/// The label at a position.
pub(crate) fn type_label(position: usize) -> &'static str {
    match RecordType::NAMED.get(position) {
        Some(&(_, mnemonic)) => mnemonic,
        None if position == TYPE_NONE => NONE,
        None => OTHER,
    }
}

/// The number of reasons that are denials.
pub(crate) const DENIALS: usize = {
    let (mut at, mut count) = (0, 0);
    while at < Reason::ALL.len() {
        if matches!(Reason::ALL[at].ending(), Ending::Denied) {
            count += 1;
        }
        at += 1;
    }
    count
};

/// The reasons that are denials, in the order of [`Reason::ALL`].
pub(crate) static DENIAL_REASONS: [Reason; DENIALS] = {
    let mut denials = [Reason::Blocked; DENIALS];
    let (mut at, mut count) = (0, 0);
    while at < Reason::ALL.len() {
        if matches!(Reason::ALL[at].ending(), Ending::Denied) {
            denials[count] = Reason::ALL[at];
            count += 1;
        }
        at += 1;
    }
    denials
};

/// The position of a denial's reason; `None` if the reason is not a denial.
pub(crate) fn denial_position(reason: Reason) -> Option<usize> {
    DENIAL_REASONS.iter().position(|&denial| denial == reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_known_types_by_name_and_others_as_other() {
        for &(qtype, mnemonic) in RecordType::NAMED {
            assert_eq!(type_label(type_position(Some(qtype))), mnemonic);
        }
        for number in [0, 3, 256, 258, 65280, u16::MAX] {
            assert_eq!(type_label(type_position(Some(RecordType(number)))), OTHER);
        }
        assert_eq!(type_label(type_position(None)), NONE);
        assert!(TYPES <= usize::from(u8::MAX), "positions fit a byte");
    }

    #[test]
    fn every_code_finds_its_label() {
        for rcode in Rcode::ALL {
            assert_eq!(rcode_label(rcode_position(Some(rcode))), rcode.as_str());
        }
        assert_eq!(rcode_label(rcode_position(None)), NONE);
    }

    #[test]
    fn denials_are_the_reasons_that_deny() {
        for &reason in Reason::ALL {
            let denies = reason.ending() == Ending::Denied;
            assert_eq!(denial_position(reason).is_some(), denies, "{reason:?}");
        }
    }
}

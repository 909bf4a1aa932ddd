//! The closed sets that labels are drawn from, and how a label becomes a position and back.
//!
//! Transports, endings, reasons, codes and types are enums or tables: their sets never change.
//! Groups, rules and upstreams are the operator's: they belong to one generation of the configuration
//! ([`Labels`]), and a position means nothing without it. Nothing an unknown client can choose is ever a
//! label: no queried name, no client address, and a type without a mnemonic is `other`.

use dnsgate_core::{
    dns::{Rcode, RecordType},
    engine::{Ending, GroupId, Reason, RuleId, UpstreamId},
};

/// The label of what is absent: no group, no rule, no reply, no question.
pub(crate) const NONE: &str = "none";
/// The label of what has no label of its own: a type without a mnemonic, a rule past the bound.
pub(crate) const OTHER: &str = "other";

/// The names of the groups, rules and upstreams of one generation, by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Group names, in the order of [`GroupId`].
    pub groups: Vec<String>,
    /// Rule names, in the order of [`RuleId`].
    pub rules: Vec<String>,
    /// Upstream names, in the order of [`UpstreamId`].
    pub upstreams: Vec<String>,
}

impl Labels {
    /// The group's label.
    pub(crate) fn group(&self, group: Option<GroupId>) -> &str {
        let Some(GroupId(at)) = group else {
            return NONE;
        };
        self.groups.get(usize::from(at)).map_or(OTHER, |name| name)
    }

    /// The rule's label.
    pub(crate) fn rule(&self, rule: Option<RuleId>) -> &str {
        let Some(RuleId(at)) = rule else {
            return NONE;
        };
        usize::try_from(at)
            .ok()
            .and_then(|at| self.rules.get(at))
            .map_or(OTHER, |name| name)
    }

    /// The upstream's label.
    pub(crate) fn upstream(&self, UpstreamId(at): UpstreamId) -> &str {
        self.upstreams
            .get(usize::from(at))
            .map_or(OTHER, |name| name)
    }
}

/// The number of labels of a response code: every code, and [`NONE`].
pub(crate) const RCODES: usize = Rcode::ALL.len() + 1;

/// The position of a code's label.
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

/// Type number → position, so that the hot path need not search.
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

/// The number of reasons whose ending is a denial.
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

/// The reasons whose ending is a denial, in the order of [`Reason::ALL`].
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

/// The position of a denial's reason; `None` for a reason that is no denial.
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

    #[test]
    fn a_position_outside_the_generation_is_other() {
        let labels = Labels {
            groups: vec!["build".into()],
            rules: vec!["github".into()],
            upstreams: vec!["corp".into()],
        };
        assert_eq!(labels.group(Some(GroupId(0))), "build");
        assert_eq!(labels.group(Some(GroupId(1))), OTHER);
        assert_eq!(labels.group(None), NONE);
        assert_eq!(labels.rule(Some(RuleId(0))), "github");
        assert_eq!(labels.rule(Some(RuleId(u32::MAX))), OTHER);
        assert_eq!(labels.rule(None), NONE);
        assert_eq!(labels.upstream(UpstreamId(0)), "corp");
        assert_eq!(labels.upstream(UpstreamId(1)), OTHER);
    }
}

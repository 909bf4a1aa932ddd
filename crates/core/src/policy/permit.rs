//! Permission to ask an upstream. Only this module creates it.
//!
//! ```text
//!   decide ─▶ Grant (borrowed, costs nothing) ─▶ permit() ─▶ Permit (owned) ─▶ an upstream
//!                 └─▶ a cache lookup with the grant: most questions end here
//! ```
//!
//! An upstream accepts only a [`Permit`]. It comes either from the [`Grant`] that a decision made
//! for this question, or from [`Permit::probe`], whose name is under a fixed suffix and contains no
//! client input. So by construction only probes and the questions that the policy lets through reach
//! an upstream.

use super::{EntryId, Forwarding, Ranges, RuleId, UpstreamId};
use crate::dns::{Name, NameBuf, NameRef, RecordType};

/// The suffix of probe names. Nobody can register a name under `example`, and unlike `test` or
/// `invalid`, resolvers do not answer it themselves (RFC 6761 section 6.5). So a probe travels as
/// far as any query.
const PROBES: &[u8] = b"\x0ddnsgate-probe\x07example\0";
/// The length of a probe name: a label of 32 hexadecimal digits, and [`PROBES`].
const PROBE: usize = 33 + PROBES.len();

/// The query bits that are forwarded to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryBits {
    /// DNSSEC OK (RFC 3225): requests signatures in the response.
    pub dnssec_ok: bool,
    /// Checking Disabled (RFC 4035 section 3.2.2): asks the upstream not to validate.
    pub checking_disabled: bool,
}

/// An allowed question and its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'p, 'q> {
    name: NameRef<'q>,
    qtype: RecordType,
    forwarding: &'p Forwarding,
    ranges: &'p Ranges,
    rule: Option<RuleId>,
    entry: Option<EntryId>,
    observed: bool,
}

impl<'p, 'q> Grant<'p, 'q> {
    /// Only [`Policy::decide`](super::Policy::decide) may call this.
    pub(super) const fn new(
        name: NameRef<'q>,
        qtype: RecordType,
        forwarding: &'p Forwarding,
        ranges: &'p Ranges,
        (rule, entry): (Option<RuleId>, Option<EntryId>),
        observed: bool,
    ) -> Self {
        Self {
            name,
            qtype,
            forwarding,
            ranges,
            rule,
            entry,
            observed,
        }
    }

    /// The allowed name.
    #[must_use]
    pub const fn name(&self) -> NameRef<'q> {
        self.name
    }

    /// The allowed type.
    #[must_use]
    pub const fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// The upstream, and the limits for its answer.
    #[must_use]
    pub const fn forwarding(&self) -> &'p Forwarding {
        self.forwarding
    }

    /// The addresses that the answer may contain, for the rest of the CNAME chain from this name
    /// on.
    #[must_use]
    pub const fn ranges(&self) -> &'p Ranges {
        self.ranges
    }

    /// The rule that forwards the question; for an observed question, the rule that would deny it.
    #[must_use]
    pub const fn rule(&self) -> Option<RuleId> {
        self.rule
    }

    /// The entry that matches the name; for an observed question, the entry that would deny it.
    #[must_use]
    pub const fn entry(&self) -> Option<EntryId> {
        self.entry
    }

    /// Whether the policy would deny the question if it were enforced, not only observed.
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        self.observed
    }

    /// The same grant for a sibling name. It serves the DS question at the origin of a local zone:
    /// the policy finds the rule of the zone for the sibling, but the question belongs to the
    /// parent.
    #[must_use]
    pub fn beside<'n>(&self, name: NameRef<'n>) -> Option<Grant<'p, 'n>> {
        let allowed = self.qtype == RecordType::DS && self.name.parent() == name.parent();
        allowed.then_some(Grant {
            name,
            qtype: self.qtype,
            forwarding: self.forwarding,
            ranges: self.ranges,
            rule: self.rule,
            entry: self.entry,
            observed: self.observed,
        })
    }

    /// An owned permit for the upstream, which can outlive the query.
    #[must_use]
    pub fn permit(&self, bits: QueryBits) -> Permit {
        Permit {
            name: self.name.to_name(),
            qtype: self.qtype,
            bits,
            upstream: self.forwarding.upstream,
        }
    }
}

/// Permission to ask one upstream one question, in class IN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permit {
    name: Name,
    qtype: RecordType,
    bits: QueryBits,
    upstream: UpstreamId,
}

impl Permit {
    /// The permit of a probe: a question for a unique name. It shows whether the upstream responds
    /// and whether the question loops back to dnsgate.
    #[must_use]
    pub fn probe(upstream: UpstreamId, token: u128) -> Self {
        let mut name = NameBuf::new();
        // 32 digits and two short labels fit into a name.
        let _ = name.push_label(format!("{token:032x}").as_bytes());
        if let Ok((suffix, _)) = NameBuf::read(PROBES) {
            let _ = name.push_name(suffix.as_ref());
        }
        Self {
            name: name.as_ref().to_name(),
            qtype: RecordType::A,
            bits: QueryBits::default(),
            upstream,
        }
    }

    /// The name to ask for.
    #[must_use]
    pub fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    /// The type to ask for.
    #[must_use]
    pub const fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// The forwarded query bits.
    #[must_use]
    pub const fn bits(&self) -> QueryBits {
        self.bits
    }

    /// The upstream to ask.
    #[must_use]
    pub const fn upstream(&self) -> UpstreamId {
        self.upstream
    }
}

/// The token of a probe name, sent by this dnsgate or another one; `None` for other names.
#[must_use]
#[inline]
pub fn probe_token(name: NameRef<'_>) -> Option<u128> {
    let wire = name.wire();
    // The length check comes first, because it rejects nearly every other name.
    if wire.len() == PROBE {
        read_token(wire)
    } else {
        None
    }
}

fn read_token(wire: &[u8]) -> Option<u128> {
    let (label, suffix) = wire.split_at_checked(33)?;
    let (&32, digits) = label.split_first()? else {
        return None;
    };
    if suffix != PROBES || digits.contains(&b'+') {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_known_when_it_comes_back() {
        for token in [0, 1, 0xdead_beef, u128::MAX] {
            let permit = Permit::probe(UpstreamId(3), token);
            assert_eq!(probe_token(permit.name()), Some(token));
            assert_eq!(permit.upstream(), UpstreamId(3));
        }
        let text = "0123456789abcdef0123456789abcdef";
        for (name, token) in [
            (format!("{text}.dnsgate-probe.example"), true),
            (format!("x{}.dnsgate-probe.example", &text[1..]), false),
            (format!("+{}.dnsgate-probe.example", &text[1..]), false),
            (format!("{text}.dnsgate-prob.examples"), false),
            (format!("{text}0.dnsgate-probe.exampl"), false),
            (format!("a.{}.dnsgate-probe.example", &text[2..]), false),
            ("dnsgate-probe.example".to_owned(), false),
        ] {
            let parsed: Name = name.parse().expect("a name");
            assert_eq!(probe_token(parsed.as_ref()).is_some(), token, "{name}");
        }
    }
}

//! Leave to ask an upstream: minted here, and nowhere else.
//!
//! ```text
//!   decide ─▶ Grant (borrowed, costs nothing) ─▶ permit() ─▶ Permit (owned) ─▶ an upstream
//!                 └─▶ the cache is asked by the grant: most end here
//! ```
//!
//! An upstream takes a [`Permit`] and nothing else, and there are two ways to get one: from the
//! [`Grant`] that a decision made for this very question, or as a [`Permit::probe`], whose name
//! is under a suffix of our own and holds nothing that a client could have chosen. So what leaves
//! is a subset of the policy, by construction.

use super::{Forwarding, Ranges, RuleId, UpstreamId};
use crate::dns::{Name, NameBuf, NameRef, RecordType};

/// Where the names of our own probes are. `example` is in nobody's hands and, unlike `test` or
/// `invalid`, no resolver answers it by itself (RFC 6761 section 6.5), so that a probe goes as far
/// as a query would.
const PROBES: &[u8] = b"\x0ddnsgate-probe\x07example\0";
/// The length of a probe's name: its label of 32 hexadecimal digits, and [`PROBES`].
const PROBE: usize = 33 + PROBES.len();

/// The bits of a query that travel with its question to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryBits {
    /// DNSSEC OK (RFC 3225): the answer is to hold signatures.
    pub dnssec_ok: bool,
    /// Checking Disabled (RFC 4035 section 3.2.2): the upstream is not to validate.
    pub checking_disabled: bool,
}

/// What a decision lets through: one question, to one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'p, 'q> {
    name: NameRef<'q>,
    qtype: RecordType,
    forwarding: &'p Forwarding,
    ranges: &'p Ranges,
    rule: Option<RuleId>,
    observed: bool,
}

impl<'p, 'q> Grant<'p, 'q> {
    /// For [`Policy::decide`](super::Policy::decide) alone.
    pub(super) const fn new(
        name: NameRef<'q>,
        qtype: RecordType,
        (forwarding, ranges): (&'p Forwarding, &'p Ranges),
        rule: Option<RuleId>,
        observed: bool,
    ) -> Self {
        Self {
            name,
            qtype,
            forwarding,
            ranges,
            rule,
            observed,
        }
    }

    /// The name that may be asked for.
    #[must_use]
    pub const fn name(&self) -> NameRef<'q> {
        self.name
    }

    /// The type that may be asked for.
    #[must_use]
    pub const fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// Whom to ask, and what of the answer may pass.
    #[must_use]
    pub const fn forwarding(&self) -> &'p Forwarding {
        self.forwarding
    }

    /// The addresses that the answer may hold, to the end of the chain that begins with it.
    #[must_use]
    pub const fn ranges(&self) -> &'p Ranges {
        self.ranges
    }

    /// The rule that forwards, or, of an observed question, the one that would have denied.
    #[must_use]
    pub const fn rule(&self) -> Option<RuleId> {
        self.rule
    }

    /// Whether this would be a denial, were the policy not observed only.
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        self.observed
    }

    /// The same for another name right below the same one, for the DS at the top of a zone of ours:
    /// the policy finds the zone's rule for that name, and the question is its parent's.
    #[must_use]
    pub fn beside<'n>(&self, name: NameRef<'n>) -> Option<Grant<'p, 'n>> {
        let allowed = self.qtype == RecordType::DS && self.name.parent() == name.parent();
        allowed.then_some(Grant {
            name,
            qtype: self.qtype,
            forwarding: self.forwarding,
            ranges: self.ranges,
            rule: self.rule,
            observed: self.observed,
        })
    }

    /// Leave to ask, to be kept for as long as that takes.
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

/// Leave to ask one upstream one question, in class IN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permit {
    name: Name,
    qtype: RecordType,
    bits: QueryBits,
    upstream: UpstreamId,
}

impl Permit {
    /// Leave to ask for a name that only we could know, to see whether anybody answers and whether
    /// the question comes back to us.
    #[must_use]
    pub fn probe(upstream: UpstreamId, token: u128) -> Self {
        let mut name = NameBuf::new();
        // 32 digits and two short labels are a name.
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

    /// The bits of the query.
    #[must_use]
    pub const fn bits(&self) -> QueryBits {
        self.bits
    }

    /// Whom to ask.
    #[must_use]
    pub const fn upstream(&self) -> UpstreamId {
        self.upstream
    }
}

/// The token of a probe, if that is what a name is: ours, or that of another dnsgate.
#[must_use]
#[inline]
pub fn probe_token(name: NameRef<'_>) -> Option<u128> {
    let wire = name.wire();
    // The length first: it is all that is looked at of nearly every name.
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

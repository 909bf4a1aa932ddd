//! Filters answers that contain data of an upstream.
//!
//! An allowed name must not lead a client to unrelated addresses. So the filter checks every answer
//! before it is sent, whether it comes from an upstream or from the cache: every address in it must
//! be in the rule's ranges, and the aliases must lead to permitted names. One failing record denies
//! the whole answer, because a partial answer would differ from every answer that a server gave.
//!
//! The limits of each forwarding rule apply from its name to the end of the CNAME chain, whatever
//! the source of the data: another upstream, a local zone, a rule with records or a built-in
//! answer. So a name that is denied directly is also denied through an alias ([`Filter`]).
//!
//! The filter does not handle records unrelated to the question: `dns::response` has removed them.

use std::net::IpAddr;

use crate::{
    cache::CacheEntry,
    dns::{NameBuf, NameRef, RecordType, Rrset, response::MAX_ALIASES},
    policy::{CnameMode, Denial, Grant, Policy, Ranges, RuleId},
};

use super::incomplete::{FilterCheck, Incomplete, Rejection};

/// The limits for the rest of an answer: the ranges and the alias mode of every forwarding rule so
/// far.
pub(super) struct Filter<'t> {
    /// The distinct ranges. Those of the rule for the question come first.
    bounds: [Option<Bound<'t>>; MAX_ALIASES + 1],
    /// The first rule that permits aliases to allowed names only.
    strict: Option<RuleId>,
    /// The rule of the last followed link.
    last: Option<RuleId>,
}

/// Ranges and their rule.
#[derive(Clone, Copy)]
struct Bound<'t> {
    ranges: &'t Ranges,
    rule: Option<RuleId>,
}

impl<'t> Filter<'t> {
    /// A filter without limits.
    pub(super) const fn new() -> Self {
        Self {
            bounds: [None; MAX_ALIASES + 1],
            strict: None,
            last: None,
        }
    }

    /// Adds the limits of the rule of `grant`.
    ///
    /// # Errors
    /// If the filter is full, which cannot happen for a chain within its bound.
    pub(super) fn add(&mut self, grant: &Grant<'t, '_>) -> Result<(), Incomplete> {
        // The rule of an observed question is a denying one, so it has no ranges.
        let rule = grant.rule().filter(|_| !grant.is_observed());
        self.last = rule;
        if grant.forwarding().cname == CnameMode::Allowed {
            self.strict = self.strict.or(rule);
        }
        let ranges = grant.ranges();
        for place in &mut self.bounds {
            match place {
                Some(bound) if bound.ranges.id() == ranges.id() => return Ok(()),
                Some(_) => {}
                None => {
                    *place = Some(Bound { ranges, rule });
                    return Ok(());
                }
            }
        }
        Err(Incomplete::Endless)
    }

    fn bounds(&self) -> impl Iterator<Item = Bound<'t>> {
        self.bounds.iter().map_while(|bound| *bound)
    }

    /// Checks the records of one name, local or from an upstream.
    pub(super) fn check(&self, owner: NameRef<'_>, set: &Rrset) -> Result<(), Rejection> {
        self.bounds().try_for_each(|bound| check(owner, set, bound))
    }

    /// Checks the records at the end of an upstream's answer. It skips ranges that the entry has
    /// already passed.
    pub(super) fn check_entry(
        &self,
        owner: NameRef<'_>,
        entry: &CacheEntry,
    ) -> Result<(), Rejection> {
        for bound in self.bounds() {
            let id = bound.ranges.id();
            if entry.has_passed(id) {
                continue;
            }
            for set in &entry.response().answers {
                check(owner, set, bound)?;
            }
            entry.note_passed(id);
        }
        Ok(())
    }

    /// Checks whether an alias of `owner` may lead to the denied name `target`.
    pub(super) fn check_target(
        &self,
        owner: NameRef<'_>,
        target: NameRef<'_>,
        policy: &Policy,
        denial: &Denial<'_>,
    ) -> Result<(), Rejection> {
        if self.binding(policy, denial.rule).is_none() {
            return Ok(());
        }
        let rule = self.strict.or(self.last);
        let what = format_args!("CNAME {target}");
        Err(Rejection::new(FilterCheck::Cname, rule, owner, what))
    }

    /// The rule that forbids an alias to a denied name; `rule` is the rule that denies it, if any.
    /// A configured denial applies in every alias mode. A name without a matching rule counts only
    /// if aliases may lead to allowed names only.
    pub(super) fn binding(&self, policy: &Policy, rule: Option<RuleId>) -> Option<RuleId> {
        rule.filter(|&id| policy.denies(id)).or(self.strict)
    }

    /// The targets of CNAME or DNAME records that are themselves the answer.
    pub(super) fn targets(set: &Rrset) -> impl Iterator<Item = NameBuf> {
        let leads = matches!(set.rtype(), RecordType::CNAME | RecordType::DNAME);
        let rdatas = set.rdatas().filter(move |_| leads);
        rdatas.filter_map(|rdata| NameBuf::read(rdata).ok().map(|(name, _)| name))
    }
}

/// Checks the records of one name. A set of a type without addresses passes.
fn check(owner: NameRef<'_>, set: &Rrset, bound: Bound<'_>) -> Result<(), Rejection> {
    let rtype = set.rtype();
    let check = match rtype {
        RecordType::A | RecordType::AAAA => FilterCheck::Address,
        RecordType::HTTPS | RecordType::SVCB => FilterCheck::Hint,
        _ => return Ok(()),
    };
    for address in set.addresses() {
        if !bound.ranges.allow(address) {
            let what = format_args!("{rtype} {address}");
            return Err(Rejection::new(check, bound.rule, owner, what));
        }
    }
    if check == FilterCheck::Hint {
        for rdata in set.rdatas() {
            check_hints(owner, rtype, rdata, bound)?;
        }
    }
    Ok(())
}

/// Checks the parameters of a service binding. Unreadable parameters fail, because a client may
/// read them differently.
fn check_hints(
    owner: NameRef<'_>,
    rtype: RecordType,
    rdata: &[u8],
    bound: Bound<'_>,
) -> Result<(), Rejection> {
    let unreadable = || {
        let what = format_args!("{rtype} not well-formed");
        Rejection::new(FilterCheck::Hint, bound.rule, owner, what)
    };
    let mut rest = parameters(rdata).ok_or_else(unreadable)?;
    while !rest.is_empty() {
        let (key, value, after) = parameter(rest).ok_or_else(unreadable)?;
        let hints = hints(key, value).ok_or_else(unreadable)?;
        for address in hints {
            if !bound.ranges.allow(address) {
                let what = format_args!("{rtype} hint {address}");
                return Err(Rejection::new(FilterCheck::Hint, bound.rule, owner, what));
            }
        }
        rest = after;
    }
    Ok(())
}

/// The parameters, after the priority and the target name, which is never compressed (RFC 9460
/// section 2.2).
fn parameters(rdata: &[u8]) -> Option<&[u8]> {
    let (_, mut rest) = rdata.split_first_chunk::<2>()?;
    loop {
        let (&len, after) = rest.split_first()?;
        match len {
            0 => return Some(after),
            1..=63 => rest = after.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}

/// Splits off the first parameter: its key, its value, and the rest.
fn parameter(wire: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[k1, k0, l1, l0], rest) = wire.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l0])))?;
    Some((u16::from_be_bytes([k1, k0]), value, rest))
}

/// The addresses of a parameter: empty if it is not a hint, `None` if the last one is incomplete.
fn hints(key: u16, value: &[u8]) -> Option<impl Iterator<Item = IpAddr>> {
    const IPV4HINT: u16 = 4;
    const IPV6HINT: u16 = 6;
    let (v4, v6): (&[u8], &[u8]) = match key {
        IPV4HINT => (value, &[]),
        IPV6HINT => (&[], value),
        _ => (&[], &[]),
    };
    let (v4, rest4) = v4.as_chunks::<4>();
    let (v6, rest6) = v6.as_chunks::<16>();
    let addresses = v4.iter().map(|&v4| IpAddr::from(v4));
    (rest4.is_empty() && rest6.is_empty())
        .then(|| addresses.chain(v6.iter().map(|&v6| IpAddr::from(v6))))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::policy::COMPARED;
    use crate::{
        cache::{Cache, CacheKey, CacheSettings},
        dns::{Name, Response},
    };

    fn rejections(set: &Rrset, ranges: &Ranges) -> Result<(), String> {
        let owner: Name = "x.example".parse().expect("a name");
        let bound = Bound { ranges, rule: None };
        check(owner.as_ref(), set, bound)
            .map_err(|rejection| format!("{}: {}", rejection.check.as_str(), rejection.record))
    }

    /// The rejections of an HTTPS record with these bytes, under protection against rebinding.
    fn https(rdata: &[u8]) -> Result<(), String> {
        let mut set = Rrset::new(RecordType::HTTPS, 300);
        set.push(rdata).expect("short");
        rejections(&set, &Ranges::public())
    }

    #[test]
    fn hints_are_addresses() {
        for (rdata, want) in [
            (&b"\0\x01\0"[..], Ok(())),
            (b"\0\x01\x03svc\0\0\x01\0\x03\x02h2", Ok(())),
            (b"\0\x01\0\0\x04\0\x04\x08\x08\x08\x08", Ok(())),
            (
                b"\0\x01\0\0\x04\0\x08\x08\x08\x08\x08\x0a\0\0\x01",
                Err("hint: x.example. HTTPS hint 10.0.0.1"),
            ),
            (
                b"\0\x01\0\0\x06\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\xa9\xfe\xa9\xfe",
                Err("hint: x.example. HTTPS hint ::ffff:169.254.169.254"),
            ),
            (
                b"\0\x01\0\0\x04\0\x03\x08\x08\x08",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (
                b"\0\x01\0\0\x04\0\x09\x08",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (
                b"\0\x01\x40a\0",
                Err("hint: x.example. HTTPS not well-formed"),
            ),
            (b"\0", Err("hint: x.example. HTTPS not well-formed")),
        ] {
            let want = want.map_err(str::to_owned);
            match (https(rdata), want) {
                (Ok(()), Ok(())) => {}
                (Err(found), want) => assert_eq!(Err(found), want, "{rdata:?}"),
                (found, want) => assert_eq!(found, want, "{rdata:?}"),
            }
        }
    }

    #[test]
    fn addresses_are_compared_with_the_ranges() {
        for (rtype, address, passes) in [
            (RecordType::A, "8.8.8.8", true),
            (RecordType::A, "198.51.100.1", false),
            (RecordType::AAAA, "::ffff:8.8.8.8", true),
            (RecordType::AAAA, "2001:db8::1", false),
        ] {
            let set = Rrset::of_addresses(rtype, 300, &[address.parse().expect(address)]);
            let passed = rejections(&set, &Ranges::public()).is_ok();
            assert_eq!(passed, passes, "{address}");
        }
    }

    /// An answer of so many addresses, all of them public, as it comes from a cache.
    fn entry(addresses: u16) -> std::sync::Arc<CacheEntry> {
        let mut message = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x01x\0\0\x41\0\x01".to_vec();
        let hints = addresses * 4;
        message.extend(b"\xc0\x0c\0\x41\0\x01\0\0\x01\x2c");
        message.extend((7 + hints).to_be_bytes());
        message.extend(b"\0\x01\0\0\x04");
        message.extend(hints.to_be_bytes());
        for at in 0..addresses {
            let [high, low] = at.to_be_bytes();
            message.extend([8, high, low, 1]);
        }
        let name: Name = "x".parse().expect("a name");
        let response = Response::parse(&message, name.as_ref(), RecordType::HTTPS, false);
        let cache = Cache::new(CacheSettings {
            size: 1 << 20,
            min_ttl: 0,
            max_ttl: 3600,
            bridge_denials: false,
            serve_stale: 0,
        });
        let key = CacheKey {
            name: name.as_ref(),
            qtype: RecordType::HTTPS,
            dnssec_ok: false,
            checking_disabled: false,
            partition: 0,
        };
        cache.put(&key, &response.expect("well-formed").into(), now())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what is checked does not depend on it"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_passed_is_not_looked_through_again() {
        let entry = entry(16_000);
        let [one, other, third] = [(); 3].map(|()| Ranges::public());
        let owner: Name = "x".parse().expect("a name");
        // How many comparisons it takes to filter the answer for these ranges.
        let cost = |all: &[&Ranges]| {
            let mut filter = Filter::new();
            for (place, ranges) in filter.bounds.iter_mut().zip(all) {
                *place = Some(Bound { ranges, rule: None });
            }
            COMPARED.set(0);
            assert_eq!(filter.check_entry(owner.as_ref(), &entry), Ok(()));
            COMPARED.take()
        };
        let first = cost(&[&one]);
        assert!(first > 16_000 && first <= 16_000 * 6, "{first}");
        assert_eq!(cost(&[&one]), 0);
        assert_eq!(cost(&[&other, &one]), first);
        assert_eq!(cost(&[&one, &other]), 0);
        // New ranges, as after a reload, are looked at, and take the place of the oldest.
        assert_eq!(cost(&[&third]), first);
        assert_eq!(cost(&[&third]), 0);
    }
}

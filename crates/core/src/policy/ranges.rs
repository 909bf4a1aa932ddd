//! The addresses that answers to a rule's questions may contain.
//!
//! An allowed name must not give access to unrelated networks: an answer with a private address
//! makes an internal client connect to its own network (DNS rebinding). So a rule either lists the
//! ranges for its answers, or allows only the addresses that a public internet name may have
//! (`special`).
//!
//! [`AnswerRanges`] is the setting of the rule. [`Ranges`] is its compiled form, built once with
//! the policy. An IPv6 address that embeds an IPv4 address leads to that address (`embedded`).

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use ipnet::IpNet;

use super::{
    Action, Forwarding, Rule, RuleId,
    embedded::Embedded,
    spans::{Spans, number},
    special,
};

/// The address ranges that a rule allows in answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnswerRanges {
    /// Every address that is global unicast by IANA's registries. This excludes private, loopback,
    /// link-local (including the metadata server), shared, documentation, multicast and reserved
    /// addresses, and so protects against rebinding.
    Public,
    /// Addresses within these ranges, public or not.
    Within(Box<[IpNet]>),
}

impl fmt::Display for AnswerRanges {
    /// Writes `public addresses`, or the list separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Within(ranges) = self else {
            return f.write_str("public addresses");
        };
        for (at, range) in ranges.iter().enumerate() {
            write!(f, "{}{range}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The compiled ranges of a rule, merged and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    id: u64,
    /// Whether they come from [`AnswerRanges::Public`].
    public: bool,
    v4: Spans,
    v6: Spans,
}

/// The next identifier for the ranges of this process, from 1.
static MADE: AtomicU64 = AtomicU64::new(1);

impl Ranges {
    /// Ranges without any address.
    pub(super) const NONE: Self = Self {
        id: u64::MAX,
        public: false,
        v4: Spans::EMPTY,
        v6: Spans::EMPTY,
    };

    /// The ranges of a rule plus the addresses that every answer may contain.
    pub(super) fn new(answers: &AnswerRanges, always: &[IpAddr]) -> Self {
        let (v4, v6) = match answers {
            AnswerRanges::Public => (special::v4_unicast(), special::v6_unicast()),
            AnswerRanges::Within(nets) => {
                let of_family = |is_v4: bool| {
                    let nets = nets.iter().filter(|net| net.addr().is_ipv4() == is_v4);
                    Spans::of_blocks(nets.map(|net| (net.addr(), net.prefix_len())))
                };
                (of_family(true), of_family(false))
            }
        };
        let always = |is_v4: bool| {
            let addresses = always.iter().filter(|address| address.is_ipv4() == is_v4);
            Spans::of_blocks(addresses.map(|&address| (address, 128)))
        };
        Self {
            id: MADE.fetch_add(1, Ordering::Relaxed),
            public: *answers == AnswerRanges::Public,
            v4: v4.and(always(true)),
            v6: v6.and(always(false)),
        }
    }

    /// The ranges of a rule that lists none.
    #[must_use]
    pub fn public() -> Self {
        Self::new(&AnswerRanges::Public, &[])
    }

    /// The identifier of these ranges, unique in this process and never 0. An answer that passed
    /// ranges with this identifier need not be checked against them again.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The listed addresses as numbers: the first and last of each span of IPv4 and of IPv6, in
    /// ascending order.
    #[must_use]
    pub fn spans(&self) -> [&[(u128, u128)]; 2] {
        [self.v4.as_slice(), self.v6.as_slice()]
    }

    /// Whether an answer may contain this address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let IpAddr::V6(v6) = address else {
            return self.v4.contains(number(address));
        };
        let embedded = Embedded::in_address(v6);
        let listed = self.v6.contains(number(address));
        if self.public {
            // An embedding form whose block is not listed requires that every embedded address is
            // public. If the address itself is listed, its embedded addresses must also be public.
            let mut inner = embedded.all();
            (listed || embedded.is_a_form())
                && inner.all(|v4| self.v4.contains(u32::from(v4).into()))
        } else {
            // An explicitly configured IPv6 range applies regardless of embedded addresses.
            let same = embedded.same();
            listed || same.is_some_and(|v4| self.v4.contains(u32::from(v4).into()))
        }
    }
}

/// For rules that do not forward: no upstream answers their questions.
static NONE: Ranges = Ranges::NONE;

/// The addresses that the answers to each rule's questions may contain.
#[derive(Clone, Debug)]
pub(super) struct RuleRanges {
    /// The distinct ranges.
    ranges: Vec<Ranges>,
    /// The index in `ranges` of each rule's ranges, by rule number; `None` for a rule that does not
    /// forward.
    of_rule: Vec<Option<u32>>,
    /// The index of the ranges for observed questions.
    observed: Option<u32>,
    /// The addresses that all ranges contain.
    always: Vec<IpAddr>,
}

/// The ranges compiled so far.
#[derive(Default)]
struct RangeTable<'r> {
    ranges: Vec<Ranges>,
    known: HashMap<&'r AnswerRanges, u32>,
}

impl<'r> RangeTable<'r> {
    fn place(&mut self, answers: &'r AnswerRanges, always: &[IpAddr]) -> u32 {
        *self.known.entry(answers).or_insert_with(|| {
            self.ranges.push(Ranges::new(answers, always));
            // At most the number of rules, which has 28 bits, plus one.
            u32::try_from(self.ranges.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

impl RuleRanges {
    /// Compiles the ranges of the rules, in order of their numbers, and of observed questions.
    pub(super) fn new(rules: &[Rule], observed: Option<&Forwarding>, always: Vec<IpAddr>) -> Self {
        let mut made = RangeTable::default();
        let of_rule = rules.iter().map(|rule| match &rule.action {
            Action::Forward(forwarding) => Some(made.place(&forwarding.answers, &always)),
            Action::Zone(_) | Action::Answer(_) | Action::Deny => None,
        });
        let of_rule = of_rule.collect();
        let observed = observed.map(|forwarding| made.place(&forwarding.answers, &always));
        Self {
            ranges: made.ranges,
            of_rule,
            observed,
            always,
        }
    }

    /// Adds the ranges of observed questions.
    pub(super) fn observing(mut self, observed: &Forwarding) -> Self {
        self.observed = u32::try_from(self.ranges.len()).ok();
        self.ranges
            .push(Ranges::new(&observed.answers, &self.always));
        self
    }

    /// The ranges of a rule; empty if it has none.
    pub(super) fn of_rule(&self, id: RuleId) -> &Ranges {
        self.at(self.of_rule.get(id.0 as usize).copied().flatten())
    }

    /// The ranges of observed questions.
    pub(super) fn observed(&self) -> &Ranges {
        self.at(self.observed)
    }

    fn at(&self, place: Option<u32>) -> &Ranges {
        let ranges = place.and_then(|at| self.ranges.get(at as usize));
        ranges.unwrap_or(&NONE)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::spans::COMPARED;

    use super::*;

    fn ranges(list: &[&str]) -> Ranges {
        let nets = list.iter().map(|net| net.parse().expect("a net"));
        Ranges::new(&AnswerRanges::Within(nets.collect()), &[])
    }

    fn allowed(ranges: &Ranges, addresses: &str) -> Vec<bool> {
        let addresses = addresses.split_whitespace();
        addresses
            .map(|text| ranges.allow(text.parse().expect(text)))
            .collect()
    }

    #[test]
    fn what_is_listed_is_all_that_is_allowed() {
        let list = ["140.82.112.0/20", "10.0.0.0/8", "2001:db8::/32"];
        let within = ranges(&list);
        assert_eq!(
            allowed(
                &within,
                "140.82.112.1 10.1.1.1 2001:db8::1 ::ffff:10.0.0.1 64:ff9b::140.82.127.255 ::ffff:0:10.0.0.1 2002:a00:1::1"
            ),
            [true; 7]
        );
        assert_eq!(
            allowed(
                &within,
                "140.82.128.0 11.0.0.1 2001:db9::1 ::ffff:11.0.0.1 64:ff9b::8.8.8.8 ::1 ::"
            ),
            [false; 7]
        );
        // Whose network these are in is said by their first half, which is in no range.
        assert_eq!(
            allowed(
                &within,
                "2a00::5efe:10.0.0.1 2001:0:a00:1::f5ff:fffe 64:ff9b:1::10.0.0.1"
            ),
            [false; 3]
        );
        let as_written = AnswerRanges::Within(list.map(|net| net.parse().expect("a net")).into());
        assert_eq!(as_written.to_string(), list.join(" "));
        assert_eq!(allowed(&ranges(&[]), "8.8.8.8 ::1"), [false; 2]);
        assert_eq!(allowed(&Ranges::NONE, "8.8.8.8 ::1"), [false; 2]);
    }

    #[test]
    fn some_addresses_are_in_every_range() {
        let always = ["10.1.1.5", "2600:2d00:2:1000::"].map(|text| text.parse().expect(text));
        for answers in [
            AnswerRanges::Public,
            AnswerRanges::Within(Box::default()),
            AnswerRanges::Within(["8.8.8.8/32".parse().expect("a net")].into()),
        ] {
            let ranges = Ranges::new(&answers, &always);
            assert_eq!(
                allowed(&ranges, "10.1.1.5 2600:2d00:2:1000:: ::ffff:10.1.1.5"),
                [true; 3]
            );
            assert_eq!(allowed(&ranges, "10.1.1.4 10.1.1.6 fd00::1"), [false; 3]);
        }
    }

    #[test]
    fn a_look_up_costs_the_logarithm_of_the_ranges() {
        let compared = |count: u32| {
            let nets = (0..count).map(|at| format!("10.{}.{}.0/25", at / 256, at % 256));
            let nets: Vec<_> = nets.map(|net| net.parse().expect("a net")).collect();
            let ranges = Ranges::new(&AnswerRanges::Within(nets.into()), &[]);
            COMPARED.set(0);
            for low in 0..=255 {
                assert!(!ranges.allow([10, 0, low, 200].into()));
            }
            COMPARED.take() / 256
        };
        assert!(compared(255) <= 9, "{}", compared(255));
        assert!(compared(65_000) <= 2 * compared(255));
    }

    #[test]
    fn no_two_ranges_have_one_number() {
        let ids = [(); 3].map(|()| ranges(&["10.0.0.0/8"]).id());
        assert!(ids[0] > 0 && ids[0] < ids[1] && ids[1] < ids[2]);
        // What is noted nowhere is 0: nothing may have passed the ranges that hold no address.
        assert!(Ranges::NONE.id() != 0 && !ids.contains(&Ranges::NONE.id()));
    }
}

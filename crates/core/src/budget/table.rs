//! The counters of all parties, rules and domains, in bounded memory.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Instant,
};

use super::{
    counter::{BudgetCounter, BudgetStanding, Charge, CountedDomain, CountedParty, Spending},
    learnt::{LearntNames, network_of, prefix_of},
    sketch::{BudgetCount, NameSketch},
};
use crate::{
    dns::NameRef,
    policy::{BudgetParty, OverBudget},
};

/// The maximum number of domains with a counter of their own for one party and rule. Further domains
/// share one, so that no client can fill the table.
pub const MAX_DOMAINS: usize = 256;
/// The part of the memory that holds learnt names.
const LEARNT_PART: usize = 32;
/// The counters that a new counter examines to find one whose window has ended: if the table is not
/// full, and if it is. Enough to find all of them while the table is filled once.
const EXAMINED: [usize; 2] = [2, 64];
/// The length of an hour in seconds, for learning.
const HOUR: u64 = 3_600;

/// The counters of all budgets. Its memory is bounded by the number of bytes that it is made with, and
/// one small counter a rule.
#[derive(Debug)]
pub struct BudgetTable<S = RandomState> {
    hasher: S,
    counters: Vec<Option<BudgetCounter>>,
    free: Vec<usize>,
    /// The position of each counter by its key.
    index: HashMap<u64, usize>,
    /// The number of domains of each party and rule.
    domains: HashMap<u64, usize>,
    learnt: Option<LearntNames>,
    /// The next counter to examine.
    hand: usize,
    began: Option<Instant>,
    memory: usize,
    used: usize,
    /// The number of questions that found no room for a counter of their own.
    overflowed: u64,
    /// The lengths of the prefixes that identify a client.
    prefixes: [u32; 2],
}

impl BudgetTable {
    /// A table of that many bytes; a client is a prefix of these lengths in IPv4 and IPv6.
    #[must_use]
    pub fn new(memory: usize, prefixes: [u32; 2]) -> Self {
        Self::with_hasher(memory, prefixes, RandomState::new())
    }
}

impl<S: BuildHasher> BudgetTable<S> {
    pub(super) fn with_hasher(memory: usize, prefixes: [u32; 2], hasher: S) -> Self {
        Self {
            hasher,
            counters: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            domains: HashMap::new(),
            learnt: None,
            hand: 0,
            began: None,
            memory,
            used: 0,
            overflowed: 0,
            prefixes,
        }
    }

    /// Counts a question that is about to be sent upstream. If the result is beyond the budget and the
    /// budget denies, the question is not counted and must not be sent.
    pub fn charge(&mut self, spent: Spending<'_>, now: Instant) -> Charge {
        let Some(length) = length_below(spent.name, spent.domain_labels) else {
            return Charge::Free;
        };
        let name = self.hasher.hash_one(spent.name.wire());
        let denies = spent.budget.over == OverBudget::Deny;
        if self.is_learnt(name) {
            self.learn(name, spent.client, now);
            return Charge::Free;
        }
        let at = self.counter_for(spent, now);
        let Some(counter) = self.counters.get_mut(at).and_then(Option::as_mut) else {
            // Never happens, because the position is taken. If it did, nothing may leave uncounted.
            let owner = self.keys(spent).owner;
            let lost = self.new_counter(spent, (owner, (owner, CountedDomain::Overflow)), now);
            return Charge::Over(Box::new(lost.counted(BudgetCount::default(), now, true)));
        };
        counter.client = spent.client;
        let budget = counter.budget;
        if denies {
            let before = counter.sketch.at_most();
            let is_new = !counter.sketch.contains(name);
            let fits = before.names < budget.names
                && before.bytes.saturating_add(length.into()) <= budget.bytes;
            if is_new && !fits {
                let is_first = !std::mem::replace(&mut counter.reported, true);
                return Charge::Over(Box::new(counter.counted(before, now, is_first)));
            }
        }
        let growth = counter.sketch.growth();
        let may_grow = self.used.saturating_add(growth) <= self.memory;
        let before = counter.sketch.memory();
        counter.sketch.add(name, length, may_grow);
        self.used += counter.sketch.memory() - before;
        let count = counter.sketch.count();
        let is_over = !denies && (count.names > budget.names || count.bytes > budget.bytes);
        let charge = match is_over {
            false => Charge::Within,
            true => {
                let is_first = !std::mem::replace(&mut counter.reported, true);
                Charge::Over(Box::new(counter.counted(count, now, is_first)))
            }
        };
        self.learn(name, spent.client, now);
        charge
    }

    /// What was counted so far for the party and domain of a question. `None`: nothing in this window.
    #[must_use]
    pub fn counted(&self, spent: Spending<'_>, now: Instant) -> Option<BudgetStanding> {
        length_below(spent.name, spent.domain_labels)?;
        let keys = self.keys(spent);
        let counter = [keys.own, keys.others, keys.overflow]
            .into_iter()
            .find_map(|key| self.counters.get(*self.index.get(&key)?)?.as_ref())
            .filter(|counter| !counter.has_ended(now))?;
        Some(counter.counted(counter.sketch.count(), now, false))
    }

    /// Whether a name costs nothing because many clients have asked for it over many hours.
    #[must_use]
    pub fn is_free(&self, name: NameRef<'_>) -> bool {
        self.is_learnt(self.hasher.hash_one(name.wire()))
    }

    /// The counters that have used the largest part of their budgets, most first.
    #[must_use]
    pub fn heaviest(&self, most: usize, now: Instant) -> Vec<BudgetStanding> {
        let counters = self.counters.iter().flatten();
        let running = counters.filter(|counter| !counter.has_ended(now));
        let mut ranked: Vec<_> = running
            .map(|counter| {
                let count = counter.sketch.count();
                (counter.used(count), count, counter)
            })
            .collect();
        // The rule and the address make the order of equal ones the same each time.
        ranked.sort_unstable_by(|(used, _, one), (others, _, other)| {
            (others, &one.rule, one.client).cmp(&(used, &other.rule, other.client))
        });
        ranked.truncate(most);
        let shown = |(_, count, counter): (u64, BudgetCount, &BudgetCounter)| {
            counter.counted(count, now, false)
        };
        ranked.into_iter().map(shown).collect()
    }

    /// The number of counters, including those whose window has ended and whose place is not yet used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no counter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The memory of the counters in bytes.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// The number of questions that were counted in a shared counter because the table was full.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn is_learnt(&self, name: u64) -> bool {
        self.learnt
            .as_ref()
            .is_some_and(|learnt| learnt.is_learnt(name))
    }

    fn learn(&mut self, name: u64, client: IpAddr, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let hours = now.saturating_duration_since(began).as_secs() / HOUR;
        let hour = u16::try_from(hours % (1 << 16)).unwrap_or(0);
        let network = self.hasher.hash_one(network_of(client));
        let part = self.memory / LEARNT_PART;
        if self.learnt.is_none() {
            self.used += part;
        }
        // Made with the first question, so that a configuration without budgets needs no memory.
        let learnt = self.learnt.get_or_insert_with(|| LearntNames::new(part));
        learnt.note(name, network, hour);
    }

    /// The position of the counter for a question: that of its domain, or a shared one.
    fn counter_for(&mut self, spent: Spending<'_>, now: Instant) -> usize {
        let keys = self.keys(spent);
        if let Some(at) = self.running(keys.own, spent, now) {
            return at;
        }
        self.reclaim(EXAMINED[0], now);
        let domains = self.domains.get(&keys.owner).copied().unwrap_or(0);
        let domain = spent.name.last_labels(spent.domain_labels).to_name();
        let own = (keys.own, CountedDomain::Registered(domain));
        let others = (keys.others, CountedDomain::Others);
        let wanted = if domains < MAX_DOMAINS { own } else { others };
        if let Some(at) = self.running(wanted.0, spent, now) {
            return at;
        }
        let counter = self.new_counter(spent, (keys.owner, wanted), now);
        if !self.has_room(&counter) {
            self.reclaim(EXAMINED[1], now);
        }
        if self.has_room(&counter) {
            return self.insert(counter);
        }
        self.overflowed += 1;
        if let Some(at) = self.running(keys.overflow, spent, now) {
            return at;
        }
        let overflow = (keys.overflow, CountedDomain::Overflow);
        let counter = self.new_counter(spent, (keys.overflow, overflow), now);
        self.insert(counter)
    }

    fn has_room(&self, counter: &BudgetCounter) -> bool {
        self.used.saturating_add(counter.memory()) <= self.memory
    }

    /// The position of a counter, begun anew if its window has ended or its budget has changed.
    fn running(&mut self, key: u64, spent: Spending<'_>, now: Instant) -> Option<usize> {
        let at = *self.index.get(&key)?;
        let counter = self.counters.get_mut(at)?.as_mut()?;
        if counter.has_ended(now) {
            let before = counter.sketch.memory();
            counter.sketch.clear();
            counter.began = now;
            counter.reported = false;
            self.used -= before - counter.sketch.memory();
        }
        // A reload may have changed it. What was counted stays.
        counter.budget = spent.budget;
        Some(at)
    }

    fn new_counter(
        &self,
        spent: Spending<'_>,
        (owner, (key, domain)): (u64, (u64, CountedDomain)),
        now: Instant,
    ) -> BudgetCounter {
        let party = match (spent.budget.per, &domain) {
            (BudgetParty::Rule, _) | (_, CountedDomain::Overflow) => CountedParty::Everybody,
            (BudgetParty::Client, _) => CountedParty::Client(self.client(spent.client)),
            (BudgetParty::Group, _) => CountedParty::Group(spent.group.into()),
        };
        BudgetCounter {
            key,
            owner,
            rule: spent.rule.into(),
            party,
            domain,
            client: spent.client,
            budget: spent.budget,
            began: now,
            sketch: NameSketch::new(),
            reported: false,
        }
    }

    fn insert(&mut self, counter: BudgetCounter) -> usize {
        self.used += counter.memory();
        *self.domains.entry(counter.owner).or_default() += 1;
        let key = counter.key;
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.counters.push(None);
                self.counters.len() - 1
            }
        };
        if let Some(place) = self.counters.get_mut(at) {
            *place = Some(counter);
        }
        self.index.insert(key, at);
        at
    }

    /// Examines some counters, and removes those whose window has ended.
    fn reclaim(&mut self, examined: usize, now: Instant) {
        for _ in 0..examined.min(self.counters.len()) {
            self.hand = (self.hand + 1) % self.counters.len().max(1);
            let Some(place) = self.counters.get_mut(self.hand) else {
                continue;
            };
            let Some(counter) = place.take_if(|counter| counter.has_ended(now)) else {
                continue;
            };
            self.used -= counter.memory();
            self.index.remove(&counter.key);
            self.free.push(self.hand);
            if let Some(domains) = self.domains.get_mut(&counter.owner) {
                *domains -= 1;
                if *domains == 0 {
                    self.domains.remove(&counter.owner);
                }
            }
        }
    }

    fn client(&self, address: IpAddr) -> IpAddr {
        let [ipv4, ipv6] = self.prefixes;
        prefix_of(address, ipv4, ipv6)
    }

    fn keys(&self, spent: Spending<'_>) -> CounterKeys {
        let domain = spent.name.last_labels(spent.domain_labels).wire();
        let owner = match spent.budget.per {
            BudgetParty::Client => self
                .hasher
                .hash_one((spent.rule, 0, self.client(spent.client))),
            BudgetParty::Group => self.hasher.hash_one((spent.rule, 1, spent.group)),
            BudgetParty::Rule => self.hasher.hash_one((spent.rule, 2)),
        };
        CounterKeys {
            owner,
            own: self.hasher.hash_one((owner, domain)),
            others: self.hasher.hash_one((owner, 3)),
            overflow: self.hasher.hash_one((spent.rule, 4)),
        }
    }
}

/// The keys of the counters that may count a question.
struct CounterKeys {
    owner: u64,
    own: u64,
    others: u64,
    overflow: u64,
}

/// The bytes of a name below its registered domain; `None` if it is the domain itself or above one.
fn length_below(name: NameRef<'_>, domain_labels: usize) -> Option<u8> {
    if name.label_count() <= domain_labels {
        return None;
    }
    let domain = name.last_labels(domain_labels).wire().len();
    u8::try_from(name.wire().len().saturating_sub(domain)).ok()
}
